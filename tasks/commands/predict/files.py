"""Image files named on the command line, read and decoded as ingest reads those of data/raw."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.common.errors import UserError
from tasks.dataset.clutter import is_clutter, is_document
from tasks.dataset.raw_files import list_files, path_key
from tasks.ingest.containers import MAX_BYTES
from tasks.ingest.tar_shards import is_tar
from tasks.model.images import InputForm, as_input
from tasks.pixels import file_kinds
from tasks.pixels.decode import UndecodableError
from tasks.pixels.hashing import sha256
from tasks.validate import isolation
from tasks.workers.ordered import map_ordered

FILES_PER_TASK = 64
MOST_DEATHS = 1000  # of workers: an image that ends one twice is set aside
TAR = "a tar: unpack it first; images inside it are read in data/raw alone"
IDX = "an idx file: its images are read in data/raw alone"


class Found(NamedTuple):
    """The files to read, in order; how many others the folders hold, which are left out."""

    files: list[Path]
    left_out: int


class Task(NamedTuple):
    """The work of one worker."""

    files: list[Path]
    form: InputForm


class Read(NamedTuple):
    """Some files: `images`, uint8 (those that could be read, 3, size, size).

    `errors`: for each file why it could not be read, as quarantine says it; None where it could.
    """

    files: list[Path]
    images: np.ndarray
    errors: list[str | None]


class UnreadableError(Exception):
    """A file that gives no image; the text is its reason and detail."""


def find_files(paths: list[Path]) -> Found:
    """The files that `paths` name, in their order; of a folder those below it, by name.

    Clutter and documents in folders are left out; a file that is named itself is always taken.

    Raises:
        UserError: where there is none.
    """
    found: list[Path] = []
    left_out = 0
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        names = sorted(list_files(path), key=path_key)
        chosen = [name for name in names if not (is_clutter(name) or is_document(name))]
        found += [path / name for name in chosen]
        left_out += len(names) - len(chosen)
    if not found:
        raise UserError(f"{paths[0]}: needs images, found none")
    return Found(found, left_out)


def read_files(files: list[Path], form: InputForm) -> Iterator[Read]:
    """Read and decode files in worker processes; in order, in batches.

    A file that ends its decoder twice, or takes too long, is set aside as validate does it.
    """
    starts = range(0, len(files), FILES_PER_TASK)
    tasks = (Task(files[start : start + FILES_PER_TASK], form) for start in starts)
    yield from map_ordered(
        read_batch, tasks, preload=__name__, most_deaths=MOST_DEATHS, always_apart=True
    )
    isolation.clear_crashes()


def read_batch(task: Task) -> Read:
    """Read some files; runs in a worker."""
    crashes = isolation.read_crashes()
    images: list[np.ndarray] = []
    errors: list[str | None] = []
    for path in task.files:
        try:
            images.append(read_image(path, task.form, crashes))
            errors.append(None)
        except UnreadableError as error:
            errors.append(str(error))
    size = task.form.size
    stacked = np.stack(images) if images else np.empty((0, 3, size, size), np.uint8)
    return Read(task.files, stacked, errors)


def read_image(path: Path, form: InputForm, crashes: dict[str, isolation.Crashes]) -> np.ndarray:
    """The image of a file as the network takes it: uint8 (3, size, size).

    Raises:
        UnreadableError: where it has none.
    """
    data = _read(path)
    key = sha256(data)
    if verdict := isolation.reason_to_quarantine(key, crashes):
        raise UnreadableError(f"corrupt: {verdict}")
    try:
        with isolation.isolated(key):
            return as_input(form.preprocessing.read(data), form.size, form.fit)
    except UndecodableError as error:
        raise UnreadableError(f"{error.reason}: {error}") from None


def _read(path: Path) -> bytes:
    """The bytes of a file that may be an image."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer
            problem = "is a link to a folder" if path.is_dir() else "is no regular file"
            raise UnreadableError(f"unreadable: {problem}")
        with path.open("rb") as file:
            start = file.read(file_kinds.START_BYTES)
            if kind := _no_image(path, start):
                raise UnreadableError(f"not_an_image: {kind}")
            size = path.stat().st_size
            if size > MAX_BYTES:
                raise UnreadableError(f"too_large: {size:,} bytes, over {MAX_BYTES:,}")
            return start + file.read()
    except OSError as error:
        raise UnreadableError(f"unreadable: {error.strerror}") from None


def _no_image(path: Path, start: bytes) -> str | None:
    """What a file is that holds no image, or several; None where it may be one."""
    if is_tar(str(path), start[:512]):
        return TAR
    if start.startswith(b"\0\0\x08\3"):
        return IDX
    return file_kinds.describe(start)
