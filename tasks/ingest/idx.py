"""List the images and labels in idx files, the format of MNIST.

An image has no file of its own there: its bytes are those of the PGM (or PPM) file that its pixels
make.
"""

import zlib
from contextlib import suppress

from tasks.common.errors import UserError
from tasks.common.texts import counted
from tasks.dataset.idx_format import Header, open_maybe_gzip, read_header
from tasks.dataset.paths import RAW
from tasks.ingest.containers import Contents, Member
from tasks.pixels.hashing import sha256


def labels_name(name: str, names: set[str]) -> str | None:
    """The one of `names` that holds the labels of the idx file `name`; None where none does.

    It is called as `name`, with `labels` for `images` and idx1 for idx3 (`train-labels-idx1-ubyte`
    for `train-images-idx3-ubyte`), gzipped or not.
    """
    folder, slash, file = name.rpartition("/")
    labels = file.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    stem = labels.removesuffix(".gz")
    for candidate in (labels, stem, f"{stem}.gz"):
        if candidate != file and folder + slash + candidate in names:
            return folder + slash + candidate
    return None


def read_labels(name: str) -> list[str]:
    """The labels in the idx file `name` below data/raw: numbers from 0 to 255, as text.

    Raises:
        UserError: where it is no idx file of labels, or is damaged.
    """
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
    members: list[Member] = []
    count, size, head = header.shape[0], header.image_bytes, header.head
    digits = len(str(max(count - 1, 0)))
    damage = None
    try:
        with open_maybe_gzip(RAW / name) as file:
            file.seek(header.start)
            for number in range(count):
                pixels = file.read(size)
                if len(pixels) < size:
                    raise EOFError(f"needs {counted(count, 'image')}")
                member = Member(
                    name=f"{number:0{digits}d}",
                    offset=header.start + number * size,
                    bytes=len(head) + size,
                    sha256=sha256(head + pixels),
                )
                members.append(member)
            if file.read(1):
                raise EOFError(f"holds more than the {counted(count, 'image')} of its header")
    except (OSError, EOFError, zlib.error) as error:
        damage = f"after {counted(len(members), 'image')}: {error}"
    return Contents(members, len(members), damage)
