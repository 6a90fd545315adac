"""How a folder is filled: with everything or with nothing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import UserError


def has_files(folder: Path) -> bool:
    """True where there is any file below `folder`."""
    return folder.is_dir() and any(not path.is_dir() for path in folder.rglob("*"))


@contextmanager
def filling(folder: Path, what: str) -> Iterator[Path]:
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
        raise UserError(f"{folder}: needs to be empty for {what}, found files; move them away first")


def _remove_folders(folder: Path) -> None:
    """Remove `folder` and the folders in it; never a file."""
    if folder.is_dir():
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir()
        folder.rmdir()
