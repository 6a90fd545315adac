"""Images in idx files, the format of MNIST, plain or gzipped.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": two zero bytes, the type (8 is the
unsigned byte), the number of dimensions, each as 4 bytes, big-endian; then the values.

An image has no file of its own there: its bytes are those of the PGM (or PPM) file that its pixels make.
"""

import gzip
import math
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tasks import images
from tasks.errors import UserError
from tasks.ingest import RAW
from tasks.ingest.tars import Contents, Member

MAGIC = b"\0\0\x08"  # of unsigned bytes
GZIP = b"\x1f\x8b"


class Header(NamedTuple):
    """`shape` is (images, height, width), or with 3 colours last; of labels (images,). `start` is in bytes."""

    shape: tuple[int, ...]
    start: int

    @property
    def image_bytes(self) -> int:
        return math.prod(self.shape[1:])

    @property
    def head(self) -> bytes:
        """What makes an image's pixels a file."""
        height, width = self.shape[1:3]
        return f"P{6 if len(self.shape) == 4 else 5}\n{width} {height}\n255\n".encode()


def open_maybe_gzip(path: Path) -> BinaryIO:
    """The file's content, inflated where it is gzipped."""
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]


def read_header(path: Path) -> Header | None:
    """The header of an idx file of images or labels in unsigned bytes; None where the file is none."""
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
    if 0 in shape[1:] or (len(shape) == 4 and shape[3] != 3) or math.prod(shape[1:]) > images.MAX_PIXELS:
        return None
    return Header(shape, 4 + len(sizes))


def labels_name(name: str, known: set[str]) -> str | None:
    """The file of labels that belongs to `name`: its name with `labels` for `images` and idx1 for idx3."""
    folder, slash, file = name.rpartition("/")
    other = file.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    stem = other.removesuffix(".gz")
    return next(
        (folder + slash + n for n in (other, stem, f"{stem}.gz") if n != file and folder + slash + n in known), None
    )


def read_labels(name: str) -> list[str]:
    """The labels in the idx file `name` below data/raw: numbers, as text."""
    header = read_header(RAW / name)
    values = b""
    if header is not None and len(header.shape) == 1:
        with open_maybe_gzip(RAW / name) as file, suppress(OSError, EOFError, zlib.error):
            values = file.read(header.start + header.shape[0] + 1)[header.start :]
    if header is None or len(values) != header.shape[0]:
        raise UserError(f"{RAW / name}: needs to be a whole idx file of labels, one byte each")
    return [str(value) for value in values]


def read_idx(name: str, header: Header) -> Contents:
    """List and hash the images of the idx file `name` below data/raw."""
    found: list[Member] = []
    count, size, head = header.shape[0], header.image_bytes, header.head
    digits = len(str(max(count - 1, 0)))
    damage = None
    try:
        with open_maybe_gzip(RAW / name) as file:
            file.seek(header.start)
            for number in range(count):
                pixels = file.read(size)
                if len(pixels) < size:
                    raise EOFError(f"needs {count} images")
                offset = header.start + number * size
                found.append(Member(f"{number:0{digits}d}", offset, len(head) + size, images.sha256(head + pixels)))
            if file.read(1):
                raise EOFError(f"holds more than the {count} images of its header")
    except (OSError, EOFError, zlib.error) as error:
        damage = f"after {len(found)} images: {error}"
    return Contents(found, len(found), damage)
