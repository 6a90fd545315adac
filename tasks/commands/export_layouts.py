"""Layouts of an export: image folders and WebDataset shards, written or found whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.augment.segments import BLOCK, END, header, member, member_bytes
from tasks.common.errors import UserError
from tasks.common.temporary import atomic_write
from tasks.dataset import image_bytes
from tasks.pixels.hashing import sha256

SHARD_BYTES = 256 * 2**20
SHARD_SAMPLES = 10_000


def read_bytes(row: Any) -> bytes:
    """The encoded bytes of a row of images_of().

    Raises:
        UserError: where they are not those that the row's sha256 names.
    """
    return image_bytes.read_checked(row, other_bytes(row.variant_id))


def other_bytes(name: str) -> str:
    """The message for an image whose bytes are not those that the manifests name."""
    return f"{name} has other bytes than the manifests say; `variegate verify` tells more"


# --- image folders ------------------------------------------------------------------------------------------------


def in_folders(found: pd.DataFrame) -> pd.DataFrame:
    """Each image gets a file of its own.

    Raises:
        UserError: where a label cannot be a folder's name.
    """
    for label in found["label"].unique():
        if label in ("", ".", "..") or "/" in label or "\0" in label:
            raise UserError(f"class {label!r}: cannot be a folder; needs --format webdataset")
    return found.assign(
        file=found["split"]
        + "/"
        + found["label"]
        + "/"
        + found["variant_id"]
        + "."
        + found["extension"]
    )


def write_image(path: Path, rows: list[Any]) -> bool:
    """Copy one image; True where its bytes were there already."""
    (row,) = rows
    if path.is_file() and sha256(path.read_bytes()) == row.sha256:
        return True
    with atomic_write(path) as temporary:
        temporary.write_bytes(read_bytes(row))
    return False


# --- shards -------------------------------------------------------------------------------------------------------


def in_shards(found: pd.DataFrame) -> pd.DataFrame:
    """Each image gets its shard. They stand in the order of their hashes: mixed, and the same each time."""
    found = found.sort_values(["split", "sha256", "variant_id"], ignore_index=True)
    names: list[str] = []
    for split, rows in found.groupby("split"):
        sizes = [
            member_bytes(length) + member_bytes(1) for length in rows["length"]
        ]  # a class index is one block
        names += [f"{split}-{number:06d}.tar" for number in cut(sizes)]
    return found.assign(file=names)


def cut(sizes: list[int]) -> list[int]:
    """The shard of each sample: a shard ends before SHARD_BYTES or at SHARD_SAMPLES."""
    shards: list[int] = []
    number = samples = size = 0
    for each in sizes:
        if samples == SHARD_SAMPLES or (samples and size + each > SHARD_BYTES):
            number, samples, size = number + 1, 0, 0
        samples, size = samples + 1, size + each
        shards.append(number)
    return shards


def write_shard(path: Path, rows: list[Any]) -> bool:
    """Write one shard; True where it was there already, whole."""
    if path.is_file() and is_shard(path, rows):
        return True
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for row in rows:
            file.write(member(_image_name(row), read_bytes(row)) + _class_member(row))
        file.write(END)
    return False


def is_shard(path: Path, rows: list[Any]) -> bool:
    """True where the file holds the bytes that write_shard() would write. Sources are not read: hashes tell."""
    with path.open("rb") as file:
        for row in rows:
            if (
                file.read(BLOCK) != header(_image_name(row), row.length)
                or sha256(file.read(row.length)) != row.sha256
            ):
                return False
            rest = bytes(-row.length % BLOCK) + _class_member(row)
            if file.read(len(rest)) != rest:
                return False
        return file.read() == END


def _image_name(row: Any) -> str:
    return f"{row.variant_id}.{row.extension}"


def _class_member(row: Any) -> bytes:
    return member(f"{row.variant_id}.cls", str(row.class_index).encode())


Arrange = Callable[[pd.DataFrame], pd.DataFrame]
Write = Callable[[Path, list[Any]], bool]
LAYOUTS: dict[str, tuple[Arrange, Write]] = {
    "imagefolder": (in_folders, write_image),
    "webdataset": (in_shards, write_shard),
}
