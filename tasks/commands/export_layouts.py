"""The layouts of an export, image folders and WebDataset shards: names of files, and writing them.

A file that is already there with the right bytes is kept.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from tasks.augment.tar_format import BLOCK, END, member_bytes, tar_header, tar_member
from tasks.common.errors import UserError
from tasks.common.temporary import atomic_write
from tasks.dataset import image_bytes
from tasks.pixels.hashing import sha256

SHARD_BYTES = 256 * 2**20
SHARD_SAMPLES = 10_000


class Layout(NamedTuple):
    """`assign_files`: adds the column `file` to the images. `write`: writes one such file.

    `write` takes the file's path and the rows of its images; it returns True where the file was
    there already, whole.
    """

    assign_files: Callable[[pd.DataFrame], pd.DataFrame]
    write: Callable[[Path, list[Any]], bool]


def read_bytes(row: Any) -> bytes:
    """The encoded bytes of a row of images_to_export().

    Raises:
        UserError: where they are not those that the row's sha256 names.
    """
    return image_bytes.read_checked(row, changed_bytes_error(row.variant_id))


def changed_bytes_error(name: str) -> str:
    """The message for an image whose bytes are not those that the manifests name."""
    return f"{name} has other bytes than the manifests say; `variegate verify` tells more"


# --- image folders --------------------------------------------------------------------------------


def assign_image_files(images: pd.DataFrame) -> pd.DataFrame:
    """Each image gets a file of its own: `<split>/<label>/<variant_id>.<extension>`.

    Raises:
        UserError: where a label cannot be a folder's name.
    """
    for label in images["label"].unique():
        if label in ("", ".", "..") or "/" in label or "\0" in label:
            raise UserError(f"class {label!r}: cannot be a folder; needs --format webdataset")
    folders = images["split"] + "/" + images["label"]
    return images.assign(file=folders + "/" + images["variant_id"] + "." + images["extension"])


def write_image(path: Path, rows: list[Any]) -> bool:
    """Copy one image; True where its bytes were there already."""
    (row,) = rows
    if path.is_file() and sha256(path.read_bytes()) == row.sha256:
        return True
    with atomic_write(path) as temporary:
        temporary.write_bytes(read_bytes(row))
    return False


# --- shards ---------------------------------------------------------------------------------------


def assign_shards(images: pd.DataFrame) -> pd.DataFrame:
    """Each image gets its shard: `<split>-000000.tar`, ...

    Within a split, images are in the order of their SHA-256: classes are mixed, as reading shards
    in sequence needs, and equal datasets give equal shards.
    """
    images = images.sort_values(["split", "sha256", "variant_id"], ignore_index=True)
    names: list[str] = []
    for split, rows in images.groupby("split"):
        class_bytes = member_bytes(1)  # a class index of any length takes one block
        sizes = [member_bytes(length) + class_bytes for length in rows["length"]]
        names += [f"{split}-{number:06d}.tar" for number in shard_numbers(sizes)]
    return images.assign(file=names)


def shard_numbers(sizes: list[int]) -> list[int]:
    """The shard, from 0, of each sample; `sizes` are in bytes.

    A shard ends before it would exceed SHARD_BYTES, and at SHARD_SAMPLES.
    """
    shards: list[int] = []
    shard = samples = total = 0
    for size in sizes:
        if samples == SHARD_SAMPLES or (samples and total + size > SHARD_BYTES):
            shard, samples, total = shard + 1, 0, 0
        samples, total = samples + 1, total + size
        shards.append(shard)
    return shards


def write_shard(path: Path, rows: list[Any]) -> bool:
    """Write one shard; True where it was there already, whole."""
    if path.is_file() and is_whole_shard(path, rows):
        return True
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for row in rows:
            file.write(tar_member(_image_name(row), read_bytes(row)) + _class_member(row))
        file.write(END)
    return False


def is_whole_shard(path: Path, rows: list[Any]) -> bool:
    """True where the file holds the bytes that write_shard() would write.

    The sources are not read: their hashes are in the rows.
    """
    with path.open("rb") as file:
        for row in rows:
            if file.read(BLOCK) != tar_header(_image_name(row), row.length):
                return False
            if sha256(file.read(row.length)) != row.sha256:
                return False
            rest = bytes(-row.length % BLOCK) + _class_member(row)
            if file.read(len(rest)) != rest:
                return False
        return file.read() == END


def _image_name(row: Any) -> str:
    return f"{row.variant_id}.{row.extension}"


def _class_member(row: Any) -> bytes:
    return tar_member(f"{row.variant_id}.cls", str(row.class_index).encode())


LAYOUTS = {
    "imagefolder": Layout(assign_image_files, write_image),
    "webdataset": Layout(assign_shards, write_shard),
}
