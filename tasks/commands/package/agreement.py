"""Exported models compared with the weights on real images: none is handed out that differs."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks.commands.package import preprocess
from tasks.common import events
from tasks.common.errors import CheckFailedError
from tasks.model import image_array

TOLERANCE = 1e-4  # of a logit
BATCHES = (1, 2, 7)  # the sizes of the first batches, as a graph may be right for one size alone
BATCH_SIZE = 64  # of the others
FILES_PREPROCESSED = 256  # at most, to compare
GREY_LEVELS = 1  # that preprocess.py may differ by each time that it resizes

Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # images to logits, probabilities


class Outputs(NamedTuple):
    """Of some images: `logits` and `probabilities`, float32 (images, classes)."""

    logits: np.ndarray
    probabilities: np.ndarray


class Checked(NamedTuple):
    """What was compared before the folder was put in place.

    `images`: how many the models were compared on, and `split` which; `worst`: the largest
    difference of a logit, by file; `preprocessed`: see require_same_pixels(); `accuracy`: of the
    model on these images.
    """

    images: int
    split: str
    worst: dict[str, float]
    preprocessed: dict[str, int]
    accuracy: float


def outputs_of(run: Run, images: np.ndarray, what: str) -> Outputs:
    """The outputs of a model, batch by batch; `what` is done, for the line of progress."""
    batches = events.track(_batches(images), len(images), what, "image", units_in=len)
    parts = [Outputs(*run(batch)) for batch in batches]
    return Outputs(*map(np.concatenate, zip(*parts, strict=True)))


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """The images in batches of different sizes."""
    start = 0
    for size in BATCHES:
        yield from (np.array(images[start : start + size]),) if start < len(images) else ()
        start += size
    for first in range(start, len(images), BATCH_SIZE):
        yield np.array(images[first : first + BATCH_SIZE])


def require_agreement(file: str, found: Outputs, expected: Outputs, names: list[str]) -> float:
    """Compare an exported model with the weights.

    Args:
        file: the exported model's, for the error.
        found: its outputs.
        expected: those of the weights.
        names: of the images.

    Returns:
        The largest difference of a logit.

    Raises:
        CheckFailedError: where a logit or a probability differs by more than TOLERANCE, or any
            image is given another class.
    """
    if found.logits.shape != expected.logits.shape:
        shapes = f"{expected.logits.shape}, found {found.logits.shape}"
        raise CheckFailedError(f"{file}: needs logits of the shape {shapes}; nothing is written")
    differences = [
        np.abs(one.astype(np.float64) - other).max(axis=1)
        for one, other in zip(found, expected, strict=True)
    ]
    worst = float(differences[0].max())
    other_class = found.logits.argmax(axis=1) != expected.logits.argmax(axis=1)
    differs = other_class | ~(np.maximum(*differences) <= TOLERANCE)  # NaN differs
    if differs.any():
        first = names[int(np.flatnonzero(differs)[0])]
        raise CheckFailedError(
            f"{file}: gives other results than the weights for {differs.sum():,} of {len(names):,} "
            f"images, {first} for one (logits differ by up to {worst:.2g}, {TOLERANCE:g} is "
            f"allowed; {other_class.sum():,} get another class); nothing is written"
        )
    return worst


def require_same_pixels(
    files: pd.DataFrame, array: np.ndarray, card: dict[str, Any]
) -> dict[str, int]:
    """Compare what preprocess.py makes of image files with what the model was trained on.

    Args:
        files: see image_array.split_files(); of many, some are compared.
        array: of the files, as decoded_images() gives it.
        card: of the model.

    Returns:
        How many files were compared, and how many of them preprocess.py does not take.

    Raises:
        CheckFailedError: where a grey level differs by more than grey_levels().
    """
    refused, allowed = 0, grey_levels(card)
    chosen = spread(len(files), FILES_PREPROCESSED)
    for index in events.track(chosen, len(chosen), "checking preprocess.py", "image"):
        row = files.iloc[index]
        data = image_array.read_bytes(row)
        try:
            pixels = preprocess.as_input(data, card)
        except Exception:  # as many kinds as Pillow's decoders raise
            refused += 1
            continue
        worst = int(np.abs(pixels.astype(int) - array[index]).max())
        if worst > allowed:
            raise CheckFailedError(
                f"preprocess.py: gives {row.path} other pixels than training had, by up to "
                f"{worst} grey levels ({allowed} is allowed); nothing is written"
            )
    return {"compared": len(chosen) - refused, "refused": refused}


def grey_levels(card: dict[str, Any]) -> int:
    """By how many levels preprocess.py may differ: images are resized once, and by each step."""
    steps = card["preprocessing"]["preprocess"]
    return GREY_LEVELS * (1 + sum("resize" in step for step in steps))


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` indices, evenly spread."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()
