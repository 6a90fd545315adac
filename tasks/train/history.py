"""The history of a training: a row for each epoch, and which of them is the best."""

from typing import NamedTuple

import pandas as pd
from torch import Tensor


class Fitted(NamedTuple):
    """What training gives.

    `weights`: the core's, on the CPU, after the epoch with the best validation accuracy (among
    equals, the least loss). `history`: a row for each epoch: epoch, train_loss, validation_loss,
    validation_accuracy.
    """

    weights: dict[str, Tensor]
    history: pd.DataFrame


def best_epoch(history: list[dict[str, float]]) -> dict[str, float]:
    """The row with the best validation accuracy; among equals the least loss, then the first."""
    return max(history, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))
