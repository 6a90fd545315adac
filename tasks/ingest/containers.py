"""Types for the images that a container (a tar shard, an idx file) holds."""

from collections.abc import Sequence
from typing import NamedTuple

MAX_BYTES = 2**30  # of one image: it is read at once
IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif",
    ".heic", ".heif", ".jp2", ".pbm", ".pgm", ".ppm", ".pnm", ".tga",
)  # fmt: skip


def has_image_name(name: str) -> bool:
    """Whether a file's name ends as those of images do, which says little of what it is."""
    return name.lower().endswith(IMAGE_ENDINGS)


class Member(NamedTuple):
    """An image in a container.

    `name`: in the container. `offset` and `bytes`: where its bytes lie in the container, and how
    many they are. `reason` and `detail`: why it cannot be used; without a reason, `detail` says why
    the container gives it no label. `label`, `split`, `group_id`: what the container itself says of
    it. `sample`: the key of the WebDataset sample whose images are several, this one among them.
    """

    name: str
    offset: int
    bytes: int
    sha256: str | None
    reason: str | None = None
    detail: str | None = None
    label: str | None = None
    split: str | None = None
    group_id: str | None = None
    sample: str | None = None


class Contents(NamedTuple):
    """What a container holds.

    `members` counts the images and the files that label them. `damage` says after how many of them
    the container cannot be read further, and why; None where it was read to its end. `clutter`: the
    names of members that are clutter, and count for nothing else.
    """

    images: list[Member]
    members: int
    damage: str | None
    clutter: Sequence[str] = ()
