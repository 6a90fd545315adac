"""Predictions of the trained model for image files, batch by batch."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tasks.commands.predict.files import Found, read_files
from tasks.common import events
from tasks.common.params import read_params
from tasks.dataset.raw_files import printable_name
from tasks.model.device import choose_device, fix_randomness
from tasks.model.images import InputForm
from tasks.model.inference import predict
from tasks.model.saved_model import load_model
from tasks.train.params import TrainParams
from tasks.workers import processes

DIGITS = 6  # of a probability; beyond them a batch's size has a part


class Prediction(NamedTuple):
    """What the model says of a file.

    `label`: the likeliest class, and its `probability`; `probabilities`: of every class. All None
    where the file could not be read; `error` says why.
    """

    file: str
    label: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    error: str | None


def predictions(found: Found) -> Iterator[Prediction]:
    """What the model says of each file, in order.

    The preprocessing is that of the model's card, and probabilities are softmax(logits divided by
    its temperature). Memory holds a few batches, however many files there are.

    Raises:
        UserError: where there is no trained model.
    """
    processes.start_early("tasks.commands.predict.files")
    params = read_params("train", TrainParams)
    fix_randomness(params.seed, params.threads)
    network, card = load_model()
    device = choose_device()
    network.to(device)
    read = read_files(found.files, InputForm.from_card(card))
    batches = events.track(
        read, len(found.files), "predicting", "file", units_in=lambda batch: len(batch.files)
    )
    for batch in batches:
        rows = iter(_probabilities(network, batch.images, device, card.get("temperature", 1.0)))
        for path, error in zip(batch.files, batch.errors, strict=True):
            yield _prediction(path, None if error else next(rows), error, card["classes"])


def _probabilities(
    network: nn.Module, images: np.ndarray, device: torch.device, temperature: float
) -> np.ndarray:
    """Float64 (images, classes); rows add up to 1."""
    if not len(images):
        return np.empty((0, 0))
    logits = predict(network, images, device).double()
    return torch.softmax(logits / temperature, dim=1).numpy()


def _prediction(
    path: Path, probabilities: np.ndarray | None, error: str | None, classes: list[str]
) -> Prediction:
    name = printable_name(str(path))
    if probabilities is None:
        return Prediction(name, None, None, None, error)
    rounded = [round(float(value), DIGITS) for value in probabilities]
    best = int(probabilities.argmax())
    of_classes = dict(zip(classes, rounded, strict=True))
    return Prediction(name, classes[best], rounded[best], of_classes, None)
