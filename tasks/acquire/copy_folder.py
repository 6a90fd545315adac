"""Copy new images from a folder into data/raw; with `mirror`, make data/raw equal to the folder."""

import filecmp
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks.common import events
from tasks.common.errors import UserError
from tasks.common.temporary import temporary_folder
from tasks.dataset import clutter, raw_files
from tasks.dataset.clutter import is_clutter
from tasks.dataset.paths import RAW

# A file whose time is within so many seconds of now may still be written. One whose time lies
# further in the future has a wrong clock, and is copied.
SECONDS_TO_SETTLE = 2.0
NAMES_SHOWN = 3  # in a line


@dataclass
class CopyResult:
    """What was done, as names of files relative to the folder.

    `differing`: files with other content in data/raw, which were kept there. `skipped`: files that
    were not copied, each with the reason. `clutter`: files that nobody misses, see clutter.py.
    """

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    clutter: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.added or self.replaced or self.removed)


def copy_or_mirror(folder: Path, raw: Path, mirror: bool = False) -> CopyResult:
    """Copy the files of `folder` that `raw` lacks into it; each copy is atomic.

    Where `raw` has a file of that name with other content, it keeps it. With `mirror` the file is
    replaced, and the files that `folder` lacks are removed from `raw`. `folder` is only read.

    Raises:
        UserError: where `folder` is no folder, where it is in `raw` or `raw` in it, and with
            `mirror` where it holds nothing to copy: it may not be mounted.
    """
    _require_apart(folder, raw)
    result = CopyResult()
    names = []
    for name in raw_files.list_files(folder):
        if is_clutter(name):
            result.clutter.append(name)
        elif reason := _refusal(name, folder / name):
            result.skipped[name] = reason
        else:
            names.append(name)
    if mirror and not names:
        raise UserError(f"{folder}: needs files to mirror, found none; is it mounted?")
    if mirror:
        result.removed = _remove_others(raw, {*names, *result.skipped})
    with temporary_folder(raw) as temporary:
        for name in events.track(names, len(names), "bringing", "file"):
            _copy_one(name, folder, raw, temporary / "file", mirror, result)
    return result


def result_lines(result: CopyResult, folder: Path) -> Iterator[str]:
    """The result in lines for people: first what was done, then what was not."""
    kinds = (("added", result.added), ("replaced", result.replaced), ("removed", result.removed))
    counts = [f"{len(names):,} {kind}{_examples(names)}" for kind, names in kinds if names]
    left_out = f"; {clutter.words(clutter.count(result.clutter))}" if result.clutter else ""
    yield f"{folder}: {', '.join(counts) or 'nothing new'}{left_out}"
    if differing := result.differing:
        problem = f"other than in {RAW}, which keeps its own{_examples(differing)}"
        yield f"{len(differing):,} {problem}; --mirror replaces them"
    by_reason: dict[str, list[str]] = {}
    for name, reason in result.skipped.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        yield f"{len(names):,} left out: {reason}{_examples(names)}"


def _examples(names: list[str]) -> str:
    """The first names, in parentheses."""
    shown = ", ".join(map(raw_files.printable_name, names[:NAMES_SHOWN]))
    return f" ({shown}{', ...' if len(names) > NAMES_SHOWN else ''})"


def _require_apart(folder: Path, raw: Path) -> None:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise UserError(f"bring_from {folder}: needs to be a folder, found {found}")
    inner, outer = raw.resolve(), folder.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UserError(f"bring_from {folder}: needs to lie apart from {raw}")


def _copy_one(
    name: str, folder: Path, raw: Path, temporary: Path, mirror: bool, result: CopyResult
) -> None:
    """Copy the file `name` through the file `temporary`, and note in `result` what was done."""
    source, target = folder / name, raw / name
    if not _nearest_folder(target).resolve().is_relative_to(raw.resolve()):
        result.skipped[name] = f"behind a link out of {raw}"
        return
    exists = os.path.lexists(target)
    if exists and _same_content(source, target):
        return
    if exists and not mirror:
        result.differing.append(name)
        return
    if not _copy_settled(source, temporary):
        result.skipped[name] = "still being written, for the next run"
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        result.skipped[name] = f"a file and a folder of one name: {raw} has the other"
        return
    (result.replaced if exists else result.added).append(name)


def _refusal(name: str, source: Path) -> str | None:
    """Why a file is never copied, or None. A link may lead out of the folder."""
    if raw_files.printable_name(name) != name:
        return "names that are not valid UTF-8"
    if source.is_symlink():
        return "links"
    return None if source.is_file() else "no regular files"


def _same_content(source: Path, target: Path) -> bool:
    """Whether two files hold equal bytes.

    A copy has the time of its source: where size and time are equal, they are not read.
    """
    if not (target.exists() and source.exists()):  # a broken link, a file removed meanwhile
        return False
    ours, theirs = target.stat(), source.stat()
    if ours.st_size != theirs.st_size:
        return False
    return ours.st_mtime_ns == theirs.st_mtime_ns or filecmp.cmp(source, target, shallow=False)


def _nearest_folder(path: Path) -> Path:
    """The nearest folder above `path` that exists."""
    return next(parent for parent in path.parents if parent.exists())


def _copy_settled(source: Path, temporary: Path) -> bool:
    """Copy a file with its time; False where it has just changed, or is changed meanwhile."""
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
    """Remove the files of `raw` that are not among `names`, and the folders that it empties.

    Clutter stays where it lies: a .git folder may be somebody's work.
    """
    others = sorted(
        name for name in raw_files.list_files(raw) if name not in names and not is_clutter(name)
    )
    for name in others:
        path = raw / name
        path.unlink()
        while path.parent != raw and not any(path.parent.iterdir()):
            path = path.parent
            path.rmdir()
    return others
