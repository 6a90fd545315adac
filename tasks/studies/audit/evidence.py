"""Evidence that variants of a class became another: where they lie, and what tells them apart."""

from typing import NamedTuple

import numpy as np


class Images(NamedTuple):
    """Features of images, with what is known of each.

    Attributes:
        features: float32 (images, dimensions).
        labels: the class each ought to be, as a number, int64 (images,): of a variant what
            `relabel` makes of it, else that of its source.
        sources: the number of each one's source, int64 (images,): an original is its own.
    """

    features: np.ndarray
    labels: np.ndarray
    sources: np.ndarray


class Share(NamedTuple):
    """A share of images: how many of how many, and the 95% interval of Wilson."""

    found: int
    of: int
    low: float
    high: float
