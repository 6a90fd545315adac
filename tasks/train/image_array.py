"""Which images training sees, and those images as one array of one size.

Every image is decoded once, by the worker processes, into an array on disk that the epochs read from: decoding again in
every epoch would take longer than training a small network.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.common import events, machine, workers
from tasks.common.temporary import locked_beside, remove_abandoned
from tasks.dataset import image_bytes
from tasks.dataset.selections import usable, written_variants
from tasks.pixels.convert import resize, to_8_bits, to_rgb
from tasks.pixels.decode import decode

IMAGES_PER_TASK = 128
COLUMNS = ["source_id", "variant_index", "label", "path", "offset", "length", "sha256"]


def training_files(validated: pd.DataFrame, variants: pd.DataFrame) -> pd.DataFrame:
    """Originals and written variants of the training split.

    Columns: source_id, variant_index, label, path, offset (null: the whole file) and length in bytes, sha256.
    """
    stored = image_bytes.locate_variants(written_variants(variants))
    return pd.concat([split_files(validated, "train"), stored[COLUMNS]], ignore_index=True)


def split_files(validated: pd.DataFrame, split: str) -> pd.DataFrame:
    """The originals of a split, in the columns of training_files()."""
    rows = image_bytes.locate(usable(validated, split)).assign(variant_index=0)
    return rows[COLUMNS].reset_index(drop=True)


@contextmanager
def decoded(files: pd.DataFrame, size: int, what: str) -> Iterator[np.ndarray]:
    """The images of `files` as uint8 (images, 3, size, size), RGB; squeezed to squares. Gone when the block ends.

    Raises:
        UserError: where bytes are not those that the manifests name.
    """
    remove_abandoned(machine.cache_folder())
    with locked_beside(machine.cache_folder() / "decoded", Path.mkdir) as folder:
        path = folder / "images.npy"
        _allocate(path, (len(files), 3, size, size))
        starts = range(0, len(files), IMAGES_PER_TASK)
        tasks = (
            (path, start, files.iloc[start : start + IMAGES_PER_TASK], size) for start in starts
        )
        done = workers.map_ordered(_decode_part, tasks, preload="tasks.train.image_array")
        for _ in events.track(done, len(starts), what, "part"):
            pass
        yield np.load(path, mmap_mode="r")


def _allocate(path: Path, shape: tuple[int, ...]) -> None:
    """An array on disk that has its room there: writing to a mapped file where the disk is full ends the process."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path.parent.parent)) from None


def _decode_part(task: tuple[Path, int, pd.DataFrame, int]) -> None:
    """Decode some files into their places of the array at `path`."""
    path, start, files, size = task
    array = np.load(path, mmap_mode="r+")
    for place, row in enumerate(files.itertuples(index=False), start):
        array[place] = as_input(decode(read_bytes(row)).pixels, size)


def as_input(pixels: np.ndarray, size: int) -> np.ndarray:
    """An image as the network takes it: uint8 (3, size, size), RGB."""
    return resize(to_rgb(to_8_bits(pixels)), size, size).transpose(2, 0, 1)


def read_bytes(row: Any) -> bytes:
    """The encoded bytes of a row of training_files().

    Raises:
        UserError: where they are not those that the row's sha256 names.
    """
    return image_bytes.read_checked(
        row, "bytes differ from the manifest's; `variegate verify` tells which"
    )


def usable_memory(array: np.ndarray) -> np.ndarray:
    """`array` in memory where it takes less than a quarter of it, else as it is: read from disk as needed."""
    return np.array(array) if array.nbytes < machine.memory_bytes() / 4 else array
