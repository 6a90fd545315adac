"""Types for the images that a container (a tar shard, an idx file) holds."""

from collections.abc import Sequence
from typing import NamedTuple

MAX_BYTES = 2**30  # of one image: it is read at once


class Annotation(NamedTuple):
    """What one source of labels says of an image; None where it says nothing."""

    label: str | None = None
    split: str | None = None
    group_id: str | None = None


class Member(NamedTuple):
    """An image in a container.

    `name`: in the container. `offset` and `bytes`: where its bytes lie in the container, and how
    many they are. `reason` and `detail`: why it cannot be used. `label`, `split`, `group_id`: what
    the container itself says of it.
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
