"""List the files of data/raw and say which of them cannot be opened."""

import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from tasks.dataset.paths import RAW


def list_files(root: Path) -> Iterator[str]:
    """Every file below `root`, as a relative path.

    A link to a folder is listed as if it were a file, and not followed.
    """
    for folder, folders, files in os.walk(root, onerror=_refuse):
        below = "" if Path(folder) == root else f"{Path(folder).relative_to(root).as_posix()}/"
        linked = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114
        yield from (below + name for name in files + linked)


def _refuse(error: OSError) -> None:
    """End the stage where a folder cannot be listed: images would be missing without a word."""
    raise error


def empty_folders(root: Path) -> list[str]:
    """The folders below `root` that hold nothing: they may be classes without an image."""
    found = [Path(folder) for folder, folders, files in os.walk(root) if not folders and not files]
    return sorted(
        printable_name(folder.relative_to(root).as_posix()) for folder in found if folder != root
    )


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
