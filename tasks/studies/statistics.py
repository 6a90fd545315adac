"""Is one arm better than another? Paired over seeds and images, corrected for many arms."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Difference(NamedTuple):
    """Of two mean accuracies, as fractions: its 95% interval and the p-value of no difference."""

    mean: float
    low: float
    high: float
    p: float


def compare(correct: np.ndarray, reference: np.ndarray, units: np.ndarray) -> Difference:
    """The difference of an arm to another one.

    Args:
        correct: which validation images the arm's models got right, bool (seeds, images).
        reference: the same of the other arm, with the same seeds and images.
        units: which images belong together, int (images,).
    """
    raise NotImplementedError


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that hold for all of them together: Holm's step-down procedure, 1979."""
    raise NotImplementedError


def seeds_needed(differences: np.ndarray, images: int) -> int | None:
    """How many more seeds would likely decide; None where no number of them would."""
    raise NotImplementedError
