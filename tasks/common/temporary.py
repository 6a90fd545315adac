"""Atomic writes: files and folders are written under a temporary name and renamed when complete.

A temporary file lies beside the file that it will replace: `.manifest.parquet.1f2e3d4c.tmp`. Its
process holds a lock on it, and the system releases the lock however that process ends. So what a
killed process has left is recognised, and the next process that writes there removes it.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from tasks.common.errors import UserError

PATTERN = f".*.{'[0-9a-f]' * 8}.tmp"


# --- files ----------------------------------------------------------------------------------------


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary file to write; it replaces `path` when the block ends without an error.

    After an error `path` is what it was before. What killed processes left in the folder is
    removed, once for each folder and process: a look through the folder for each of thousands of
    files would take time that grows with their square.
    """
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned_once(folder.absolute())
    try:
        with locked_beside(path) as temporary:
            yield temporary
            temporary.replace(path)
    except OSError as error:
        # a full disk names no file, or one that no user knows
        if error.filename is None or str(error.filename).endswith(".tmp"):
            error.filename = str(path)
        raise


@contextmanager
def locked_beside(path: Path, make: Callable[[Path], None] = Path.touch) -> Iterator[Path]:
    """Give a new temporary file (with Path.mkdir a folder) beside `path`, locked by this process.

    It is removed when the block ends, unless it was renamed.
    """
    temporary, handle = _make_locked(path, make)
    try:
        yield temporary
    finally:
        _remove(temporary)
        os.close(handle)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes left in `folder`."""
    for path in folder.glob(PATTERN):
        with suppress(OSError):  # locked by a living process, or removed by another one
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(handle)


@cache
def _remove_abandoned_once(folder: Path) -> None:
    remove_abandoned(folder)


def _make_locked(path: Path, make: Callable[[Path], None]) -> tuple[Path, int]:
    """A new temporary file or folder, and the handle that locks it."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        make(temporary)
        # another process may take it for abandoned before it is locked, and remove it: once more
        with suppress(FileNotFoundError):
            handle = os.open(temporary, os.O_RDONLY)
            # without locks in the file system, remove_abandoned() gets none and removes nothing
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH)
            if temporary.exists():
                return temporary, handle
            os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


# --- folders --------------------------------------------------------------------------------------


def require_empty(folder: Path, what: str) -> None:
    """Raises UserError where there is a file below `folder`. `what` would fill it: `a sample`."""
    if has_files(folder):
        raise UserError(
            f"{folder}: needs to be empty for {what}, found files; move them away first"
        )


@contextmanager
def atomic_folder(folder: Path, what: str) -> Iterator[Path]:
    """Give a temporary folder to fill; it becomes `folder` when the block ends without an error.

    After an error, Ctrl-C included, it is removed.

    Args:
        folder: has to hold no files.
        what: what it is filled with, for people: `a sample`.

    Raises:
        UserError: where `folder` holds files.
    """
    require_empty(folder, what)
    with temporary_folder(folder) as temporary:
        try:
            yield temporary
            require_empty(folder, what)  # files may have come meanwhile
            _remove_empty_folders(folder)
            temporary.rename(folder)
        except OSError as error:
            if error.errno is not None and error.filename is None:
                error.filename = str(folder)  # a full disk names no file
            raise


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Give a new folder beside `path`, which is removed when the block ends, unless it was renamed.

    Its name is always the same (`.raw.tmp` beside `raw`): so git can ignore it, and what a killed
    process left is removed by the next one.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def has_files(folder: Path) -> bool:
    """Whether there is any file below `folder`, however deep."""
    return folder.is_dir() and any(not path.is_dir() for path in folder.rglob("*"))


def _remove_empty_folders(folder: Path) -> None:
    """Remove `folder` and the folders in it; never a file."""
    if folder.is_dir():
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir()
        folder.rmdir()
