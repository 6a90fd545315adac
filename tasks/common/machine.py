"""Settings of the machine, from environment variables; none of them changes what stages write.

VARIEGATE_WORKERS     worker processes; default: the processors that this process may use
VARIEGATE_CACHE       the private, disposable cache; default: .variegate
VARIEGATE_CACHE_GB    its bound; default: 20
VARIEGATE_CLUSTER     the Dask scheduler whose workers are used, tcp:// or tls://; default: none
VARIEGATE_SOURCES     remote: those workers read data/raw from the DVC remote, for they do not have
                      the project's folder; default: they have it
VARIEGATE_DEVICE      torch's name of the device; default: cuda where there is one, else cpu
VARIEGATE_GPU_SHARE   the share of a GPU's free memory that images may take; default: 0.7
VARIEGATE_EVENTS      the file that a stage appends its events to (see tasks/common/events.py)
VARIEGATE_DEBUG       1: tracebacks instead of one line
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tasks.common import events
from tasks.common.errors import UserError


def worker_count() -> int:
    """How many worker processes to use.

    Raises:
        UserError: where VARIEGATE_WORKERS is no whole number from 1.
    """
    text = os.environ.get("VARIEGATE_WORKERS")
    if text is None:
        if hasattr(os, "sched_getaffinity"):  # not on macOS
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UserError(f"VARIEGATE_WORKERS: needs a whole number from 1, found {text!r}")
    return int(text)


def cache_folder() -> Path:
    """The folder of the private cache; it is made where it is missing."""
    folder = Path(os.environ.get("VARIEGATE_CACHE") or ".variegate")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_limit_bytes() -> int:
    """How many bytes of segments, arrays and trainings the private cache may hold.

    Raises:
        UserError: where VARIEGATE_CACHE_GB is no number.
    """
    text = os.environ.get("VARIEGATE_CACHE_GB", "20")
    try:
        return int(float(text) * 1e9)
    except (ValueError, OverflowError):
        raise UserError(f"VARIEGATE_CACHE_GB: needs a number, found {text!r}") from None


def sources_are_remote() -> bool:
    """Whether workers read data/raw from the DVC remote, as they do not have the project's folder.

    Raises:
        UserError: where VARIEGATE_SOURCES is something else than `remote`.
    """
    text = os.environ.get("VARIEGATE_SOURCES") or ""
    if text not in ("", "remote"):
        raise UserError(f"VARIEGATE_SOURCES: needs to be remote or not there, found {text!r}")
    return text == "remote"


def memory_bytes() -> int:
    """The machine's physical memory."""
    import psutil  # takes 0.1 s, and only one stage asks

    return psutil.virtual_memory().total


def gpu_share() -> float:
    """The share of a GPU's free memory that images may take; what is left is the network's.

    Raises:
        UserError: where VARIEGATE_GPU_SHARE is no number from 0 to 1.
    """
    text = os.environ.get("VARIEGATE_GPU_SHARE", "0.7")
    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise UserError(f"VARIEGATE_GPU_SHARE: needs a number from 0 to 1, found {text!r}")


@contextmanager
def gpu_lock(gpu: str | None) -> Iterator[None]:
    """Run the block while no other process of this machine runs such a block for the same GPU.

    A process that comes second waits. The lock is on a file: however its holder ends, the system
    releases it. `gpu` is the GPU's name; None, on a machine without, waits for nothing.
    """
    if gpu is None:
        yield
        return
    path = Path(tempfile.gettempdir()) / f"variegate-{gpu}.lock"
    with _open_lock_file(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            events.say(f"waiting: another process trains on {gpu}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open_lock_file(path: Path) -> IO[bytes]:
    """Open a file that another user may have made: for reading, and created only where missing."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_CREAT, 0o644), "rb")
