"""The bound of the private cache: beyond it, what was used longest ago is removed first.

Segments (tasks/augment/segment_cache.py), arrays (tasks/model/array_cache.py), trainings of studies
(tasks/studies/trainings/keeping.py), what was fetched (tasks/dataset/dvc_remote.py) and thumbnails
(flows/explorer/pictures.py) share it.
What belongs together has one stem: all before the first `-`.
"""

from collections import defaultdict
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tasks.common import machine
from tasks.common.temporary import remove_abandoned

FOLDERS = ("segments", "arrays", "trainings", "fetched", "thumbnails")
COUNTED = {".tar", ".npy", ".npz", ".raw", ".thumbnail"}  # others are small
# Their times are set with each use, those of `.raw` once: they say which state of a file was read.
# A tar shares its times with DVC's cache: left alone.
TOUCHED = {".sources", ".npy", ".npz", ".raw", ".thumbnail"}


class Kept(NamedTuple):
    """Files of one stem. `last_used`: in ns, 0 where nothing says it. `size`: in bytes."""

    last_used: int
    files: list[Path]
    size: int


def trim_cache(limit_bytes: int) -> None:
    """Remove what killed runs left, and what is longest unused beyond `limit_bytes`."""
    folders = [machine.cache_folder() / name for name in FOLDERS]
    for folder in folders:
        remove_abandoned(folder)
    kept = sorted(chain.from_iterable(map(_entries, folders)))
    excess = sum(entry.size for entry in kept) - limit_bytes
    for entry in kept:
        if excess <= 0:
            return
        for file in entry.files:
            file.unlink(missing_ok=True)
        excess -= entry.size


def _entries(folder: Path) -> list[Kept]:
    groups: dict[Path, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*"), reverse=True):  # of a segment its tar comes last
        if path.is_file() and not path.name.startswith("."):
            stem = path.name.partition("-")[0].partition(".")[0]
            groups[path.with_name(stem)].append(path)
    return [_entry(files) for files in groups.values()]


def _entry(files: list[Path]) -> Kept:
    last_used, size = 0, 0
    for file in files:
        with suppress(FileNotFoundError):  # another process removed it
            found = file.stat()
            size += found.st_size * (file.suffix in COUNTED)
            last_used = max(last_used, found.st_mtime_ns * (file.suffix in TOUCHED))
    return Kept(last_used, files, size)
