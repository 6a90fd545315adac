"""Encode preprocessed originals into files of their own, for exports of what training sees."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from tasks.common import events, machine
from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.common.temporary import locked_beside, remove_abandoned
from tasks.dataset import image_bytes
from tasks.dataset.manifests import read_preprocessing
from tasks.ingest.params import IngestParams
from tasks.pixels.encode import encode
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import Preprocessing
from tasks.workers.ordered import map_ordered

IMAGES_PER_TASK = 128


class EncodeTask(NamedTuple):
    """The work of one worker: encode the images of `rows` into `folder`."""

    rows: pd.DataFrame
    folder: Path
    preprocessing: Preprocessing


class EncodedFile(NamedTuple):
    """Where a preprocessed image lies, in the columns of image_bytes.read_row()."""

    path: str
    offset: None
    length: int
    sha256: str
    extension: str


def require_same_as_in_run() -> None:
    """Raises UserError where params.yaml says another preprocessing than the last run had."""
    if read_params("ingest", IngestParams).preprocessing != read_preprocessing():
        changed = "range or preprocess has changed since the dataset was made"
        raise UserError(f"params.yaml ingest: {changed}: `variegate run --until augment` first")


@contextmanager
def preprocessed(originals: pd.DataFrame, preprocessing: Preprocessing) -> Iterator[pd.DataFrame]:
    """The rows of originals, located in PNG files that hold them preprocessed, without loss.

    Args:
        originals: with the columns of image_bytes.read_row() and `source_id`.
        preprocessing: see there.

    Yields:
        The rows with other path, offset, length, sha256 and extension. The files are removed when
        the block ends.
    """
    remove_abandoned(machine.cache_folder())
    with locked_beside(machine.cache_folder() / "preprocessed", Path.mkdir) as folder:
        starts = range(0, len(originals), IMAGES_PER_TASK)
        tasks = (
            EncodeTask(originals.iloc[start : start + IMAGES_PER_TASK], folder, preprocessing)
            for start in starts
        )
        done = map_ordered(encode_files, tasks, preload=__name__)
        batches = events.track(done, len(originals), "preprocessing", "image", units_in=len)
        files = list(chain.from_iterable(batches))
        columns = pd.DataFrame(files, columns=EncodedFile._fields, index=originals.index)
        yield originals.assign(**columns)


def encode_files(task: EncodeTask) -> list[EncodedFile]:
    """Preprocess and encode some images; runs in a worker."""
    return [encode_file(row, task.folder, task.preprocessing) for row in task.rows.itertuples()]


def encode_file(row: Any, folder: Path, preprocessing: Preprocessing) -> EncodedFile:
    """Preprocess one image and write it as `<source_id>.png`.

    Raises:
        UserError: where its bytes are not those that the manifest names.
    """
    data = image_bytes.read_checked(row, "changed since it was validated; run from ingest again")
    encoded = encode(preprocessing.read(data, keep_depth=True), "png")
    path = folder / f"{row.source_id}.png"
    path.write_bytes(encoded)
    return EncodedFile(str(path), None, len(encoded), sha256(encoded), "png")
