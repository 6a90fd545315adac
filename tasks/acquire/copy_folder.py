"""Copy new images from a folder into data/raw, which keeps what it had unless asked to mirror."""

import filecmp
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks.acquire.archives import JUNK
from tasks.common import events
from tasks.common.errors import UserError
from tasks.dataset import raw_files
from tasks.dataset.paths import RAW

SECONDS_TO_SETTLE = (
    2.0  # a file changed within so long may still be written; a clock that is ahead stays out of it
)
SHOWN = 3  # names in a line
UNVERSIONED = {".dvcignore", ".dvc", ".git", ".hg"}


@dataclass
class CopyResult:
    """What came of it, in names relative to the folder.

    `differing`: kept as they were in data/raw. `left`: files that were not taken, each with why.
    """

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.added or self.replaced or self.removed)


def copy_new(folder: Path, raw: Path, mirror: bool = False) -> CopyResult:
    """Copy what is new in `folder` into `raw`, each file whole or not at all; `folder` is only read.

    Files of other content under a name that `raw` has are left alone. With `mirror` they are replaced, and what
    `folder` lacks is removed.

    Raises:
        UserError: where `folder` is none, is `raw` or part of it, or has nothing to take and is to be mirrored.
    """
    _require_apart(folder, raw)
    brought = CopyResult()
    names = []
    for name in raw_files.list_files(folder):
        if JUNK.search(name):
            continue
        if reason := _refusal(name, folder / name):
            brought.left[name] = reason
        else:
            names.append(name)
    if mirror and not names:
        raise UserError(f"{folder}: needs files to mirror, found none; is it mounted?")
    if mirror:
        brought.removed = _remove_others(raw, {*names, *brought.left})
    temporary = raw.with_name(f".{raw.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        for name in events.track(names, len(names), "bringing", "file"):
            _copy_one(name, folder, raw, temporary / "file", mirror, brought)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return brought


def lines(brought: CopyResult, folder: Path) -> Iterator[str]:
    """What came of it, for people: first what was done, then what was not."""
    kinds = (("added", brought.added), ("replaced", brought.replaced), ("removed", brought.removed))
    told = ", ".join(f"{len(names):,} {kind}{_named(names)}" for kind, names in kinds if names)
    yield f"{folder}: {told or 'nothing new'}"
    if brought.differing:
        some = _named(brought.differing)
        yield f"{len(brought.differing):,} other than in {RAW}, which keeps its own{some}; --mirror replaces them"
    reasons: dict[str, list[str]] = {}
    for name, reason in brought.left.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        yield f"{len(names):,} left out: {reason}{_named(names)}"


def _named(names: list[str]) -> str:
    return f" ({', '.join(map(raw_files.printable, names[:SHOWN]))}{', ...' if len(names) > SHOWN else ''})"


def _require_apart(folder: Path, raw: Path) -> None:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise UserError(f"bring_from {folder}: needs to be a folder, found {found}")
    here, there = raw.resolve(), folder.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise UserError(f"bring_from {folder}: needs to lie apart from {raw}")


def _copy_one(
    name: str, folder: Path, raw: Path, temporary: Path, mirror: bool, brought: CopyResult
) -> None:
    source, target = folder / name, raw / name
    if not _ancestor(target).resolve().is_relative_to(raw.resolve()):
        brought.left[name] = f"behind a link out of {raw}"
        return
    there = os.path.lexists(target)
    if there and _same(source, target):
        return
    if there and not mirror:
        brought.differing.append(name)
        return
    if not _copied(source, temporary):
        brought.left[name] = "still being written, for the next run"
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        brought.left[name] = f"a file and a folder of one name: {raw} has the other"
        return
    (brought.replaced if there else brought.added).append(name)


def _refusal(name: str, source: Path) -> str | None:
    """Why a file is never taken. What a link leads to may be no part of the folder."""
    if raw_files.printable(name) != name:
        return "names that are not valid UTF-8"
    if source.is_symlink():
        return "links"
    if UNVERSIONED.intersection(name.split("/")):
        return "what DVC does not version"
    return None if source.is_file() else "no regular files"


def _same(source: Path, target: Path) -> bool:
    """Equal bytes. A copy has the time of its source, so most are known without reading."""
    if not (target.exists() and source.exists()):  # a broken link, a file that has gone
        return False
    ours, theirs = target.stat(), source.stat()
    if ours.st_size != theirs.st_size:
        return False
    return ours.st_mtime_ns == theirs.st_mtime_ns or filecmp.cmp(source, target, shallow=False)


def _ancestor(path: Path) -> Path:
    """The nearest folder above `path` that is there."""
    return next(parent for parent in path.parents if parent.exists())


def _copied(source: Path, temporary: Path) -> bool:
    """Copy; False for a file that has just changed, or changes or goes meanwhile."""
    try:
        before = source.stat()
        if abs(time.time() - before.st_mtime) < SECONDS_TO_SETTLE:
            return False
        shutil.copyfile(source, temporary)
        after = source.stat()
    except FileNotFoundError:
        return False
    os.utime(temporary, ns=(before.st_atime_ns, before.st_mtime_ns))
    return (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def _remove_others(raw: Path, names: set[str]) -> list[str]:
    """Remove the files of `raw` that are not among `names`, and the folders that this leaves empty."""
    others = sorted(name for name in raw_files.list_files(raw) if name not in names)
    for name in others:
        path = raw / name
        path.unlink()
        while path.parent != raw and not any(path.parent.iterdir()):
            path = path.parent
            path.rmdir()
    return others
