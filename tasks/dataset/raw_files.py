"""List the files of data/raw and say which of them cannot be opened."""

import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tasks.common.errors import UserError
from tasks.dataset.clutter import is_clutter
from tasks.dataset.dvc_ignore import refuse, walk_versioned
from tasks.dataset.paths import RAW


class RawListing(NamedTuple):
    """What data/raw holds, as names below it.

    `files`: that DVC versions and that are no clutter. `clutter`: that DVC versions. A link to a
    folder is listed as if it were a file. `empty_folders`: that hold neither a file nor a folder,
    clutter apart; they may be classes without an image.
    """

    files: list[str]
    clutter: list[str]
    empty_folders: list[str]


def list_raw() -> RawListing:
    """List data/raw.

    Raises:
        UserError, OSError: see walk_versioned().
    """
    found = RawListing([], [], [])
    if not RAW.is_dir():
        return found
    for path, folders, files in walk_versioned():
        below = path[len(str(RAW)) + 1 :]
        prefix = f"{below}/" if below else ""
        linked = [name for name in folders if os.path.islink(f"{path}/{name}")]  # noqa: PTH114
        names = [prefix + name for name in files + linked]
        for name in names:
            (found.clutter if is_clutter(name) else found.files).append(name)
        is_empty = all(map(is_clutter, names)) and all(is_clutter(f"{name}/") for name in folders)
        if below and is_empty and not is_clutter(f"{below}/"):
            found.empty_folders.append(printable_name(below))
    found.empty_folders.sort()
    return found


def require_own_folder() -> None:
    """Check that data/raw is no link and lies behind none: DVC versions nothing behind a link.

    Raises:
        UserError: where it is, and where it is a file.
    """
    for path in (RAW.parent, RAW):
        if path.is_symlink():
            raise UserError(
                f"{path}: needs to be a folder, found a link to {path.resolve()}, behind which DVC "
                "versions nothing; move it here, or move the whole project to that disk"
            )
        if path.exists() and not path.is_dir():
            raise UserError(f"{path}: needs to be a folder, found a file; move it away")


def list_files(root: Path) -> Iterator[str]:
    """Every file below `root`, as a relative path.

    A link to a folder is listed as if it were a file, and not followed.
    """
    for folder, folders, files in os.walk(root, onerror=refuse):
        below = "" if Path(folder) == root else f"{Path(folder).relative_to(root).as_posix()}/"
        linked = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114
        yield from (below + name for name in files + linked)


def links_out(path: Path) -> bool:
    """True for a link to a file that is neither below data/raw nor in a DVC cache."""
    if not path.is_symlink():
        return False
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # a broken link, or a circle of them
        return False
    return not target.is_relative_to(RAW.resolve()) and "/files/md5/" not in target.as_posix()


def problem_of(name: str) -> str | None:
    """Why a file of data/raw cannot be opened, in words; None where it can."""
    if printable_name(name) != name:
        return "its name is not valid UTF-8"
    path = RAW / name
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return error.strerror
    if links_out(path):
        return f"is a link out of {RAW}"
    if stat.S_ISDIR(mode):
        return "is a link to a folder"
    return None if stat.S_ISREG(mode) else "is no regular file"


def path_key(name: str) -> tuple[bytes, bytes]:
    """The sort key of file names: their NFC form in bytes, then their own bytes.

    NFC, because macOS may give the same name in another Unicode form than Linux.
    """
    text = printable_name(name)
    return unicodedata.normalize("NFC", text).encode(), text.encode()


def printable_name(name: str) -> str:
    """`name` as valid UTF-8; bytes that are not become \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
