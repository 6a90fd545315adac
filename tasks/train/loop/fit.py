"""The training loop: epochs over the samples, each followed by the loss on the validation split."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.common import events
from tasks.common.errors import UserError
from tasks.model.device import autocast
from tasks.model.inference import predict
from tasks.train.feed import Feed
from tasks.train.history import Fitted
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.optimization import seed_step
from tasks.train.loop.state import TrainingState
from tasks.train.params import TrainParams


class Judged(NamedTuple):
    """Loss (cross-entropy, mean over the images) and accuracy on the validation split."""

    loss: float
    accuracy: float


def channel_statistics(array: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all images.

    Args:
        array: uint8 (images, 3, height, width).

    Returns:
        Three means and three deviations, of pixels scaled to 0..1, to 4 digits; a deviation is
        0.001 at least, so that it can be divided by.
    """
    total, squares, count = np.zeros(3), np.zeros(3), 0
    for start in range(0, len(array), 1024):
        part = array[start : start + 1024].astype(np.float64) / 255
        total += part.sum(axis=(0, 2, 3))
        squares += (part**2).sum(axis=(0, 2, 3))
        count += part.size // 3
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-8))
    return [round(float(x), 4) for x in mean], [max(round(float(x), 4), 1e-3) for x in std]


def train_step(
    network: nn.Module, images: Tensor, labels: Tensor, params: TrainParams, device: torch.device
) -> Tensor:
    """The mean loss of a batch, after its gradients were added to the network's.

    Args:
        network: from uint8 images to logits, in training mode.
        images: uint8 (batch, 3, size, size).
        labels: class numbers, int64 (batch,).
        params: the train block.
        device: where all of them lie.
    """
    with autocast(device):
        logits = network(images)
    loss = functional.cross_entropy(logits.float(), labels, label_smoothing=params.label_smoothing)
    loss.backward()
    return loss.detach()


def train_epoch(
    state: TrainingState, params: TrainParams, device: torch.device, checkpoint: Checkpoint | None
) -> float:
    """What is left of the epoch that `state` is in.

    Returns:
        The mean training loss of a sample of that epoch.
    """
    state.network.train()
    batches = state.feed.epoch(state.epoch, params.batch_size, params.seed, state.batch)
    for images, labels in batches:
        seed_step(params.seed, state.step)
        state.optimizer.zero_grad(set_to_none=True)
        loss = train_step(state.network, images, labels, params, device)
        state.optimizer.step()
        state.schedule.step()
        state.loss_sum += loss * len(images)
        state.samples += len(images)
        state.batch += 1
        if checkpoint:
            checkpoint.save_if_due(state)
    return float(state.loss_sum) / state.samples


def fit(
    network: nn.Sequential,
    training: Feed,
    validation: tuple[np.ndarray, Tensor],
    params: TrainParams,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Train with AdamW and one cycle of the learning rate.

    Args:
        network: normalisation, then the core whose weights are kept; from uint8 images to logits.
        training: the batches of each epoch.
        validation: uint8 (images, 3, height, width) and the class numbers, int64 (images,).
        params: the train block.
        device: where it runs.
        checkpoint: where an interrupted training goes on from; None: it is not kept.

    Raises:
        UserError: where the loss becomes infinite or no number, or the GPU's memory is too small.
    """
    network.to(device)
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)
    training.to(device)
    state = TrainingState(network, training, params, device)
    if checkpoint:
        checkpoint.restore(state)
    while state.epoch <= params.epochs:
        try:
            train_loss = train_epoch(state, params, device, checkpoint)
        except torch.OutOfMemoryError:
            raise UserError(
                f"params.yaml train.batch_size: {params.batch_size} images at once do not fit in "
                f"the memory of {device}; lower it, or train.image_size"
            ) from None
        judged = judge(network, validation, device)
        if not (math.isfinite(train_loss) and math.isfinite(judged.loss)):
            raise UserError(
                f"params.yaml train: the loss left all bounds in epoch {state.epoch}; "
                "lower train.learning_rate"
            )
        row = {
            "epoch": state.epoch,
            "train_loss": train_loss,
            "validation_loss": judged.loss,
            "validation_accuracy": judged.accuracy,
        }
        state.end_epoch(row, device)
        report_epoch(row, params.epochs)
        if checkpoint:
            checkpoint.save_if_due(state, end_of_epoch=True)
    return Fitted(state.best_weights, pd.DataFrame(state.history))


def judge(
    network: nn.Module, validation: tuple[np.ndarray, Tensor], device: torch.device
) -> Judged:
    """How well the network does on images and class numbers that it is not trained on."""
    images, labels = validation
    logits = predict(network, images, device)
    loss = float(functional.cross_entropy(logits, labels))
    return Judged(loss, float((logits.argmax(1) == labels).float().mean()))


def report_epoch(row: dict[str, float], epochs: int) -> None:
    """Say the numbers of an epoch, and how many of all are done."""
    numbers = [f"{k.replace('_', ' ')} {v:.4f}" for k, v in row.items() if k != "epoch"]
    events.say(f"epoch {row['epoch']}: {', '.join(numbers)}")
    events.emit("progress", what="training", done=row["epoch"], total=epochs)
