"""Decode images into one uint8 array on disk, all of one size, for training and evaluation.

Every image is decoded once, by worker processes, into an array that all epochs read from: decoding
again in every epoch would take longer than training a small network.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks.common import events, machine, workers
from tasks.common.temporary import locked_beside, remove_abandoned
from tasks.dataset import image_bytes
from tasks.dataset.selections import usable, written_variants
from tasks.model.images import InputForm, as_input
from tasks.pixels.preprocess import AS_DECODED

IMAGES_PER_TASK = 128
COLUMNS = [
    "source_id",
    "variant_index",
    "label",
    "source_label",
    "path",
    "offset",
    "length",
    "sha256",
]


class DecodeTask(NamedTuple):
    """The work of one worker: decode `files` into `array`, from index `first` on."""

    array: Path  # the .npy file to write into
    first: int
    files: pd.DataFrame
    form: InputForm


def training_files(validated: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """The images of the training split: the originals, then their written variants.

    Returns:
        source_id; variant_index, 0 for an original; label, what it shows; source_label; path;
        offset in bytes, null where the image is a file of its own; length in bytes; sha256.
    """
    stored = image_bytes.locate_variants(written_variants(ledger))
    return pd.concat([split_files(validated, "train"), stored[COLUMNS]], ignore_index=True)


def split_files(validated: pd.DataFrame, split: str) -> pd.DataFrame:
    """The originals of a split, in the columns of training_files()."""
    rows = image_bytes.locate_images(usable(validated, split))
    rows = rows.assign(variant_index=0, source_label=rows["label"])
    return rows[COLUMNS].reset_index(drop=True)


@contextmanager
def decoded_images(files: pd.DataFrame, form: InputForm, what: str) -> Iterator[np.ndarray]:
    """The images of `files` in their order and one form; removed when the block ends.

    Args:
        files: see training_files().
        form: of the network's input.
        what: what is done, for the line that shows progress.

    Yields:
        uint8 (images, 3, size, size), read from disk as needed.

    Raises:
        UserError: where bytes are not those that the manifests name.
    """
    remove_abandoned(machine.cache_folder())
    with locked_beside(machine.cache_folder() / "decoded", Path.mkdir) as folder:
        path = folder / "images.npy"
        _allocate(path, (len(files), 3, form.size, form.size))
        starts = range(0, len(files), IMAGES_PER_TASK)
        tasks = (
            DecodeTask(path, start, files.iloc[start : start + IMAGES_PER_TASK], form)
            for start in starts
        )
        done = workers.map_ordered(_decode_part, tasks, preload="tasks.model.image_array")
        for _ in events.track(done, len(starts), what, "part"):
            pass
        yield np.load(path, mmap_mode="r")


def _allocate(path: Path, shape: tuple[int, ...]) -> None:
    """Make a uint8 array on disk and reserve its space.

    Without the space, writing to the mapped file of a full disk would end the process by a signal.

    Raises:
        OSError: where the disk has no room for it.
    """
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path.parent.parent)) from None


def _decode_part(task: DecodeTask) -> None:
    """Decode some files into the array; runs in a worker."""
    array, form = np.load(task.array, mmap_mode="r+"), task.form
    for index, row in enumerate(task.files.itertuples(index=False), task.first):
        preprocessing = form.preprocessing if row.variant_index == 0 else AS_DECODED
        array[index] = as_input(preprocessing.read(read_bytes(row)), form.size, form.fit)


def read_bytes(row: Any) -> bytes:
    """The encoded bytes of a row of training_files().

    Raises:
        UserError: where they are not those that the row's sha256 names.
    """
    return image_bytes.read_checked(
        row, "bytes differ from the manifest's; `variegate verify` tells which"
    )


def in_memory_if_small(array: np.ndarray) -> np.ndarray:
    """A copy of `array` in memory where it takes less than a quarter of that, else `array`."""
    return np.array(array) if array.nbytes < machine.memory_bytes() / 4 else array
