"""A decoder that ends its process at crash.png; workers import this, and no torch."""

import os
from pathlib import Path

import numpy as np

from tasks.commands.predict import files
from tasks.pixels.preprocess import Preprocessing

decode = Preprocessing.read


def read(self: Preprocessing, data: bytes, keep_depth: bool = False) -> np.ndarray:
    """Preprocessing.read(), but for that file."""
    if data == Path("crash.png").read_bytes():
        os._exit(1)
    return decode(self, data, keep_depth)


def read_batch(task: files.Task) -> files.Read:
    """files.read_batch() with this decoder."""
    Preprocessing.read = read  # type: ignore[method-assign]
    return files.read_batch(task)
