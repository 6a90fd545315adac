"""A watch over decoding: a file on which a decoder ends its process, or never ends, is known to those who come after.

While a file is decoded its key stands in a slot: a small file in the private cache, mapped into memory and locked by
its process. The system frees the lock however a process ends, so a key in a slot that can be locked is a death. An end
that has nothing to do with the file (SIGTERM, a parent that ended, an exception) takes the key out of its slot.

A decoder that takes longer than MOST_SECONDS has its process ended from within. The clock counts looks, one a second,
so that a process that was stopped meanwhile loses no file. A decoder that keeps Python's lock, as that of JPEG 2000
does, stops the looks too: then the process ends after as many seconds of the processor's time, and that is one death.
"""

import fcntl
import mmap
import os
import secrets
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from tasks.common import workers
from tasks.common.machine import cache_folder

MOST_SECONDS = 120.0  # for a file; then it is slow
MOST_DEATHS = 2  # of processes at a file; one may be chance
LOOK_EVERY = 1.0  # seconds
_RECORD = struct.Struct("<64sd?")  # key, its start on the monotonic clock, whether it was slow
_EMPTY = b"\0"  # in the key's first place


@dataclass(frozen=True)
class Death:
    """How processes ended at a key: how many, and whether one was ended because it took too long."""

    count: int
    slow: bool


class _Slot:
    """A locked file with room for one key."""

    def __init__(self) -> None:
        folder = _folder()
        folder.mkdir(exist_ok=True)
        while True:
            path = folder / f"{os.getpid()}-{secrets.token_hex(4)}"
            self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(self.file, fcntl.LOCK_EX)
            if os.fstat(self.file).st_nlink:  # else clear() came between the two
                break
            os.close(self.file)
        os.write(
            self.file, bytes(_RECORD.size)
        )  # no hole: writing to its map where the disk is full ends the process
        self.map = mmap.mmap(self.file, _RECORD.size)
        self.looks = 0  # at the present key

    def close(self) -> None:
        self.map.close()
        os.close(self.file)


_slots: list[_Slot] = []  # of this process
_free: list[_Slot] = []  # those of them that no thread uses
_unable = False  # this file system has no locks or maps: nothing is watched
_timed = False  # the processor's time is measured here: nobody else does so
_lock = threading.Lock()


class watched:  # noqa: N801  # a context manager that is used as a function
    """While the body runs, `key` stands in a slot of this process. It costs a microsecond.

    The key is the SHA-256 of the file's bytes, in hex digits.
    """

    __slots__ = ("key", "slot")

    def __init__(self, key: str) -> None:
        self.key = key

    def __enter__(self) -> None:
        try:
            self.slot: _Slot | None = _free.pop()
        except IndexError:
            self.slot = _new_slot()
        if self.slot is not None:
            self.slot.looks = 0
            self.slot.map[:] = _RECORD.pack(self.key.encode(), time.monotonic(), False)
            if _timed:
                signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.slot is not None:
            self.slot.map[:1] = _EMPTY
            _free.append(self.slot)


def deaths() -> dict[str, Death]:
    """The keys at which processes ended that live no more."""
    found: dict[str, Death] = {}
    for _, record in _dead():
        key, _, slow = _RECORD.unpack(record)
        if not key.startswith(_EMPTY):
            name = key.decode("ascii", "replace")
            before = found.get(name, Death(0, False))
            found[name] = Death(before.count + 1, before.slow or slow)
    return found


def verdict(key: str, deaths: dict[str, Death]) -> str | None:
    """Why the file is to be set aside unopened, or None."""
    death = deaths.get(key, Death(0, False))
    if death.slow:
        return f"decoding took over {MOST_SECONDS:.0f} s"
    return "the decoder ended its process twice" if death.count >= MOST_DEATHS else None


def clear() -> None:
    """Forget the deaths: the stage that they disturbed has ended well."""
    for path, _ in _dead():
        path.unlink(missing_ok=True)


def _folder() -> Path:
    return cache_folder() / "watch"


def _dead() -> Iterator[tuple[Path, bytes]]:
    """The slots of processes that live no more, each locked while it is looked at."""
    if not _folder().is_dir():
        return
    for path in _folder().iterdir():
        with suppress(
            OSError
        ):  # cleared meanwhile, or its process lives: then the lock is not to be had
            file = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # others may look at the same time
                record = os.read(file, _RECORD.size)
                yield path, record.ljust(_RECORD.size, b"\0")
            finally:
                os.close(file)


def _new_slot() -> _Slot | None:
    """One more slot of this process; with the first, those who look after it."""
    global _unable, _timed
    with _lock:
        if _unable:
            return None
        try:
            slot = _Slot()
        except OSError:
            _unable = True
            return None
        _slots.append(slot)
        if len(_slots) == 1:
            _timed = signal.getsignal(signal.SIGPROF) is signal.SIG_DFL
            with suppress(ValueError):  # not in the main thread: signals stay as they are
                if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                    signal.signal(signal.SIGTERM, _end_innocently)
            threading.Thread(target=_look_for_ever, daemon=True, name="watch").start()
    return slot


def _look_for_ever() -> None:
    while True:
        time.sleep(LOOK_EVERY)
        busy = [slot for slot in _slots if slot.map[:1] != _EMPTY]
        for slot in busy:
            slot.looks += 1
            if slot.looks * LOOK_EVERY > MOST_SECONDS:
                _end_if_slow(slot)
        if _timed:  # wound up anew with each look, so that it runs out only where there are none
            signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS if busy else 0)


def _end_if_slow(slot: _Slot) -> None:
    key, start, _ = _RECORD.unpack(slot.map[:])
    if (
        key.startswith(_EMPTY) or time.monotonic() - start < MOST_SECONDS
    ):  # it has ended in this moment
        return
    slot.map[:] = _RECORD.pack(key, start, True)
    for other in _slots:
        if other is not slot:
            other.map[:1] = _EMPTY
    if workers.in_worker():
        os._exit(1)
    print(
        f"decoding took over {MOST_SECONDS:.0f} s: run again, and the file is set aside",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)


def _forget() -> None:
    """This process ends for a reason that has nothing to do with its files."""
    for slot in _slots:
        slot.map[:1] = _EMPTY


def _end_innocently(number: int, _: FrameType | None) -> None:
    _forget()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _start_anew() -> None:
    """A forked process has no slots: those it was born with are its parent's, locked as long as anyone holds them."""
    global _lock
    for slot in _slots:
        slot.close()
    _slots.clear()
    _free.clear()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_start_anew)
workers.before_orphan_ends.append(_forget)
