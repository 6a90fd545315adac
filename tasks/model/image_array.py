"""Decode images into one uint8 array on disk, all of one size, for training and evaluation.

Every image is decoded once, by worker processes, into an array that all epochs read from: decoding
again in every epoch would take longer than training a small network. The array is kept in the
private cache, so a second training decodes nothing, and one with more images only these.
"""

import importlib.metadata
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks.common import events, machine
from tasks.dataset import image_bytes
from tasks.dataset.selections import usable, written_variants
from tasks.model.array_cache import Wanted, kept_array, start_of_items, write_items
from tasks.model.images import INPUT_VERSION, InputForm, as_input
from tasks.pixels.decode import DECODING
from tasks.pixels.preprocess import AS_DECODED
from tasks.workers import cluster
from tasks.workers.ordered import map_ordered

IMAGES_PER_TASK = 128
LIBRARIES = ("numpy", "opencv-python-headless", "pi-heif", "pillow")  # that decode and scale
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
    """The work of one worker: decode `files` into `array`, at `places`."""

    array: Path  # the .npy file to write into
    start: int  # the byte at which its items begin
    places: np.ndarray
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


def decoded_images(
    files: pd.DataFrame, form: InputForm, what: str
) -> AbstractContextManager[np.ndarray]:
    """The images of `files` in their order and one form, as long as the block lasts.

    Args:
        files: see training_files().
        form: of the network's input.
        what: what is done, for the line that shows progress.

    Returns:
        Of uint8 (images, 3, size, size), read from disk as needed.

    Raises:
        UserError: where bytes are not those that the manifests name.
    """

    def decode(array: Path, places: np.ndarray) -> None:
        numbers = range(0, len(places), IMAGES_PER_TASK)
        parts = (slice(number, number + IMAGES_PER_TASK) for number in numbers)
        start = start_of_items(array)
        # once: picking rows by their numbers costs a pass over all where columns have several parts
        wanted = files.iloc[places]
        tasks = (DecodeTask(array, start, places[part], wanted.iloc[part], form) for part in parts)
        done = map_ordered(
            _decode_part,
            tasks,
            preload="tasks.model.image_array",
            on_cluster=cluster.shares_folder(),  # else there is no array that workers can write to
        )
        for _ in events.track(done, len(numbers), what, "part", note=cluster.note):
            pass

    return kept_array(wanted_images(files, form), decode)


def wanted_images(files: pd.DataFrame, form: InputForm) -> Wanted:
    """What decides the array of decoded_images(): the bytes of the images, and how they are read.

    Stored variants were made of preprocessed originals: their preprocessing is none.
    """
    how = {
        "input": [INPUT_VERSION, form.to_card()],
        "decoding": DECODING,
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    kinds = np.where(files["variant_index"] == 0, "original", "variant")
    keys = np.char.add(files["sha256"].to_numpy(str), kinds).astype(bytes)
    return Wanted(how, keys, (3, form.size, form.size), np.uint8)


def _decode_part(task: DecodeTask) -> None:
    """Decode some files into the array; runs in a worker."""
    write_items(task.array, task.start, task.places, _decode(task.files, task.form))


def _decode(files: pd.DataFrame, form: InputForm) -> Iterator[np.ndarray]:
    for row in files.itertuples(index=False):
        preprocessing = form.preprocessing if row.variant_index == 0 else AS_DECODED
        yield as_input(preprocessing.read(read_bytes(row)), form.size, form.fit)


def read_bytes(row: Any) -> bytes:
    """The encoded bytes of a row of training_files().

    Raises:
        UserError: where they are not those that the row's sha256 names.
    """
    return image_bytes.read_checked(
        row, "bytes differ from the manifest's; `variegate verify` tells which"
    )


def in_memory_if_small(array: np.ndarray, copies: int = 1) -> np.ndarray:
    """A copy of `array` in memory where it takes less than a quarter of that, else `array`.

    `copies`: how many processes of this machine hold one.
    """
    return np.array(array) if array.nbytes * copies < machine.memory_bytes() / 4 else array
