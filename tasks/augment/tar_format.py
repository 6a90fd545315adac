"""Deterministic tars: equal members give equal bytes, whoever writes them.

Plain ustar with fixed headers (mode 644, owner 0, time 0): `tar xf` and WebDataset read them.
"""

import tarfile
from collections.abc import Iterable

BLOCK = 512
END = bytes(2 * BLOCK)
HEADER = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
# Fields of a ustar header: name 0 to 99, size 124 to 134, checksum 148 to 155, which is summed as
# if it were spaces.
HEADER_SUM = sum(HEADER[100:124] + HEADER[135:148] + b" " * 8 + HEADER[156:])


def member_bytes(length: int) -> int:
    """What an image of `length` bytes takes: a header block and its own, in whole blocks."""
    return BLOCK + -(-length // BLOCK) * BLOCK


def tar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """The one tar of these members (name, data)."""
    return b"".join([*(tar_member(name, data) for name, data in members), END])


def tar_member(name: str, data: bytes) -> bytes:
    """A file in a tar: header, bytes, padding to whole blocks."""
    return b"".join((tar_header(name, len(data)), data, bytes(-len(data) % BLOCK)))


def tar_header(name: str, length: int) -> bytes:
    """A ustar header with nothing in it that could differ.

    Made from a template: tarfile takes a third of the time of a small image to make one.
    """
    name_bytes, size = name.encode().ljust(100, b"\0"), b"%011o" % length
    checksum = b"%06o\0" % (HEADER_SUM + sum(name_bytes) + sum(size))
    return b"".join((name_bytes, HEADER[100:124], size, HEADER[135:148], checksum, HEADER[155:]))
