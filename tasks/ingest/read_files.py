"""Read and hash the files under data/raw; a file is read again only when it has changed."""

import hashlib
import json
import os
import tarfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tasks.common import events, machine
from tasks.common.errors import UserError
from tasks.common.fact_cache import FactCache
from tasks.dataset import idx_format
from tasks.dataset.paths import RAW
from tasks.dataset.raw_files import list_raw, path_key, printable_name, problem_of
from tasks.ingest import idx, tar_shards
from tasks.ingest.containers import MAX_BYTES, Contents, Member
from tasks.pixels import file_kinds, hashing
from tasks.workers import cluster
from tasks.workers.ordered import map_ordered

CACHE_VERSION = "3"  # raise it where other facts are found in the same bytes
# A file changed this lately may change again without getting another time: clocks tick coarsely.
NANOSECONDS_TO_SETTLE = 2 * 10**9
FILES_PER_BATCH = 4096
FILES_PER_TASK = 256  # of a cluster


class FileFacts(NamedTuple):
    """The size of a file, the SHA-256 of its bytes, and why it cannot be used (`reason`)."""

    bytes: int = 0
    sha256: str | None = None
    reason: str | None = None
    detail: str | None = None


Content = FileFacts | Contents


# --- states: has a file changed? ------------------------------------------------------------------


def file_states(names: Iterable[str]) -> dict[str, bytes]:
    """The state of each of these files of data/raw, by name, in the order of names.

    A file's state changes when the file does. It is empty where the file cannot be asked.
    """
    return {name: _state(name) for name in sorted(names, key=path_key)}


def require_unchanged(before: dict[str, bytes]) -> None:
    """Check that no file but clutter has changed since file_states() returned `before`.

    DVC notes the hash of data/raw after the stage: a change that came while the stage was reading
    would be in that hash, and the stage would never read it.

    Raises:
        UserError: where a file was changed, added or removed.
    """
    changed = before.items() ^ file_states(list_raw().files).items()
    if changed:
        raise UserError(
            f"{RAW}/{printable_name(min(changed)[0])}: changed while it was read; run again"
        )


def _state(name: str) -> bytes:
    """A hash of the file's path, size, time and inode, and of those of the link that it may be."""
    try:
        file, link = (RAW / name).stat(), (RAW / name).lstat()
    except OSError:
        return b""
    of_file, of_link = ((one.st_size, one.st_mtime_ns, one.st_ino) for one in (file, link))
    text = f"{RAW.absolute()}/{printable_name(name)} {of_file} {of_link}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


# --- reading, with the fact cache -----------------------------------------------------------------


def read_all(states: dict[str, bytes]) -> dict[str, Content]:
    """The content of each file of file_states(), in their order: facts, or a container's images."""
    with FactCache("files", CACHE_VERSION) as cache:
        cached = cache.get(state for state in states.values() if state)
        contents = {
            name: _from_json(cached[state]) for name, state in states.items() if state in cached
        }
        unknown = [name for name in states if name not in contents]
        contents.update(_read_and_cache(unknown, states, cache))
    return {name: contents[name] for name in states}


def _read_and_cache(
    names: list[str], states: dict[str, bytes], cache: FactCache
) -> Iterator[tuple[str, Content]]:
    settled_before = time.time_ns() - NANOSECONDS_TO_SETTLE
    batch: list[tuple[bytes, bytes]] = []
    for name, content in _read(names):
        if _may_be_cached(name, content, states[name], settled_before):
            batch.append((states[name], _to_json(content)))
        if len(batch) == FILES_PER_BATCH:
            cache.put(batch)
            batch.clear()
        yield name, content
    cache.put(batch)


def _may_be_cached(name: str, content: Content, state: bytes, settled_before: int) -> bool:
    """Whether the file is what it was before it was read, and has been so for a while.

    What could not be read is never cached: it may become readable without a change of the file.
    """
    if isinstance(content, FileFacts) and content.reason == "unreadable":
        return False
    unchanged = bool(state) and state == _state(name)
    return unchanged and (RAW / name).stat().st_mtime_ns < settled_before


def _read(names: list[str]) -> Iterator[tuple[str, Content]]:
    """Read files, then containers, which take long, in processes."""
    containers = []
    read = _read_by_cluster if cluster.shares_folder() else _read_in_threads
    files = events.track(read(names), len(names), "reading", "file", note=cluster.note)
    for name, facts in zip(names, files, strict=True):
        if facts is None:
            containers.append(name)
        else:
            yield name, facts
    contents = map_ordered(
        read_container,
        containers,
        preload="tasks.ingest.read_files",
        on_cluster=cluster.shares_folder(),
    )
    contents = events.track(contents, len(containers), "listing", "container", note=cluster.note)
    yield from zip(containers, contents, strict=True)


def _read_in_threads(names: list[str]) -> Iterator[FileFacts | None]:
    """Read files in threads of this process: reading and hashing release the GIL."""
    with ThreadPoolExecutor(machine.worker_count()) as pool:
        # batch by batch: a pool starts on all that it is given and holds every result
        for start in range(0, len(names), FILES_PER_BATCH):
            yield from pool.map(read_file, names[start : start + FILES_PER_BATCH])


def _read_by_cluster(names: list[str]) -> Iterator[FileFacts | None]:
    """Read files in the workers of a cluster, which see the same folder."""
    starts = range(0, len(names), FILES_PER_TASK)
    parts = (names[start : start + FILES_PER_TASK] for start in starts)
    for start, part in zip(starts, map_ordered(read_files, parts, on_cluster=True), strict=True):
        for name, facts in zip(names[start : start + FILES_PER_TASK], part, strict=True):
            yield _confirmed(name, facts)


def _confirmed(name: str, facts: FileFacts | None) -> FileFacts | None:
    """What a worker found of a file, unless it cannot read it: then what this process finds.

    Raises:
        UserError: where the worker has read another file, as a link may lead elsewhere there.
    """
    if facts is None:
        return None
    if facts.reason == "unreadable":
        return read_file(name)
    here = (RAW / name).stat().st_size
    if facts.bytes != here:
        found = f"found {here:,} bytes here and {facts.bytes:,} in a worker of the cluster"
        raise UserError(f"{RAW}/{printable_name(name)}: needs to be one file, {found}")
    return facts


def read_files(names: list[str]) -> list[FileFacts | None]:
    """The facts of some files, see read_file(); runs in a worker."""
    return [read_file(name) for name in names]


# --- one file -------------------------------------------------------------------------------------


def read_file(name: str) -> FileFacts | None:
    """The facts of the file `name` below data/raw; None for a container.

    A file that is too large for an image is hashed all the same, piece by piece.
    """
    problem = problem_of(name)
    if problem:
        return FileFacts(reason="unreadable", detail=problem)
    try:
        with (RAW / name).open("rb") as file:
            start = file.read(file_kinds.START_BYTES)
            if is_container(name, start[: tarfile.BLOCKSIZE]):
                return None
            facts = _facts_of(start, os.fstat(file.fileno()).st_size)
            file.seek(0)
            if facts.bytes > MAX_BYTES:
                return facts._replace(sha256=hashlib.file_digest(file, "sha256").hexdigest())
            data = file.read()
            return facts._replace(bytes=len(data), sha256=hashing.sha256(data))
    except OSError as error:
        return FileFacts(reason="unreadable", detail=error.strerror)


def _facts_of(start: bytes, size: int) -> FileFacts:
    """What a file's first bytes and its size tell of it."""
    if kind := file_kinds.describe(start):
        return FileFacts(size, None, "not_an_image", kind)
    if size > MAX_BYTES:
        return FileFacts(size, None, "too_large", f"{size:,} bytes, over {MAX_BYTES:,}")
    return FileFacts(size)


def is_container(name: str, start: bytes) -> bool:
    """True for tars and for idx files of images, by their first 512 bytes (`start`)."""
    if tar_shards.is_tar(name, start):
        return True
    if not start.startswith((idx_format.MAGIC, idx_format.GZIP)):
        return False
    header = idx_format.read_header(RAW / name)
    return header is not None and len(header.shape) > 1


def read_container(name: str) -> Contents:
    """List and hash the images in the tar or idx file `name` below data/raw."""
    header = idx_format.read_header(RAW / name)
    return tar_shards.read_tar(name) if header is None else idx.read_idx(name, header)


# --- values of the fact cache ---------------------------------------------------------------------


def _to_json(content: Content) -> bytes:
    kind = "Facts" if isinstance(content, FileFacts) else "Contents"
    return json.dumps([kind, *content]).encode()


def _from_json(data: bytes) -> Content:
    kind, *fields = json.loads(data)
    if kind == "Facts":
        return FileFacts(*fields)
    return Contents([Member(*member) for member in fields[0]], *fields[1:])
