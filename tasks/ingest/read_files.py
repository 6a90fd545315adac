"""Read and hash the files under data/raw: each once, and not again while it stays as it is."""

import hashlib
import json
import os
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tasks.common import events, fact_cache, machine, workers
from tasks.common.errors import UserError
from tasks.dataset import idx_format
from tasks.dataset.paths import RAW
from tasks.dataset.raw_files import list_files, path_key, printable, problem_of
from tasks.ingest import idx, tar_shards
from tasks.ingest.containers import MAX_BYTES, Contents, Member
from tasks.pixels import hashing

READING = "2"  # raise it where other facts are found in the same bytes
NANOSECONDS_TO_SETTLE = (
    2 * 10**9
)  # a file changed this lately may change again within one tick of its clock
FILES_AT_ONCE = 4096
ARCHIVES = {  # what could be imported, by its first bytes
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
}


class FileFacts(NamedTuple):
    """What reading a file has told: its size, the SHA-256 of its bytes, and why it cannot be used."""

    bytes: int = 0
    sha256: str | None = None
    reason: str | None = None
    detail: str | None = None


Content = FileFacts | Contents


def file_states() -> dict[str, bytes]:
    """Every file below data/raw, in order, with what changes when it does; empty for what cannot be asked."""
    names = sorted(list_files(RAW), key=path_key) if RAW.is_dir() else []
    return {name: _state(name) for name in names}


def require_unchanged(before: dict[str, bytes]) -> None:
    """Whatever changes data/raw while it is read would be in what DVC notes as read, and never be looked at.

    Raises:
        UserError: where the states are no longer those of `before`.
    """
    changed = before.items() ^ file_states().items()
    if changed:
        raise UserError(f"{RAW}/{printable(min(changed)[0])}: changed while it was read; run again")


def read_all(keys: dict[str, bytes]) -> Iterator[tuple[str, Content]]:
    """What each file of states() is, as it is found out: facts of one, or the contents of a container."""
    with fact_cache.FactCache("files", READING) as known:
        remembered = known.get(key for key in keys.values() if key)
        unknown = []
        for name in keys:
            if keys[name] in remembered:
                yield name, _from_json(remembered[keys[name]])
            else:
                unknown.append(name)
        settled = time.time_ns() - NANOSECONDS_TO_SETTLE
        learned: list[tuple[bytes, bytes]] = []
        for name, content in _read(unknown):
            # what could not be read may be readable the next time, with nothing of the file changed
            if getattr(content, "reason", None) != "unreadable" and _is_settled(
                name, keys[name], settled
            ):
                learned.append((keys[name], _to_json(content)))
            if len(learned) == FILES_AT_ONCE:
                known.put(learned)
                learned.clear()
            yield name, content
        known.put(learned)


def _is_settled(name: str, state: bytes, settled: int) -> bool:
    """Whether a file is still what it was before it was read, and has been so for a while."""
    return bool(state) and state == _state(name) and (RAW / name).stat().st_mtime_ns < settled


def _state(name: str) -> bytes:
    """Of a file its path, size, time and inode, a link's own too."""
    try:
        facts, link = (RAW / name).stat(), (RAW / name).lstat()
    except OSError:
        return b""
    of_file, of_link = ((one.st_size, one.st_mtime_ns, one.st_ino) for one in (facts, link))
    text = f"{RAW.absolute()}/{printable(name)} {of_file} {of_link}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _read(names: list[str]) -> Iterator[tuple[str, Content]]:
    """Files are read by threads: reading and hashing leave the interpreter free. Containers take processes."""
    containers = []
    with ThreadPoolExecutor(machine.worker_count()) as pool:
        starts = range(
            0, len(names), FILES_AT_ONCE
        )  # a pool takes all that it is given at once, and holds it
        looked = (
            facts
            for start in starts
            for facts in pool.map(read_file, names[start : start + FILES_AT_ONCE])
        )
        for name, facts in zip(
            names, events.track(looked, len(names), "reading", "file"), strict=True
        ):
            if facts is None:
                containers.append(name)
            else:
                yield name, facts
    contents = workers.map_ordered(read_container, containers, preload="tasks.ingest.read_files")
    yield from zip(
        containers, events.track(contents, len(containers), "listing", "container"), strict=True
    )


def read_file(name: str) -> FileFacts | None:
    """The facts of a file; None for a container. What is too large for an image is hashed all the same, in pieces."""
    problem = problem_of(name)
    if problem:
        return FileFacts(reason="unreadable", detail=problem)
    try:
        with (RAW / name).open("rb") as file:
            start = file.read(tarfile.BLOCKSIZE)
            if is_container(name, start):
                return None
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                file.seek(0)
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                return FileFacts(size, sha256, "too_large", f"{size:,} bytes, over {MAX_BYTES:,}")
            data = start + file.read()
    except OSError as error:
        return FileFacts(reason="unreadable", detail=error.strerror)
    kind = next((kind for magic, kind in ARCHIVES.items() if data.startswith(magic)), None)
    why = f"{kind} data: `variegate import` unpacks zip and tar archives" if kind else None
    return FileFacts(len(data), hashing.sha256(data), "not_an_image" if kind else None, why)


def is_container(name: str, start: bytes) -> bool:
    """True for tars and for idx files of images, by their content, of which `start` holds the first 512 bytes."""
    if tar_shards.is_tar(name, start):
        return True
    header = (
        idx_format.read_header(RAW / name)
        if start.startswith((idx_format.MAGIC, idx_format.GZIP))
        else None
    )
    return header is not None and len(header.shape) > 1


def read_container(name: str) -> Contents:
    """What is in the tar or idx file `name` below data/raw."""
    header = idx_format.read_header(RAW / name)
    return tar_shards.read_tar(name) if header is None else idx.read_idx(name, header)


def _to_json(content: Content) -> bytes:
    return json.dumps([type(content).__name__, *content]).encode()


def _from_json(data: bytes) -> Content:
    kind, *fields = json.loads(data)
    if kind == FileFacts.__name__:
        return FileFacts(*fields)
    return Contents([Member(*member) for member in fields[0]], *fields[1:])
