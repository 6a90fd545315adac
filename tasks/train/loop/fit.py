"""The training loop: epochs over the samples, each followed by the loss on the validation split."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.common import events
from tasks.common.errors import UserError
from tasks.common.events import Progress
from tasks.common.texts import counted
from tasks.model.device import resident
from tasks.model.inference import predict
from tasks.train.distributed.batch_norm import share_batch_norms
from tasks.train.distributed.group import ALONE, Group
from tasks.train.feed import Feed
from tasks.train.history import Fitted, epochs_without_improvement
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.gradients import Loss, add_gradients
from tasks.train.loop.optimization import seed_step
from tasks.train.loop.out_of_memory import lower_images_at_once, told_in_one_line
from tasks.train.loop.state import DivergedError, TrainingState
from tasks.train.order import batches_per_epoch, size_of_batch
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


def train_step(state: TrainingState, images: Tensor, labels: Tensor, loss: Loss) -> None:
    """One step: gradients of a batch, clipped, and the weights changed by them.

    `images`, `labels`: this process's share of the batch.
    """
    count = size_of_batch(len(state.feed), state.params.batch_size, state.batch)
    mean = None
    while mean is None:
        seed_step(state.params.seed, state.step, state.group.rank)
        state.optimizer.zero_grad(set_to_none=True)
        # outside of the handler nothing holds on to what was computed in vain
        with suppress(torch.OutOfMemoryError):
            mean = add_gradients(state.forward, images, labels, loss, state.images_at_once, count)
        if mean is None:
            lower_images_at_once(state, images, labels, loss)
    if state.gradient_sum:
        state.gradient_sum.finish(mean)
    if state.params.clip_norm is not None:
        nn.utils.clip_grad_norm_(state.network.parameters(), state.params.clip_norm)
    state.optimizer.step()
    state.schedule.step()
    state.end_step(mean, count)


def train_epoch(
    state: TrainingState, loss: Loss, progress: Progress, checkpoint: Checkpoint | None
) -> float:
    """What is left of the epoch that `state` is in.

    Returns:
        The mean training loss of a sample of that epoch.

    Raises:
        UserError: where the loss leaves all bounds, or the device has too little memory.
    """
    state.network.train()
    params = state.params
    batches = state.feed.epoch(state.epoch, params.batch_size, params.seed, state.batch)
    for images, labels in batches:
        done = state.samples
        train_step(state, images, labels, loss)
        progress.advance(state.samples - done)
        if checkpoint:
            checkpoint.save_if_due(state)
    state.require_finite()
    return float(state.loss_sum) / max(state.samples, 1)


def fit(
    network: nn.Sequential,
    training: Feed,
    validation: tuple[np.ndarray, Tensor],
    params: TrainParams,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    class_weights: Tensor | None = None,
    after_epoch: Callable[[list[dict[str, float]]], None] = lambda history: None,
) -> Fitted:
    """Train with AdamW; docs/training.md says what is done.

    Args:
        network: normalisation, then the core whose weights are kept; from uint8 images to logits.
        training: the batches of each epoch.
        validation: uint8 (images, 3, height, width) and the class numbers, int64 (images,).
        params: the train block.
        device: where it runs.
        checkpoint: where an interrupted training goes on from; None: it is not kept.
        class_weights: of the loss, see balance.py.
        after_epoch: is given the history so far.

    Raises:
        DivergedError: where the loss leaves all bounds.
        UserError: where there are too few images, or the device has too little memory.
    """
    if batches_per_epoch(len(training), params.batch_size) == 0:
        raise UserError(f"training needs 2 images in an epoch at least, found {len(training)}")
    network.to(device)
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)
    group = training.group
    if group.size > 1:
        share_batch_norms(network)
    training.to(device)
    share = group.share_of(validation[0])
    there = resident(share, device, beside=training.resident_bytes)
    held_out = (share if there is None else there, validation[1])
    state = TrainingState(network, training, params, device)
    if checkpoint:
        checkpoint.restore(state)
    weights = None if class_weights is None else class_weights.float().to(device)
    loss = Loss(params.label_smoothing, weights)
    with training_progress(state, device) as progress, told_in_one_line(device):
        while not is_finished(state):
            train_loss = train_epoch(state, loss, progress, checkpoint)
            judged = judge(state.judged, held_out, device, group)
            if not math.isfinite(judged.loss):
                raise DivergedError(
                    "params.yaml train: the validation loss left all bounds in epoch "
                    f"{state.epoch}; lower train.learning_rate"
                )
            row = {
                "epoch": state.epoch,
                "train_loss": train_loss,
                "validation_loss": judged.loss,
                "validation_accuracy": judged.accuracy,
            }
            state.end_epoch(row, device)
            report_epoch(row)
            after_epoch(state.history)
            if checkpoint:
                checkpoint.save_if_due(state, end_of_epoch=True)
    if len(state.history) < params.epochs:
        events.say(
            f"training stopped after epoch {len(state.history)}: "
            f"no better validation accuracy in {counted(params.patience or 0, 'epoch')}"
        )
    return Fitted(state.best_weights, pd.DataFrame(state.history), state.images_at_once)


def is_finished(state: TrainingState) -> bool:
    """Whether all epochs are done, or patience is at its end."""
    patience = state.params.patience
    waited = epochs_without_improvement(state.history)
    return state.epoch > state.params.epochs or (patience is not None and waited >= patience)


def training_progress(state: TrainingState, device: torch.device) -> Progress:
    """What shows how far the training is, in images, from where `state` is."""

    def note() -> str:
        memory = ""
        if device.type == "cuda":
            memory = f", {torch.cuda.memory_reserved(device) / 2**30:.1f} GiB of {device}"
        return f"epoch {state.epoch} of {state.params.epochs}{memory}"

    epochs, done = state.params.epochs, state.epoch - 1
    per_epoch = len(state.feed)
    seen = done * per_epoch + state.samples
    return Progress(epochs * per_epoch, "training", "image", seen, note)


def judge(
    network: nn.Module,
    validation: tuple[np.ndarray | Tensor, Tensor],
    device: torch.device,
    group: Group = ALONE,
) -> Judged:
    """How well the network does on images and class numbers that it is not trained on.

    `validation`: this process's share of the images, and the class numbers of all.
    """
    images, labels = validation
    logits = logits_of_all(network, images, device, group)
    loss = float(functional.cross_entropy(logits, labels))
    return Judged(loss, float((logits.argmax(1) == labels).float().mean()))


def logits_of_all(
    network: nn.Module, share: np.ndarray | Tensor, device: torch.device, group: Group
) -> Tensor:
    """The logits of the shares of all processes, in their order: see predict()."""
    if group.size == 1:
        return predict(network, share, device)
    parts = group.gather(predict(network, share, device) if len(share) else None)
    return torch.cat([part for part in parts if part is not None])


def report_epoch(row: dict[str, float]) -> None:
    """Say the numbers of an epoch."""
    numbers = [f"{k.replace('_', ' ')} {v:.4f}" for k, v in row.items() if k != "epoch"]
    events.say(f"epoch {row['epoch']}: {', '.join(numbers)}")
