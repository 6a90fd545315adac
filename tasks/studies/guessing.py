"""Whether models of a study have learned anything: else nothing is to be told of augmentation."""

import numpy as np

from tasks.evaluate.intervals import effective_units, wilson
from tasks.studies.numbers import percent


def guessing(accuracy: float, labels: np.ndarray, units: np.ndarray) -> str:
    """A sentence where models may be no better than naming the largest class; else empty.

    Args:
        accuracy: of models trained on originals.
        labels: of the validation images, int (images,).
        units: which of these belong together, int (images,).
    """
    largest = float(np.bincount(labels).max()) / len(labels)
    surely = float(wilson(accuracy, effective_units(np.bincount(units))).low)
    if surely > largest:
        return ""
    return (
        f"trained on originals, models are right on {percent(accuracy)} of {len(labels):,} "
        f"validation images; who always names the largest class is right on {percent(largest)}. "
        "That is too little to judge augmentation by: raise train.epochs, or have more images"
    )
