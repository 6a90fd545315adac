"""Settings of the machine, from the environment. *Where* it runs must not change *what* it makes.

VARIEGATE_WORKERS     worker processes; default: the processors that this process may use
VARIEGATE_CACHE       the private, disposable cache; default: .variegate
VARIEGATE_CACHE_GB    its bound; default: 20
VARIEGATE_DEVICE      torch's name of the device; default: cuda where there is one, else cpu
VARIEGATE_EVENTS      the file that a stage appends its events to (see tasks/common/events.py)
VARIEGATE_DEBUG       1: tracebacks instead of one line
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tasks.common import events
from tasks.common.errors import UserError


def worker_count() -> int:
    """How many worker processes to use."""
    text = os.environ.get("VARIEGATE_WORKERS")
    if text is None:
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UserError(f"VARIEGATE_WORKERS: needs a whole number from 1, found {text!r}")
    return int(text)


def cache_folder() -> Path:
    """The private cache; made where it is missing."""
    folder = Path(os.environ.get("VARIEGATE_CACHE") or ".variegate")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_limit_bytes() -> int:
    """What the private cache may take."""
    text = os.environ.get("VARIEGATE_CACHE_GB", "20")
    try:
        return int(float(text) * 1e9)
    except (ValueError, OverflowError):
        raise UserError(f"VARIEGATE_CACHE_GB: needs a number, found {text!r}") from None


def memory_bytes() -> int:
    """The memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextmanager
def alone_on(gpu: str | None) -> Iterator[None]:
    """Wait until no other process of this machine is in such a block for the same GPU, then keep others out.

    The lock is a file's: however its holder ends, the system gives it back. None is no GPU, and nothing to wait for.
    """
    if gpu is None:
        yield
        return
    path = Path(tempfile.gettempdir()) / f"variegate-{gpu}.lock"
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            events.say(f"waiting: another process trains on {gpu}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> IO[bytes]:
    """A file that another user may have made: it is opened to be read, and made only where there is none."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_CREAT, 0o644), "rb")
