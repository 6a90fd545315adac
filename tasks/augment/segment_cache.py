"""Segment cache: finished segments kept in the private cache, for later runs and for killed ones.

`segments/` holds each tar, its rows of the ledger, and an index of its sources, as their recipes
make them: what other images of the dataset forbid is left out of data/augmented alone. DVC removes
a stage's outputs before it runs the stage again, so data/augmented is no such place. All of it is
disposable: without it everything is made anew, with equal bytes.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from tasks.augment.segment_files import cached_segments
from tasks.augment.segments import StoredSegment, sizes_in_tar
from tasks.common.tables import ParquetWriter
from tasks.common.temporary import atomic_write
from tasks.variants.originals import OF_THE_DATASET

DIGEST_BYTES = 8  # of an XXH3

# What is known of a source in a segment: its key, see source_keys(), its first row there, how many
# rows it has (itself and its variants), what its variants take in the tar, and whether all that its
# recipe makes is there.
SOURCE_INDEX = np.dtype(
    [
        ("key", "S80"),
        ("start", np.int64),
        ("rows", np.int64),
        ("size", np.int64),
        ("segment", np.int64),
        ("complete", bool),
    ]
)


def source_keys(sha256: Sequence[str], recipe_hashes: Sequence[str]) -> np.ndarray:
    """By what variants made before are found: bytes of the SHA-256 and the recipe's hash, S80."""
    pairs = zip(sha256, recipe_hashes, strict=True)
    return np.array([source + recipe for source, recipe in pairs], "S80")


def recipes_in(keys: np.ndarray) -> np.ndarray:
    """The recipes' hashes in source_keys(), S16."""
    characters = np.ascontiguousarray(keys).view("S1").reshape(len(keys), keys.itemsize)
    return np.ascontiguousarray(characters[:, -16:]).view("S16").ravel()


def index_sources(rows: pa.Table) -> np.ndarray:
    """The sources in rows of a ledger, an array of SOURCE_INDEX."""
    is_source = rows["variant_index"].to_numpy() == 0
    first = np.flatnonzero(is_source)
    of_sources = rows.filter(pa.array(is_source))
    left_out = pc.starts_with(rows["reason"], OF_THE_DATASET).fill_null(False).to_numpy()
    sources = np.zeros(len(first), SOURCE_INDEX)
    sources["key"] = source_keys(
        of_sources["sha256"].to_pylist(), of_sources["recipe_hash"].to_pylist()
    )
    sources["start"] = first
    sources["rows"] = np.diff([*first, len(rows)])
    sources["size"] = np.add.reduceat(sizes_in_tar(rows), first)
    sources["complete"] = ~np.logical_or.reduceat(left_out, first)
    return sources


def read_cached() -> Iterator[tuple[StoredSegment, np.ndarray]]:
    """The segments in the cache, each with its sources; the last used come last."""
    for index in sorted(cached_segments().glob("*.sources"), key=_last_used):
        data = index.read_bytes()
        digest, data = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        tar, rows = _tar_of(index), index.with_suffix(".parquet")
        sound = index.stem.endswith(xxhash.xxh3_64_hexdigest(data))
        if sound and tar.is_file() and rows.is_file():
            sources = np.frombuffer(data, SOURCE_INDEX).copy()
            yield StoredSegment(tar.name, tar, rows, 0, int(sources["rows"].sum()), digest), sources


def write_rows(rows: pa.Table, name: str) -> None:
    """Store a segment's rows, and then the index of its sources, which spares reading the rows.

    Both are named by the sources and never replaced: the run that writes them may still read others
    of an equal tar, with sources without images that came or went. The index begins with the hash
    of the rows' file.
    """
    data = index_sources(rows).tobytes()
    stem = name.removesuffix(".tar")
    index = cached_segments() / f"{stem}-{xxhash.xxh3_64_hexdigest(data)}.sources"
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


def cached_copies(file_name: str) -> list[Path]:
    """The files that the cache keeps of a segment."""
    return list(cached_segments().glob(f"{Path(file_name).stem}*"))


def _tar_of(index: Path) -> Path:
    return index.with_name(f"{index.stem.partition('-')[0]}.tar")


def _last_used(index: Path) -> tuple[int, Path]:
    """An index's time, set with each use. The tar shares its times with DVC's cache: left alone."""
    return index.stat().st_mtime_ns, index
