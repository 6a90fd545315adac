"""The training loop: epochs over the samples, each followed by the loss on the validation split."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.common import events
from tasks.common.errors import UserError
from tasks.train.feed import Feed, shuffled_batches
from tasks.train.inference import autocast, predict
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


def train_epoch(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    params: TrainParams,
    device: torch.device,
) -> float:
    """One pass over the batches of an epoch, which lie on `device`; see Feed.epoch().

    Returns:
        The mean training loss of a sample.
    """
    network.train()
    total = torch.zeros((), device=device)
    seen = 0
    for images, labels in batches:
        with autocast(device):
            logits = network(images)
        loss = functional.cross_entropy(
            logits.float(), labels, label_smoothing=params.label_smoothing
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.detach() * len(images)
        seen += len(images)
    return float(total) / seen


def build_optimizer(
    network: nn.Module, images: int, params: TrainParams
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW, and one cycle of its learning rate over all steps; `images`: shown in an epoch."""
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=params.learning_rate,
        weight_decay=params.weight_decay,
        fused=next(network.parameters()).is_cuda,
    )
    batches = list(shuffled_batches(images, params.batch_size, torch.Generator()))
    steps = params.epochs * len(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, params.learning_rate, total_steps=max(steps, 2)
    )
    return optimizer, schedule


def fit(
    network: nn.Sequential,
    training: Feed,
    validation: tuple[np.ndarray, Tensor],
    params: TrainParams,
    device: torch.device,
) -> tuple[dict[str, Tensor], pd.DataFrame]:
    """Train with AdamW and one cycle of the learning rate.

    Args:
        network: normalisation, then the core whose weights are kept; from uint8 images to logits.
        training: the batches of each epoch.
        validation: uint8 (images, 3, height, width) and the class numbers, int64 (images,).
        params: the train block.
        device: where it runs.

    Returns:
        The core's weights, on the CPU, after the epoch with the best validation accuracy (among
        equals, the least loss); and a row for each epoch: epoch, train_loss, validation_loss,
        validation_accuracy.

    Raises:
        UserError: where the loss becomes infinite or no number, or the GPU's memory is too small.
    """
    network.to(device)
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)
    training.to(device)
    optimizer, schedule = build_optimizer(network, len(training), params)
    generator = torch.Generator().manual_seed(params.seed)
    best_weights: dict[str, Tensor] = {}
    best = (-1.0, 0.0)  # accuracy, then loss with its sign turned
    history = []
    for epoch in range(1, params.epochs + 1):
        shown = training.epoch(epoch, params.batch_size, generator)
        try:
            train_loss = train_epoch(network, shown, optimizer, schedule, params, device)
        except torch.OutOfMemoryError:
            raise UserError(
                f"params.yaml train.batch_size: {params.batch_size} images at once do not fit in "
                f"the memory of {device}; lower it, or train.image_size"
            ) from None
        judged = judge(network, validation, device)
        if not (math.isfinite(train_loss) and math.isfinite(judged.loss)):
            raise UserError(
                f"params.yaml train: the loss left all bounds in epoch {epoch}; "
                "lower train.learning_rate"
            )
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": judged.loss,
            "validation_accuracy": judged.accuracy,
        }
        history.append(row)
        report_epoch(row, params.epochs)
        if (judged.accuracy, -judged.loss) > best:
            best = (judged.accuracy, -judged.loss)
            best_weights = copy_of_weights(network[-1])
    return best_weights, pd.DataFrame(history)


def judge(
    network: nn.Module, validation: tuple[np.ndarray, Tensor], device: torch.device
) -> Judged:
    """How well the network does on images and class numbers that it is not trained on."""
    images, labels = validation
    logits = predict(network, images, device)
    loss = float(functional.cross_entropy(logits, labels))
    return Judged(loss, float((logits.argmax(1) == labels).float().mean()))


def copy_of_weights(network: nn.Module) -> dict[str, Tensor]:
    """The network's weights by name, on the CPU; later training does not change them.

    Each is contiguous, which on a GPU they are not: safetensors saves no others.
    """
    weights = network.state_dict()
    return {
        name: weight.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, weight in weights.items()
    }


def report_epoch(row: dict[str, float], epochs: int) -> None:
    """Say the numbers of an epoch, and how many of all are done."""
    numbers = [f"{k.replace('_', ' ')} {v:.4f}" for k, v in row.items() if k != "epoch"]
    events.say(f"epoch {row['epoch']}: {', '.join(numbers)}")
    events.emit("progress", what="training", done=row["epoch"], total=epochs)
