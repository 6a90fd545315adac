"""List the images inside tar files: plain tars and WebDataset shards.

A plain tar is read as a folder: its members' paths name classes and splits. In a WebDataset shard,
files that share a name up to its first dot, the key, are one sample: `0001.png` is labelled by
`0001.cls` (a class's number or name) and `0001.json` (keys `label`, `split`, `group_id`), and
`0001.left.png` and `0001.right.png` belong together. A `classes.json` beside the shard may name the
numbered classes.
"""

import json
import posixpath
import tarfile
from collections import Counter
from typing import IO, Any

from tasks.common.texts import counted
from tasks.common.untrusted_tar import CheckedTarInfo, checked_members
from tasks.dataset.clutter import is_clutter
from tasks.dataset.paths import RAW
from tasks.dataset.raw_files import printable_name
from tasks.dataset.split_names import split_of_folder
from tasks.ingest.containers import MAX_BYTES, Contents, Member, has_image_name
from tasks.ingest.tables.values import text_of
from tasks.pixels import file_kinds, hashing

SIDECARS = ("cls", "json", "txt")  # files that only describe the image of their sample
MAX_SIDECAR_BYTES = 2**20
CLASSES = "classes.json"

Sidecars = dict[tuple[str, str], bytes]  # the content of sidecars, by (sample, extension)


def is_tar(name: str, start: bytes) -> bool:
    """Whether a file's first 512 bytes (`start`) are a tar's header.

    Tars of the oldest kind have no magic number: they count only where they are called .tar.
    """
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
    members: list[Member] = []
    clutter: list[str] = []
    sidecars: Sidecars = {}
    damage = None
    tar_bytes = path.stat().st_size
    try:
        with (
            path.open("rb") as file,
            tarfile.open(fileobj=file, mode="r:", tarinfo=CheckedTarInfo) as tar,
        ):
            for info in checked_members(tar):
                if info.isdir():
                    continue
                if is_clutter(info.name):
                    clutter.append(printable_name(info.name.removeprefix("./")))
                    continue
                member = _read_member(file, info, tar_bytes)
                members.append(member)
                sample, extension = _sample_of(member.name)
                readable = member.sha256 is not None and info.size <= MAX_SIDECAR_BYTES
                if extension in SIDECARS and readable:
                    file.seek(info.offset_data)
                    sidecars[sample, extension] = file.read(info.size)
    except (tarfile.TarError, OSError, ValueError) as error:
        damage = f"after {counted(len(members), 'member')}: {error}"
    images = [_with_labels(member, sidecars) for member in _images(members)]
    images = _with_samples(_tell_misnamed(images), sidecars)
    return Contents(images, len(members), damage, clutter)


def _read_member(file: IO[bytes], info: tarfile.TarInfo, tar_bytes: int) -> Member:
    name_bytes = info.name.removeprefix("./").encode("utf-8", "surrogateescape")
    member = Member(
        name=name_bytes.decode("utf-8", "backslashreplace"),
        offset=info.offset_data,
        bytes=info.size,
        sha256=None,
    )
    if not info.isreg() or info.issparse():
        return member._replace(reason="unreadable", detail="is no regular file in its tar")
    if info.offset_data + info.size > tar_bytes:
        return member._replace(reason="unreadable", detail="its tar ends before it does")
    if info.size > MAX_BYTES:
        detail = f"{info.size:,} bytes, over {MAX_BYTES:,}"
        return member._replace(reason="too_large", detail=detail)
    file.seek(info.offset_data)
    data = file.read(info.size)
    kind = file_kinds.describe(data[: file_kinds.START_BYTES])
    reason = "not_an_image" if kind else None
    return member._replace(sha256=hashing.sha256(data), reason=reason, detail=kind)


def _sample_of(name: str) -> tuple[str, str]:
    """WebDataset's key and extension of a member: `a/b.c/1` and `seg.png` of `a/b.c/1.seg.png`."""
    folder, slash, file = name.rpartition("/")
    stem, _, extension = file.partition(".")
    return folder + slash + stem, extension.lower()


def _images(members: list[Member]) -> list[Member]:
    """The members but for sidecars; a file called as one whose sample has no other is kept."""
    samples = set()
    for member in members:
        sample, extension = _sample_of(member.name)
        if extension not in SIDECARS:
            samples.add(sample)
    return [member for member in members if not _is_sidecar(member, samples)]


def _is_sidecar(member: Member, samples: set[str]) -> bool:
    sample, extension = _sample_of(member.name)
    return extension in SIDECARS and sample in samples


def _with_labels(member: Member, sidecars: Sidecars) -> Member:
    """The member with what the `.cls` and `.json` of its sample say."""
    if member.reason is not None:
        return member
    sample, _ = _sample_of(member.name)
    values: dict[str, Any] = {}
    if (sample, "json") in sidecars:
        try:
            content = json.loads(sidecars[sample, "json"])
        except (ValueError, RecursionError):
            detail = "the .json of its sample is not valid JSON"
            return member._replace(reason="no_label", detail=detail)
        values = content if isinstance(content, dict) else {}
    if (sample, "cls") in sidecars:
        try:
            values["label"] = sidecars[sample, "cls"].decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            return member._replace(reason="no_label", detail="the .cls of its sample is not UTF-8")
    try:
        label, split, group_id = (
            text_of(values.get(key)) for key in ("label", "split", "group_id")
        )
    except ValueError as error:
        return member._replace(reason="no_label", detail=f"its sample: {error}")
    if split is not None and split_of_folder(split) is None:
        detail = f"its sample: split needs to be train, validation or test, found {split!r}"
        return member._replace(reason="no_split", detail=detail)
    split = split and split_of_folder(split)
    lack = None if label else _what_lacks(member.name, sidecars)
    return member._replace(label=label, split=split, group_id=group_id, detail=lack)


def _what_lacks(name: str, sidecars: Sidecars) -> str:
    """Which members would have labelled a member without a label."""
    sample, extension = _sample_of(name)
    key = posixpath.basename(sample)
    empty = [f"{key}.{kind}" for kind in ("cls", "json") if (sample, kind) in sidecars]
    if empty:
        return f"{' and '.join(empty)} beside it: no label in it"
    rule = f"; {key_rule(name)}" if "." in extension else ""
    return f"no {key}.cls or {key}.json beside it{rule}"


def _with_samples(images: list[Member], sidecars: Sidecars) -> list[Member]:
    """The members; those of samples that have several images get their sample's key.

    In a plain tar the dots in names may mean anything (`2023.05.01.jpg`). So a key counts where its
    sample has a sidecar, or where what follows the keys comes again and again, as `.left.jpg` does.
    """
    names = [_sample_of(member.name) if _is_image(member) else None for member in images]
    counts = Counter(name[0] for name in names if name)
    several = {key for key, count in counts.items() if count > 1}
    endings = {name[1] for name in names if name and name[0] in several}
    if len(endings) > len(several):
        several &= {key for key, _ in sidecars}
    return [
        member._replace(sample=name[0]) if name and name[0] in several else member
        for member, name in zip(images, names, strict=True)
    ]


def _is_image(member: Member) -> bool:
    """Whether a member is an image by its name, and nothing is known to be wrong with it."""
    return member.reason is None and has_image_name(member.name)


def misnamed_sidecars(images: list[Member]) -> set[str]:
    """The members that would label an image if keys ended at the last dot of names."""
    stems = {posixpath.splitext(image.name)[0] for image in images if has_image_name(image.name)}
    sidecars = (image.name for image in images if image.name.endswith((".cls", ".json")))
    return {name for name in sidecars if posixpath.splitext(name)[0] in stems}


def _tell_misnamed(images: list[Member]) -> list[Member]:
    """The members; misnamed sidecars say why they label nothing."""
    misnamed = misnamed_sidecars(images)
    return [
        image._replace(reason="not_an_image", detail=f"labels no image: {key_rule(image.name)}")
        if image.name in misnamed
        else image
        for image in images
    ]


def key_rule(name: str) -> str:
    """WebDataset's rule of keys, with the key of the member `name` as its example."""
    key = posixpath.basename(_sample_of(name)[0])
    return f"the key of a WebDataset sample ends at the first dot of its names, {key!r} here"


def classes_name(name: str) -> str:
    """The file beside the tar `name` that would name its numbered classes."""
    return posixpath.join(posixpath.dirname(name), CLASSES)


def read_classes(name: str) -> dict[str, str]:
    """The names of numbered classes in a `classes.json`, by number as text.

    The file holds `["cat", "dog"]` or `{"0": "cat", "1": "dog"}`; any other names nothing.
    """
    try:
        content = json.loads((RAW / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if isinstance(content, list):
        content = dict(enumerate(content))
    if not isinstance(content, dict):
        return {}
    return {str(number): label for number, label in content.items() if isinstance(label, str)}
