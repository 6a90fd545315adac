"""Images inside tar files, read in place.

A plain tar is a folder: its members' paths name classes and splits. In a WebDataset shard, files that share a name up
to its first dot are one sample: `.cls` (a class's number or name) and `.json` (`label`, `split`, `group_id`) label its
image. Numbers get their names from a `classes.json` beside the shard, where there is one.
"""

import json
import posixpath
import tarfile
from typing import Any

from tasks.common.untrusted_tar import CheckedTarInfo, checked_members
from tasks.dataset.paths import RAW
from tasks.dataset.split_names import SPLIT_WORDS
from tasks.ingest.containers import MAX_BYTES, Contents, Member
from tasks.ingest.table_labels import text_of
from tasks.pixels import hashing

SIDECARS = ("cls", "json", "txt")
MAX_SIDECAR_BYTES = 2**20
CLASSES = "classes.json"


def is_tar(name: str, start: bytes) -> bool:
    """By a file's first 512 bytes: a tar's header. One from before they had a mark of their own is called .tar."""
    if start[257:262] != b"ustar" and not name.lower().endswith(".tar"):
        return False
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def read_tar(name: str) -> Contents:
    """List and hash the members of the tar `name` below data/raw."""
    path = RAW / name
    found: list[Member] = []
    texts: dict[tuple[str, str], bytes] = {}
    damage = None
    size = path.stat().st_size
    try:
        with (
            path.open("rb") as file,
            tarfile.open(fileobj=file, mode="r:", tarinfo=CheckedTarInfo) as tar,
        ):
            for info in filter(lambda info: not info.isdir(), checked_members(tar)):
                member = _member(file, info, size)
                found.append(member)
                key, ending = _sample(member.name)
                if ending in SIDECARS and member.reason is None and info.size <= MAX_SIDECAR_BYTES:
                    file.seek(info.offset_data)
                    texts[key, ending] = file.read(info.size)
    except (tarfile.TarError, OSError, ValueError) as error:
        damage = f"after {len(found)} members: {error}"
    samples = {
        key for key, ending in (_sample(member.name) for member in found) if ending not in SIDECARS
    }
    pictures = [member for member in found if not _is_sidecar(member, samples)]
    return Contents([_labelled(member, texts) for member in pictures], len(found), damage)


def _member(file: Any, info: tarfile.TarInfo, size: int) -> Member:
    name = (
        info.name.removeprefix("./")
        .encode("utf-8", "surrogateescape")
        .decode("utf-8", "backslashreplace")
    )
    place = name, info.offset_data, info.size
    if not info.isreg() or info.issparse():
        return Member(*place, None, "unreadable", "is no regular file in its tar")
    if info.offset_data + info.size > size:
        return Member(*place, None, "unreadable", "its tar ends before it does")
    if info.size > MAX_BYTES:
        return Member(*place, None, "too_large", f"{info.size:,} bytes, over {MAX_BYTES:,}")
    file.seek(info.offset_data)
    return Member(*place, hashing.sha256(file.read(info.size)))


def _sample(name: str) -> tuple[str, str]:
    """WebDataset's key and extension of a member: its path up to the first dot of its last part, and what follows."""
    folder, slash, file = name.rpartition("/")
    key, _, ending = file.partition(".")
    return folder + slash + key, ending.lower()


def _is_sidecar(member: Member, samples: set[str]) -> bool:
    """True for what only says something of another member of its sample."""
    key, ending = _sample(member.name)
    return ending in SIDECARS and key in samples


def _labelled(member: Member, texts: dict[tuple[str, str], bytes]) -> Member:
    """The member with what its sample's `.cls` and `.json` say."""
    key, _ = _sample(member.name)
    told: dict[str, Any] = {}
    if (key, "json") in texts:
        try:
            content = json.loads(texts[key, "json"])
            told = content if isinstance(content, dict) else {}
        except (ValueError, RecursionError):
            return member._replace(
                reason="no_label", detail="the .json of its sample is not valid JSON"
            )
    if (key, "cls") in texts:
        told["label"] = texts[key, "cls"].decode("utf-8", "replace").strip()
    try:
        label, split, group_id = (
            text_of(told.get(name)) for name in ("label", "split", "group_id")
        )
    except ValueError as error:
        return member._replace(reason="no_label", detail=f"its sample: {error}")
    return member._replace(
        label=label, split=SPLIT_WORDS.get((split or "").lower()), group_id=group_id
    )


def classes_name(name: str) -> str:
    """The file beside the tar `name` that would name its numbered classes."""
    return posixpath.join(posixpath.dirname(name), CLASSES)


def read_classes(name: str) -> dict[str, str]:
    """The names of numbered classes in a `classes.json`: a list, or an object of numbers."""
    try:
        found = json.loads((RAW / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = (
        enumerate(found)
        if isinstance(found, list)
        else found.items()
        if isinstance(found, dict)
        else ()
    )
    return {str(number): label for number, label in pairs if isinstance(label, str)}
