"""Crash slots: where a process notes which file it is working on, for those that come after it.

A slot is a small file in the private cache, mapped into memory and locked by its process. It holds
the key of the file at work, or none. The system frees the lock however a process ends. So a slot
that holds a key and that another process can lock is abandoned: its process crashed at that file.
"""

import fcntl
import mmap
import os
import secrets
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tasks.common.machine import cache_folder

_RECORD = struct.Struct("<64sd?")  # the fields of Record
_NO_KEY = b"\0"  # the first byte of a slot that holds no key


class Record(NamedTuple):
    """What a slot holds: a key of up to 64 bytes, its start on the monotonic clock, in seconds."""

    key: bytes
    start: float
    timed_out: bool


class Slot:
    """A slot of this process, empty at first.

    Raises:
        OSError: where the file system has no room, no locks or no memory maps.
    """

    def __init__(self) -> None:
        folder = _folder()
        folder.mkdir(exist_ok=True)
        while True:
            path = folder / f"{os.getpid()}-{secrets.token_hex(4)}"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if os.fstat(self._file).st_nlink:  # else remove_abandoned() came in between
                break
            os.close(self._file)
        # written, not truncated: storing into the map of a hole on a full disk ends the process
        os.write(self._file, bytes(_RECORD.size))
        self._map = mmap.mmap(self._file, _RECORD.size)
        self.ticks = 0  # of the clock of isolation.py, since the key was noted

    def note(self, key: str) -> None:
        """Work on `key` begins. It takes a microsecond."""
        self.ticks = 0
        self._map[:] = _RECORD.pack(key.encode(), time.monotonic(), False)

    def empty(self) -> None:
        """Work on the key has ended."""
        self._map[:1] = _NO_KEY

    def is_empty(self) -> bool:
        return self._map[:1] == _NO_KEY

    def seconds(self) -> float:
        """Since work on the key began."""
        return time.monotonic() - Record(*_RECORD.unpack(self._map[:])).start

    def note_timeout(self) -> None:
        """This process is about to end, because the work on its key takes too long."""
        record = Record(*_RECORD.unpack(self._map[:]))
        self._map[:] = _RECORD.pack(record.key, record.start, True)

    def close(self) -> None:
        self._map.close()
        os.close(self._file)


def read_abandoned() -> list[Record]:
    """What the slots of ended processes hold that were at work."""
    records = [Record(*_RECORD.unpack(data)) for _, data in _abandoned()]
    return [record for record in records if not record.key.startswith(_NO_KEY)]


def remove_abandoned() -> None:
    """Delete the slots of processes that have ended."""
    for path, _ in _abandoned():
        path.unlink(missing_ok=True)


def _folder() -> Path:
    return cache_folder() / "watch"


def _abandoned() -> Iterator[tuple[Path, bytes]]:
    """The slots of processes that have ended, each locked while the caller uses it."""
    if not _folder().is_dir():
        return
    for path in _folder().iterdir():
        with suppress(OSError):  # deleted meanwhile, no file, or locked: its process lives
            file = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # several may read at a time
                yield path, os.read(file, _RECORD.size).ljust(_RECORD.size, b"\0")
            finally:
                os.close(file)
