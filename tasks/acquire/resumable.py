"""Download one file so that a cut connection or a killed process goes on where it was.

What has arrived lies in `<target>.part`. It is renamed when it is whole: as long as the server
said, and with the MD5 that it said, where it said one.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from tasks.common import events
from tasks.common.errors import UserError

T = TypeVar("T")
PAUSES = (1, 2, 4, 8, 16)  # seconds between tries that bring nothing
KEPT = "what has arrived is kept: the same command goes on from there"


class TransientError(Exception):
    """A failure that may pass by itself; its text says what happened."""


class ChangedError(Exception):
    """The file is another one than when it was looked at."""


class Stream(NamedTuple):
    """The bytes of a file from `start` on, which is 0 where the server gives no parts of it."""

    start: int
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class RemoteFile:
    """A file of a server, as it was looked at.

    Attributes:
        address: as it may be printed: without credentials.
        size: in bytes; None where the server does not say it before the end.
        version: other for other content; "" where the server says nothing that tells.
        open: gives the bytes from a position on. Raises TransientError, ChangedError or UserError.
        md5: of its content, in hexadecimal digits; None where it is not known.
        is_md5: asked where the content has another: whether `md5` is one of the content at all.
    """

    address: str
    size: int | None
    version: str
    open: Callable[[int], AbstractContextManager[Stream]]
    md5: str | None = None
    is_md5: Callable[[], bool] = lambda: True


def part_of(target: Path) -> Path:
    """Where the bytes of `target` lie until it is whole."""
    return target.with_name(f"{target.name}.part")


def arrived(target: Path) -> int:
    """How many bytes of `target` are here, whole or not."""
    found = next((path for path in (target, part_of(target)) if path.exists()), None)
    return found.stat().st_size if found else 0


def download(file: RemoteFile, target: Path, most: int, advance: Callable[[int], object]) -> None:
    """Fetch a file, unless it is here.

    Args:
        file: what to fetch. A part of it that is here has to be of the same version.
        target: where to.
        most: how many bytes it may have, where its size is not known.
        advance: told of bytes as they arrive; of a negative number where some have to come again.

    Raises:
        UserError: where it cannot be had, is longer than it may be, or damaged.
        ChangedError: where it changes meanwhile.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(target)
    part.touch()
    with_patience(
        lambda: _go_on(file, part, most, advance), file.address, lambda: part.stat().st_size
    )
    if file.md5 and (found := _md5(part)) != file.md5 and file.is_md5():
        part.unlink()
        need = f"needs bytes of the MD5 {file.md5}, found {found}"
        raise UserError(f"{file.address}: {need}: damaged on the way; the same command tries again")
    part.replace(target)


def with_patience(action: Callable[[], T], address: str, progress: Callable[[], int] = int) -> T:
    """Call `action` until it does not raise TransientError, with growing pauses.

    Raises:
        UserError: where it failed time after time, and `progress` did not change meanwhile.
    """
    failures, before = 0, progress()
    while True:
        try:
            return action()
        except TransientError as error:
            failures = failures + 1 if progress() == before else 1
            before = progress()
            if failures > len(PAUSES):
                problem = f"{error}, {failures} times in a row"
                raise UserError(f"{address}: {problem}; {KEPT}") from error
            pause = PAUSES[failures - 1]
            events.say(f"{address}: {error}; once more in {pause} s")
            time.sleep(pause)


def _go_on(file: RemoteFile, part: Path, most: int, advance: Callable[[int], object]) -> None:
    """Append what is missing to `part`.

    Raises:
        TransientError: where it ends too early.
    """
    here = part.stat().st_size
    if here == file.size:
        return
    limit = most if file.size is None else file.size
    with file.open(here if file.version else 0) as stream, part.open("r+b") as output:
        if stream.start < here:
            events.say(f"{file.address}: the server gives no parts of it: from the start")
            advance(stream.start - here)
        output.truncate(stream.start)
        position = output.seek(stream.start)
        for chunk in stream.chunks:
            position += len(chunk)
            if position > limit:
                raise UserError(f"{file.address}: needs at most {limit:,} bytes, found more")
            output.write(chunk)
            advance(len(chunk))
    if file.size is not None and position < file.size:
        raise TransientError(f"ended after {position:,} of {file.size:,} bytes")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
