"""The loop: epochs over the training images, judged on the validation split after each."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.common import events
from tasks.common.errors import UserError
from tasks.train.feed import Feed, batches
from tasks.train.inference import autocast, on_device, predict
from tasks.train.params import TrainParams


def channel_statistics(array: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 (images, 3, height, width), in 0..1, to 4 digits."""
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
    coming: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    params: TrainParams,
    device: torch.device,
) -> float:
    """One pass over batches of uint8 images and class numbers; returns the mean loss."""
    network.train()
    total = torch.zeros((), device=device)
    seen = 0
    for images, labels in coming:
        with autocast(device):
            logits = network(on_device(images, device))
        wanted = labels.to(device)
        loss = functional.cross_entropy(
            logits.float(), wanted, label_smoothing=params.label_smoothing
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.detach() * len(images)
        seen += len(images)
    return float(total) / seen


def fit(
    network: nn.Sequential,
    training: Feed,
    validation: tuple[np.ndarray, Tensor],
    params: TrainParams,
    device: torch.device,
) -> tuple[dict[str, Tensor], pd.DataFrame]:
    """Train; returns the weights of the best epoch (validation accuracy, then loss) and the history, a row an epoch."""
    network.to(device)
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay
    )
    steps = params.epochs * len(list(batches(len(training), params.batch_size, torch.Generator())))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, params.learning_rate, total_steps=max(steps, 2)
    )
    generator = torch.Generator().manual_seed(params.seed)
    best: dict[str, Tensor] = {}
    best_key = (-1.0, 0.0)
    history = []
    for epoch in range(1, params.epochs + 1):
        coming = training.epoch(epoch, params.batch_size, generator)
        train_loss = train_epoch(network, coming, optimizer, schedule, params, device)
        logits = predict(network, validation[0], device)
        loss = float(functional.cross_entropy(logits, validation[1]))
        if not (math.isfinite(train_loss) and math.isfinite(loss)):
            raise UserError(
                f"params.yaml train: the loss left all bounds in epoch {epoch}; lower train.learning_rate"
            )
        accuracy = float((logits.argmax(1) == validation[1]).float().mean())
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
        }
        history.append(row)
        events.say(
            f"epoch {epoch}: "
            + ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in row.items() if k != "epoch")
        )
        events.emit("progress", what="training", done=epoch, total=params.epochs)
        if (accuracy, -loss) > best_key:
            best_key = (accuracy, -loss)
            best = {
                name: weight.detach().cpu().clone()
                for name, weight in network[-1].state_dict().items()
            }
    return best, pd.DataFrame(history)
