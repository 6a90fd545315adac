"""The idx file format of MNIST: headers, plain or gzipped.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": two zero bytes,
the type (8 is the unsigned byte), the number of dimensions, each as 4 bytes, big-endian; then the
values.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tasks.pixels.decode import MAX_PIXELS

MAGIC = b"\0\0\x08"  # of unsigned bytes
GZIP = b"\x1f\x8b"


class Header(NamedTuple):
    """The header of an idx file.

    `shape`: of images (images, height, width) or (images, height, width, 3), of labels (images,).
    `start`: the offset of the first value, in bytes.
    """

    shape: tuple[int, ...]
    start: int

    @property
    def image_bytes(self) -> int:
        return math.prod(self.shape[1:])

    @property
    def head(self) -> bytes:
        """The PGM or PPM header which, put before an image's pixels, makes them an image file."""
        height, width = self.shape[1:3]
        return f"P{6 if len(self.shape) == 4 else 5}\n{width} {height}\n255\n".encode()


def open_maybe_gzip(path: Path) -> BinaryIO:
    """The file's content, decompressed where it is gzipped."""
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]


def read_header(path: Path) -> Header | None:
    """The header of an idx file of images or labels in unsigned bytes; None for any other file."""
    try:
        with open_maybe_gzip(path) as file:
            start = file.read(4)
            if len(start) < 4 or not start.startswith(MAGIC) or start[3] not in (1, 3, 4):
                return None
            sizes = file.read(4 * start[3])
    except (OSError, EOFError, zlib.error):
        return None
    if len(sizes) < 4 * start[3]:
        return None
    shape = struct.unpack(f">{start[3]}I", sizes)
    if 0 in shape[1:] or (len(shape) == 4 and shape[3] != 3) or math.prod(shape[1:]) > MAX_PIXELS:
        return None
    return Header(shape, 4 + len(sizes))
