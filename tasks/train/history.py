"""The history of a training: a row for each epoch, and which of them is the best."""

from typing import NamedTuple

import pandas as pd
from torch import Tensor


class Fitted(NamedTuple):
    """What training gives.

    `weights`: the core's, on the CPU, after the epoch with the best validation accuracy (among
    equals, the least loss). `history`: a row for each epoch: epoch, train_loss, validation_loss,
    validation_accuracy. `images_at_once`: how many images of a batch the device had room for;
    None: all.
    """

    weights: dict[str, Tensor]
    history: pd.DataFrame
    images_at_once: int | None = None


def epochs_without_improvement(history: list[dict[str, float]]) -> int:
    """How many epochs ago the validation accuracy was better than ever before."""
    accuracies = [row["validation_accuracy"] for row in history]
    return len(history) - 1 - accuracies.index(max(accuracies)) if history else 0


def best_epoch(history: list[dict[str, float]]) -> dict[str, float]:
    """The row with the best validation accuracy; among equals the least loss, then the first."""
    return max(history, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))
