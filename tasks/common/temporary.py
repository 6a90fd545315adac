"""Atomic writes and temporary folders: everything is written beside its place and renamed into it.

Each temporary file is locked by its process, and the system frees the lock however a process ends.
So what a killed process has left is known, and the next process removes it.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.common.errors import UserError

NAMES = ".*.tmp"


@contextmanager
def locked_beside(path: Path, make: Callable[[Path], None] = Path.touch) -> Iterator[Path]:
    """A new file in the folder of `path`, or with Path.mkdir a new folder; gone after the block, unless renamed."""
    made, handle = _make(path, make)
    try:
        yield made
    finally:
        _remove(made)
        os.close(handle)


def remove_abandoned(folder: Path) -> None:
    """Remove from `folder` what killed processes left there."""
    for path in folder.glob(NAMES):
        with suppress(OSError):  # its process lives, or it is gone
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(handle)


def _make(path: Path, make: Callable[[Path], None]) -> tuple[Path, int]:
    """A new file or folder, and the handle that locks it."""
    while True:
        made = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        make(made)
        with suppress(FileNotFoundError):  # sweep() came between, here or below
            handle = os.open(made, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks: sweep() removes nothing there
                fcntl.flock(handle, fcntl.LOCK_SH)
            if made.exists():
                return made, handle
            os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def has_files(folder: Path) -> bool:
    """True where there is any file below `folder`."""
    return folder.is_dir() and any(not path.is_dir() for path in folder.rglob("*"))


@contextmanager
def atomic_folder(folder: Path, what: str) -> Iterator[Path]:
    """Give a new folder beside `folder`; put it in `folder`'s place when the block ends well, remove it if not.

    Ctrl-C removes it as well. What a killed process left is removed by the next one.

    Args:
        folder: has to hold no files.
        what: what it is filled with, for people: `a sample`.

    Raises:
        UserError: where `folder` holds files.
    """
    _require_empty(folder, what)
    beside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        _require_empty(folder, what)  # files may have come meanwhile
        _remove_folders(folder)
        beside.rename(folder)
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(folder)  # a full disk names no file
        raise


def _require_empty(folder: Path, what: str) -> None:
    if has_files(folder):
        raise UserError(
            f"{folder}: needs to be empty for {what}, found files; move them away first"
        )


def _remove_folders(folder: Path) -> None:
    """Remove `folder` and the folders in it; never a file."""
    if folder.is_dir():
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir()
        folder.rmdir()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; put it in `path`'s place when the block ends well, remove it if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked_beside(path) as temporary:
            yield temporary
            temporary.replace(path)
    except OSError as error:
        if error.filename is None or str(error.filename).endswith(
            ".tmp"
        ):  # a full disk names no file
            error.filename = str(path)
        raise
