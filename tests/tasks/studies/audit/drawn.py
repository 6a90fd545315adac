"""Drawn images of arrows, as the files and the rows that an audit reads."""

import random

import cv2
import numpy as np
import pandas as pd

from tasks.pixels.encode import encode
from tests.tasks.augment.datasets import Dataset

SIDE = 16
TURNS = {"right": 0, "up": 1, "left": 2, "down": 3}  # by quarters, counter-clockwise


def arrow(label: str, rng: np.random.Generator) -> np.ndarray:
    """An arrow, uint8 (16, 16): its length, its place, its brightness and its noise differ.

    Turned and mirrored ones have the same distribution as those of the other classes.
    """
    large = np.zeros((4 * SIDE, 4 * SIDE), np.float32)
    middle, length = 2 * SIDE + rng.uniform(-5, 5, 2), rng.uniform(16, 22)
    ends = [(round(middle[0] + side * length), round(middle[1])) for side in (-1, 1)]
    cv2.arrowedLine(large, ends[0], ends[1], rng.uniform(150, 220), 7, tipLength=0.5)
    image = np.rot90(cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA), TURNS[label])
    noisy = image + rng.normal(20, 6, image.shape)
    return np.ascontiguousarray(np.clip(noisy, 0, 255).astype(np.uint8))


def arrows(labels: str = "left right", of_each: int = 40, prefix: str = "1") -> pd.DataFrame:
    """Write training images of arrows; the rows that validate would make of them."""
    dataset = Dataset(random.Random(1))
    dataset.files = {}
    rng = np.random.default_rng(5)
    for number in range(of_each):
        for label in labels.split():
            image = encode(arrow(label, rng), "png")
            dataset.files[f"{prefix}{label}-{number:03d}.png"] = label, image
    return dataset.validated()
