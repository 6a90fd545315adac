"""The images that a container (a tar shard, an idx file) holds, as ingest lists them."""

from typing import NamedTuple

MAX_BYTES = 2**30  # of one image: it is read whole


class Member(NamedTuple):
    """An image in a container: its name there, its place, and what the container itself says of it."""

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
    """What a container holds. `members` counts images and what labels them; `damage` says where it ends too early."""

    images: list[Member]
    members: int
    damage: str | None
