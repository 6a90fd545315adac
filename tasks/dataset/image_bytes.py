"""Read the bytes of one image, from a file of its own or from inside a container.

An image is located by its path and, in a container, by its offset and length: see locate_images().
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
from tasks.dataset import dvc_remote, idx_format
from tasks.dataset.paths import RAW, SEGMENTS
from tasks.pixels.hashing import sha256


class OpenContainer(NamedTuple):
    """A container, ready to be read at any offset.

    `path`: the file to read from, which is a decompressed copy where the container is gzipped.
    `head`: what has to be put before an image's bytes there to make an image file of them.
    """

    path: Path
    head: bytes


def locate_images(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the ingested or the validated manifest, with the columns that read_row() needs.

    `path`: the file that holds the image; `offset`: of the image in it, in bytes, null where the
    file is the image; `length`: of the image, in bytes.
    """
    inside = rows["container"].notna()
    paths = str(RAW) + "/" + rows["container"].where(inside, rows["file_name"]).astype(str)
    return rows.assign(path=paths).rename(columns={"bytes": "length"})


def locate_variants(rows: pd.DataFrame) -> pd.DataFrame:
    """Written rows of the ledger, with the columns of read_row(); `path` is the segment's."""
    return rows.assign(path=str(SEGMENTS) + "/" + rows["segment"].astype(str))


def read_row(row: Any) -> bytes:
    """The bytes of the image of a row of locate_images() or locate_variants()."""
    return read_bytes(
        Path(row.path), None if pd.isna(row.offset) else int(row.offset), int(row.length)
    )


def read_checked(row: Any, changed: str) -> bytes:
    """The bytes of the image of a row, compared with its `sha256`.

    Args:
        row: see read_row().
        changed: the message for other bytes than those that were hashed, without the path.

    Raises:
        UserError: the path and `changed`.
    """
    data = read_row(row)
    if sha256(data) != row.sha256:
        fetched = _is_fetched(Path(row.path))
        raise UserError(f"{row.path}: {dvc_remote.OTHER_BYTES if fetched else changed}")
    return data


def read_bytes(path: Path, offset: int | None, length: int) -> bytes:
    """The bytes of an image file.

    Args:
        path: of the file, or of the container that holds it.
        offset: in the container, in bytes; None for a file of its own.
        length: in bytes.
    """
    if not _is_fetched(path):
        return _read_bytes(path, offset, length)
    while True:
        with suppress(FileNotFoundError):  # another process made room in the cache
            return _read_bytes(dvc_remote.fetch(path), offset, length)


def _is_fetched(path: Path) -> bool:
    """Whether a file of data/raw is not here, and is read from the DVC remote."""
    if not machine.sources_are_remote() or not path.is_relative_to(RAW):
        return False
    return not path.exists()


def _read_bytes(path: Path, offset: int | None, length: int) -> bytes:
    if offset is None:
        return path.read_bytes()
    facts = path.stat()
    container = _open(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)
    with container.path.open("rb") as file:
        file.seek(offset)
        return container.head + file.read(length - len(container.head))


@lru_cache(maxsize=256)
def _open(path: Path, mtime_ns: int, size: int, inode: int) -> OpenContainer:
    """The container at `path`; found once for each state of the file."""
    header = idx_format.read_header(path)
    if header is None:
        return OpenContainer(path, b"")
    with path.open("rb") as file:
        zipped = file.read(2) == idx_format.GZIP
    if zipped:
        path = _decompressed(path, f"{path.absolute()} {mtime_ns} {size} {inode}", header)
    return OpenContainer(path, header.head)


def _decompressed(path: Path, state: str, header: idx_format.Header) -> Path:
    """A copy of a gzipped idx file's content in the private cache: gzip has no random access.

    The copy holds no more than the header promises, so that its size is bounded; of a damaged file
    it holds what comes before the damage.

    Args:
        path: of the gzipped file.
        state: names this state of the file; another state gets another copy.
        header: of its content.
    """
    copy = (
        machine.cache_folder()
        / "inflated"
        / f"{hashlib.sha256(state.encode()).hexdigest()[:32]}.idx"
    )
    if not (copy.is_file() and _is_content(copy, path)):
        left = header.start + header.shape[0] * header.image_bytes
        with atomic_write(copy) as temporary, temporary.open("wb") as target:
            for piece in _first_bytes(path, left):
                target.write(piece)
    return copy


def _is_content(copy: Path, path: Path) -> bool:
    """Whether the copy has the checksum that ends the gzip file; of a damaged file it has not."""
    with path.open("rb") as source, copy.open("rb") as file:
        source.seek(-8, os.SEEK_END)
        checksum = 0
        while piece := file.read(2**20):
            checksum = zlib.crc32(piece, checksum)
        return struct.unpack("<I", source.read(4))[0] == checksum


def _first_bytes(path: Path, left: int) -> Iterator[bytes]:
    """The first `left` bytes of a gzip file's content, in pieces; fewer where it is damaged."""
    with (
        idx_format.open_maybe_gzip(path) as source,
        suppress(EOFError, gzip.BadGzipFile, zlib.error),
    ):
        while left > 0 and (piece := source.read(min(left, 2**20))):
            yield piece
            left -= len(piece)
