"""Store the files of a segment: its tar in the private cache, linked from data/augmented.

It is done where bytes are at hand: in threads of the stage, or by workers of a cluster that have
the project's folder. The stage itself then has rows to write, and no images to move.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tasks.augment.segments import FilePart, StoredSegment, has_bytes_of, name_of
from tasks.augment.tar_format import END
from tasks.common import machine
from tasks.common.temporary import atomic_write
from tasks.dataset.paths import SEGMENTS


class SegmentFiles(NamedTuple):
    """What the files of a segment consist of.

    Attributes:
        parts: the members of its tar, in order.
        whole: the stored segment that has all of them and no others, if there is one.
        kept: the members that data/augmented may have, by where they start and their size; None:
            all of them.
    """

    parts: list[bytes | FilePart]
    whole: StoredSegment | None = None
    kept: list[tuple[int, int]] | None = None


class SegmentNames(NamedTuple):
    """The tars of a segment, `<16 hex digits>.tar`; None where it would hold no image.

    `cached`: as its recipes make it; `written`: in data/augmented.
    """

    cached: str | None = None
    written: str | None = None


def store_files(files: SegmentFiles) -> SegmentNames:
    """Store the tar of a segment in the private cache, and what may be written in data/augmented.

    Done twice, or by two workers at once, it leaves what it leaves once.
    """
    data = [] if files.whole else read_tar(files.parts)
    name = files.whole.name if files.whole else name_of(data) if any(data[:-1]) else None
    if name is None:
        return SegmentNames()
    path = cached_segments() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if files.whole and files.whole.tar != path:
        _link(files.whole.tar, path)
    elif data and not has_bytes_of(path, name):
        _write(path, data)
    if files.kept is None:
        _link(path, SEGMENTS / name)
        return SegmentNames(name, name)
    if not files.kept:
        return SegmentNames(name)
    whole = path.read_bytes()
    data = [*(whole[start : start + size] for start, size in files.kept), END]
    written = name_of(data)
    _write(SEGMENTS / written, data)
    return SegmentNames(name, written)


def read_tar(parts: list[bytes | FilePart]) -> list[bytes]:
    """The bytes of a segment's tar, in parts."""
    return [*(part if isinstance(part, bytes) else part.read() for part in parts), END]


def cached_segments() -> Path:
    """The folder of the private cache that has the segments."""
    return machine.cache_folder() / "segments"


def _write(path: Path, data: list[bytes]) -> None:
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.writelines(data)


def _link(path: Path, place: Path) -> None:
    """Make `place` the same file as `path`, or a copy where the file system has no hard links."""
    with suppress(FileNotFoundError):
        if place.samefile(path):
            return
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)
    except OSError:  # or another worker was first: then a copy takes its place
        with atomic_write(place) as temporary:
            shutil.copy2(path, temporary)
