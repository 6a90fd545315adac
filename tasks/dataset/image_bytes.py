"""Read the bytes of one image, from a file of its own or from inside a container.

An image is located by its path and, in a container, by its offset and length there; see locate().
"""

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from tasks.common import machine
from tasks.common.errors import UserError
from tasks.common.temporary import atomic_write
from tasks.dataset import idx_format
from tasks.dataset.paths import RAW, SEGMENTS
from tasks.pixels.hashing import sha256


class Opened(NamedTuple):
    """A container: the file to read from, and what makes a piece of it an image file."""

    path: Path
    head: bytes


def locate(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` of the ingested or the validated manifest with what read_row() asks for.

    `path`: the file that holds the image. `offset`: in that file; null where the image is a file of
    its own. `length`: in bytes.
    """
    inside = rows["container"].notna()
    paths = str(RAW) + "/" + rows["container"].where(inside, rows["file_name"]).astype(str)
    return rows.assign(path=paths).rename(columns={"bytes": "length"})


def locate_variants(rows: pd.DataFrame) -> pd.DataFrame:
    """Written rows of the ledger with what read_row() asks for: `path` is that of the segment."""
    return rows.assign(path=str(SEGMENTS) + "/" + rows["segment"].astype(str))


def read_row(row: Any) -> bytes:
    """The bytes of the image that a row of locate() or locate_variants() names."""
    return read_bytes(
        Path(row.path), None if pd.isna(row.offset) else int(row.offset), int(row.length)
    )


def read_checked(row: Any, changed: str) -> bytes:
    """The same, held against the row's `sha256`.

    Raises:
        UserError: `changed`, after the path, where the bytes are not those that were hashed.
    """
    data = read_row(row)
    if sha256(data) != row.sha256:
        raise UserError(f"{row.path}: {changed}")
    return data


def read_bytes(path: Path, offset: int | None, length: int) -> bytes:
    """The bytes of an image file.

    Args:
        path: of the file, or of the container that holds it.
        offset: in the container, in bytes; None for a file of its own.
        length: in bytes.
    """
    if offset is None:
        return path.read_bytes()
    facts = path.stat()
    opened = _open(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)
    with opened.path.open("rb") as file:
        file.seek(offset)
        return opened.head + file.read(length - len(opened.head))


@lru_cache(maxsize=256)
def _open(path: Path, mtime_ns: int, size: int, inode: int) -> Opened:
    """Whether the container is an idx file; found out once for each state of it."""
    header = idx_format.read_header(path)
    if header is None:
        return Opened(path, b"")
    with path.open("rb") as file:
        zipped = file.read(2) == idx_format.GZIP
    if zipped:
        path = _inflated(path, f"{path.absolute()} {mtime_ns} {size} {inode}", header)
    return Opened(path, header.head)


def _inflated(path: Path, state: str, header: idx_format.Header) -> Path:
    """The content of a gzipped idx file, in the private cache: a gzip file has no random access.

    No more than its header promises, and of a damaged one what comes before the damage.
    """
    copy = (
        machine.cache_folder()
        / "inflated"
        / f"{hashlib.sha256(state.encode()).hexdigest()[:32]}.idx"
    )
    if not (copy.is_file() and _is_content(copy, path)):
        left = header.start + header.shape[0] * header.image_bytes
        with atomic_write(copy) as temporary, temporary.open("wb") as target:
            for piece in _pieces(path, left):
                target.write(piece)
    return copy


def _is_content(copy: Path, path: Path) -> bool:
    """Whether the copy is what the gzip file's own checksum says; a damaged one is made anew."""
    with path.open("rb") as source, copy.open("rb") as file:
        source.seek(-8, os.SEEK_END)
        checksum = 0
        while piece := file.read(2**20):
            checksum = zlib.crc32(piece, checksum)
        return struct.unpack("<I", source.read(4))[0] == checksum


def _pieces(path: Path, left: int) -> Iterator[bytes]:
    """The first `left` bytes of a gzip file's content."""
    with (
        idx_format.open_maybe_gzip(path) as source,
        suppress(EOFError, gzip.BadGzipFile, zlib.error),
    ):
        while left > 0 and (piece := source.read(min(left, 2**20))):
            yield piece
            left -= len(piece)
