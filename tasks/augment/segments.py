"""Segments: plain tars of variants, cut and named by their content.

DVC's cost is per file, so variants are kept in tars of about 4 MiB. They are canonical: sources stand in the order of
their paths, a source ends its segment by a rule that looks at itself alone, and a segment's name is the hash of its
bytes. So equal datasets have equal segments whatever their history, and an edit touches its own segment and at most
the one beside it.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.augment.accounts import rows_of
from tasks.variants.make import Source, Variant

Item = TypeVar("Item")
MEAN_BYTES = 4 * 2**20
BLOCK = 512
END = bytes(2 * BLOCK)
BYTES_AT_ONCE = 2**18
HEADER = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
# Fields of a ustar header: name 0 to 99, size 124 to 134, checksum 148 to 155, which is summed as if it were spaces.
HEADER_SUM = sum(HEADER[100:124] + HEADER[135:148] + b" " * 8 + HEADER[156:])


class Piece(Protocol):
    """Some sources, next to each other, of which only the last may end a segment.

    `size`: what the last one's variants take in a tar. `reused`: how many of their variants were made before.
    `whole`: name and place of a segment that holds these and nothing else.
    `images()`: their part of a tar. `rows`: their rows of the ledger, without labels and places.
    """

    sources: list[Source]
    size: int

    @property
    def reused(self) -> int: ...

    @property
    def whole(self) -> tuple[str, Path] | None: ...

    @property
    def rows(self) -> pa.Table: ...

    def images(self) -> bytes: ...


@dataclass(frozen=True)
class Expanded:
    """Sources whose variants a worker has put together: one kind of piece. Its rows begin at `start` of `table`."""

    sources: list[Source]
    size: int
    reused: int
    table: pa.Table
    start: int
    count: int
    tar: bytes
    whole: None = None

    @property
    def rows(self) -> pa.Table:
        return self.table.slice(self.start, self.count)

    def images(self) -> bytes:
        return self.tar


@dataclass
class Segment:
    """A tar and its rows of the ledger. `file_name` is `<16 hex digits>.tar`, or None where it holds no image.

    `data` has its bytes, in parts, or is None where it stands at `made_before` already.
    """

    file_name: str | None
    data: list[bytes] | None
    made_before: Path | None
    rows: pa.Table


def member_bytes(length: int) -> int:
    """What an image of `length` bytes takes in a tar: a header block and its own, rounded up to whole blocks."""
    return BLOCK + -(-length // BLOCK) * BLOCK


def bytes_in_tar(variants: list[Variant]) -> int:
    """What the images of these variants take in a tar."""
    return sum(member_bytes(len(variant.data)) for variant in variants if variant.data is not None)


def sizes_in_tar(rows: pa.Table) -> np.ndarray:
    """member_bytes() of each row of a ledger, int64; 0 where there is no image."""
    lengths = rows["length"].fill_null(0).to_numpy()
    return np.where(lengths > 0, BLOCK - (-lengths // BLOCK) * BLOCK, 0)


def ends_segment(source: Source, size: int) -> bool:
    """True where the source's SHA-256, read as a fraction of 1, is below its bytes in the tar / MEAN_BYTES."""
    return int(source.sha256[:13], 16) / 16**13 < size / MEAN_BYTES


def gather(groups: list[list[tuple[Source, list[Variant]]]]) -> list[list[Expanded]]:
    """Of each group of sources with their variants, in order, the pieces: as few as can be.

    All rows are in one table, which crosses to another process once: one takes longer to begin than to fill.
    """
    table = rows_of(chain.from_iterable(groups))
    start = 0
    gathered: list[list[Expanded]] = []
    for group in groups:
        pieces: list[Expanded] = []
        for expanded in _split_after(group, lambda one: ends_segment(one[0], bytes_in_tar(one[1]))):
            pieces.append(_piece(expanded, table, start))
            start += pieces[-1].count
        gathered.append(pieces)
    return gathered


def _piece(expanded: list[tuple[Source, list[Variant]]], table: pa.Table, start: int) -> Expanded:
    sources = [source for source, _ in expanded]
    size = bytes_in_tar(expanded[-1][1])
    made = [variant for _, variants in expanded for variant in variants]
    tar = b"".join(
        member(variant.member, variant.data) for variant in made if variant.data is not None
    )
    reused = sum(variant.reused for variant in made)
    return Expanded(sources, size, reused, table, start, len(sources) + len(made), tar)


def cut(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Gather pieces, in order, into what one segment holds."""
    return _split_after(pieces, lambda piece: ends_segment(piece.sources[-1], piece.size))


def _split_after(items: Iterable[Item], ends: Callable[[Item], bool]) -> Iterator[list[Item]]:
    """Lists of the items, in order, each up to one for which `ends` is true; the last may do without."""
    waiting: list[Item] = []
    for item in items:
        waiting.append(item)
        if ends(item):
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def build(pieces: list[Piece], recipe_hash: str) -> Segment:
    """The segment of these pieces."""
    sources = [source for piece in pieces for source in piece.sources]
    rows = pa.concat_tables([piece.rows for piece in pieces])
    made_before = pieces[0].whole if len(pieces) == 1 else None
    if made_before is not None:
        name, tar = made_before
        return Segment(name, None, tar, place(rows, sources, name, recipe_hash))
    data = [*(piece.images() for piece in pieces), END]
    file_name = name_of(data) if any(data[:-1]) else None
    return Segment(file_name, data, None, place(rows, sources, file_name, recipe_hash))


def place(
    rows: pa.Table, sources: list[Source], file_name: str | None, recipe_hash: str
) -> pa.Table:
    """`rows` with what only the segment decides: labels, and where each image lies in it."""
    sizes = sizes_in_tar(rows)
    written = sizes > 0
    offsets = np.cumsum(sizes) - sizes + BLOCK
    firsts = np.flatnonzero(rows["variant_index"].to_numpy() == 0)
    labels = np.repeat(
        np.array([source.label for source in sources], object), np.diff([*firsts, len(rows)])
    )
    columns = {
        "label": pa.array(labels, pa.string()),
        "split": pa.repeat("train", len(rows)),
        "recipe_hash": pa.repeat(recipe_hash, len(rows)),
        "segment": pc.if_else(pa.array(written), pa.scalar(file_name, pa.string()), None),
        "offset": pa.array(offsets, mask=~written),
    }
    return pa.table(
        [columns.get(name, rows[name]) for name in rows.column_names], schema=rows.schema
    ).combine_chunks()


def name_of(data: Iterable[bytes]) -> str:
    """What a segment of these bytes, in parts, is called: `<16 hex digits of their SHA-256>.tar`."""
    digest = hashlib.sha256()
    for part in data:
        digest.update(part)
    return f"{digest.hexdigest()[:16]}.tar"


def holds(tar: Path, name: str) -> bool:
    """Whether `tar` is there, with the bytes of the segment `name`."""
    if not tar.is_file():
        return False
    with tar.open("rb") as file:
        return name_of(iter(partial(file.read, BYTES_AT_ONCE), b"")) == name


def tar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """The one tar of these members (name, data)."""
    return b"".join([*(member(name, data) for name, data in members), END])


def member(name: str, data: bytes) -> bytes:
    """An image in a tar: header, bytes, padding to whole blocks."""
    return b"".join((header(name, len(data)), data, bytes(-len(data) % BLOCK)))


def header(name: str, length: int) -> bytes:
    """A ustar header with nothing in it that could differ: mode 644, owner 0, time 0.

    Made from a template: tarfile takes a third of the time of a small image to make one.
    """
    name_bytes, size = name.encode().ljust(100, b"\0"), b"%011o" % length
    checksum = HEADER_SUM + sum(name_bytes) + sum(size)
    return b"".join(
        (name_bytes, HEADER[100:124], size, HEADER[135:148], b"%06o\0" % checksum, HEADER[155:])
    )
