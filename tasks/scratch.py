"""What is not finished: files that will be renamed into their place, and folders that last as long as a block.

Each is locked by its process, and the system frees the lock however a process ends. So what a killed one has left is
known, and the next process removes it.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAMES = ".*.tmp"


@contextmanager
def beside(path: Path, make: Callable[[Path], None] = Path.touch) -> Iterator[Path]:
    """A new file in the folder of `path`, or with Path.mkdir a new folder; gone after the block, unless renamed."""
    made, handle = _make(path, make)
    try:
        yield made
    finally:
        _remove(made)
        os.close(handle)


def sweep(folder: Path) -> None:
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
