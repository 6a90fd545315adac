"""Segment cache: finished segments kept in the private cache, for later runs and for killed ones.

`segments/<recipe_hash>/` holds each tar, its rows of the ledger, and an index of its sources. DVC
removes a stage's outputs before it runs the stage again, so data/augmented is no such place. All of
it is disposable: without it everything is made anew, with equal bytes.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from tasks.augment.segments import (
    Finished,
    StoredSegment,
    assemble_segment,
    has_bytes_of,
    sizes_in_tar,
)
from tasks.common import machine
from tasks.common.tables import ParquetWriter
from tasks.common.temporary import atomic_write, remove_abandoned
from tasks.dataset.paths import SEGMENTS

DIGEST_BYTES = 8  # of an XXH3

# What is known of a source in a segment: its first row there, how many rows it has (itself and its
# variants), and what its variants take in the tar.
SOURCE_INDEX = np.dtype(
    [
        ("sha256", "S64"),
        ("start", np.int64),
        ("rows", np.int64),
        ("size", np.int64),
        ("segment", np.int64),
    ]
)


def index_sources(rows: pa.Table) -> np.ndarray:
    """The sources in rows of a ledger, an array of SOURCE_INDEX."""
    is_source = rows["variant_index"].to_numpy() == 0
    first = np.flatnonzero(is_source)
    sources = np.zeros(len(first), SOURCE_INDEX)
    sources["sha256"] = rows["sha256"].filter(pa.array(is_source)).to_numpy().astype("S64")
    sources["start"] = first
    sources["rows"] = np.diff([*first, len(rows)])
    sources["size"] = np.add.reduceat(sizes_in_tar(rows), first)
    return sources


def read_cached(recipe_hash: str) -> Iterator[tuple[StoredSegment, np.ndarray]]:
    """The segments in the cache, each with its sources; the last used come last."""
    for index in sorted(_folder(recipe_hash).glob("*.sources"), key=_last_used):
        data = index.read_bytes()
        digest, data = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        tar, rows = _tar_of(index), index.with_suffix(".parquet")
        sound = index.stem.endswith(xxhash.xxh3_64_hexdigest(data))
        if sound and tar.is_file() and rows.is_file():
            sources = np.frombuffer(data, SOURCE_INDEX).copy()
            yield StoredSegment(tar.name, tar, rows, 0, int(sources["rows"].sum()), digest), sources


def write_segment(finished: list[Finished], recipe_hash: str) -> pa.Table:
    """Store the segment of these sources in the cache and link it into data/augmented.

    Returns:
        Its rows of the ledger. Sources without an image make rows, and no file.
    """
    name, data, rows = assemble_segment(finished, recipe_hash)
    if name is None:
        return rows
    path = _folder(recipe_hash) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = finished[0].whole
    if not data and whole and whole.tar != path:
        _link(whole.tar, path)
    elif data and not has_bytes_of(path, name):
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            file.writelines(data)
    _write_rows(path, rows)
    _link(path, SEGMENTS / name)
    return rows


def _write_rows(tar: Path, rows: pa.Table) -> None:
    """Store a segment's rows, and then the index of its sources, which spares reading the rows.

    Both are named by the sources and never replaced: the run that writes them may still read others
    of an equal tar, with sources without images that came or went. The index begins with the hash
    of the rows' file.
    """
    data = index_sources(rows).tobytes()
    index = tar.with_name(f"{tar.stem}-{xxhash.xxh3_64_hexdigest(data)}.sources")
    path = index.with_suffix(".parquet")
    if not (path.is_file() and index.is_file() and index.read_bytes()[DIGEST_BYTES:] == data):
        with atomic_write(path) as temporary:
            with ParquetWriter(temporary, rows.schema) as file:
                file.write(rows)
            digest = xxhash.xxh3_64_digest(temporary.read_bytes())
        with atomic_write(index) as temporary:
            temporary.write_bytes(digest + data)
    os.utime(index)  # it was used


def forget_segment(stored: StoredSegment) -> None:
    """Drop the index of a damaged segment, so that it is stored anew. DVC's cache has no index."""
    stored.path.with_suffix(".sources").unlink(missing_ok=True)


def trim_cache(limit_bytes: int) -> None:
    """Remove what killed runs left, and the segments longest unused beyond `limit_bytes`."""
    folder = machine.cache_folder() / "segments"
    for recipe_folder in folder.glob("*"):
        remove_abandoned(recipe_folder)
    sizes = {tar: tar.stat().st_size for tar in folder.glob("*/*.tar")}
    excess = sum(sizes.values()) - limit_bytes
    if excess <= 0:
        return
    indexes = sorted(folder.glob("*/*.sources"), key=_last_used)
    used = {_tar_of(index): place for place, index in enumerate(indexes)}
    for tar in sorted(sizes, key=lambda tar: (used.get(tar, -1), tar)):
        for file in [*tar.parent.glob(f"{tar.stem}-*"), tar]:
            file.unlink(missing_ok=True)
        excess -= sizes[tar]
        if excess <= 0:
            return


def cached_copies(file_name: str) -> list[Path]:
    """The files that the cache keeps of a segment, under any recipe."""
    return list((machine.cache_folder() / "segments").glob(f"*/{Path(file_name).stem}*"))


def _folder(recipe_hash: str) -> Path:
    return machine.cache_folder() / "segments" / recipe_hash


def _tar_of(index: Path) -> Path:
    return index.with_name(f"{index.stem.partition('-')[0]}.tar")


def _last_used(index: Path) -> tuple[int, Path]:
    """An index's time, set with each use. The tar shares its times with DVC's cache: left alone."""
    return index.stat().st_mtime_ns, index


def _link(path: Path, place: Path) -> None:
    """Make `place` the same file as `path`, or a copy where the file system has no hard links."""
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)
    except OSError:
        shutil.copy2(path, place)
