"""Segments: plain tars of variants, cut and named by their content.

DVC's cost is per file, so variants are kept in tars of about 4 MiB. They are canonical: sources stand in the order of
their paths, a source ends its segment by a rule that looks at itself alone, and a segment's name is the hash of its
members. So equal datasets have equal segments whatever their history, and an edit touches its own segment and at most
the one beside it.
"""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tasks.augment.variants import Source, Variant

MEAN_BYTES = 4 * 2**20
BLOCK = 512
END = bytes(2 * BLOCK)

Expanded: TypeAlias = tuple[Source, list[Variant]]


@dataclass
class Segment:
    """A tar and what it holds. `file_name` is `<16 hex digits>.tar`, or None where no variant was written."""

    expanded: list[Expanded]
    file_name: str | None
    data: bytes


def member_bytes(length: int) -> int:
    """What an image of `length` bytes takes in a tar: a header block and its own, rounded up to whole blocks."""
    return BLOCK + -(-length // BLOCK) * BLOCK


def ends_segment(source: Source, variants: list[Variant]) -> bool:
    """True where the source's SHA-256, read as a fraction of 1, is below its bytes in the tar / MEAN_BYTES."""
    size = sum(member_bytes(len(variant.data)) for variant in variants if variant.data is not None)
    return int(source.sha256[:13], 16) / 16**13 < size / MEAN_BYTES


def cut(expanded: Iterable[Expanded]) -> Iterator[Segment]:
    """Gather sources into segments, in order; gives each written variant its `segment` and `offset`."""
    waiting: list[Expanded] = []
    for source, variants in expanded:
        waiting.append((source, variants))
        if ends_segment(source, variants):
            yield build(waiting)
            waiting = []
    if waiting:
        yield build(waiting)


def build(expanded: list[Expanded]) -> Segment:
    """The segment that holds the written variants of `expanded`; their rows learn where they lie in it."""
    names = hashlib.sha256()
    written = [variant for _, variants in expanded for variant in variants if variant.data is not None]
    at = 0
    for variant in written:
        assert variant.data is not None
        length = len(variant.data)
        variant.row["offset"] = at + BLOCK
        at += member_bytes(length)
        names.update(f"{variant.member} {variant.row['sha256']}\n".encode())
    file_name = f"{names.hexdigest()[:16]}.tar" if written else None
    for _, variants in expanded:
        for variant in variants:
            variant.row["segment"] = file_name if variant.data is not None else None
            variant.row.setdefault("offset", None)
    members = ((variant.member, variant.data) for variant in written if variant.data is not None)
    return Segment(expanded, file_name, tar_bytes(members))


def tar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """The one tar of these members (name, data)."""
    blocks = [part for name, data in members for part in (header(name, len(data)), data, bytes(-len(data) % BLOCK))]
    return b"".join([*blocks, END])


def header(name: str, length: int) -> bytes:
    """A ustar header with nothing in it that could differ: mode 644, owner 0, time 0."""
    member = tarfile.TarInfo(name)
    member.size = length
    return member.tobuf(tarfile.USTAR_FORMAT)
