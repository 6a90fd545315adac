"""Segments made before: a tar, and its rows in a ledger."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from tasks.augment.segments import holds, sizes_in_tar
from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS


@dataclass(frozen=True)
class Stored:
    """A segment made before: its name, its tar, and its `count` rows of the ledger at `path`, from row `first` on.

    `digest`: the XXH3 of the file at `path`, where that holds nothing else.
    """

    name: str
    tar: Path
    path: Path
    first: int
    count: int
    digest: bytes | None = None

    def rows(self, start: int, stop: int) -> pa.Table:
        """Its rows from `start` to before `stop`."""
        return _read_rows(self.path, self.first + start, self.first + stop)


# What is known of a source in a segment: its first row there, how many rows, what its variants take in the tar.
SOURCE = np.dtype(
    [
        ("sha256", "S64"),
        ("start", np.int64),
        ("rows", np.int64),
        ("size", np.int64),
        ("segment", np.int64),
    ]
)


@lru_cache(maxsize=16)
def is_sound(stored: Stored) -> bool:
    """True where the tar has the bytes that it is named by, and the rows their hash, or their pages' checksums."""
    try:
        if (
            stored.digest is not None
            and xxhash.xxh3_64_digest(stored.path.read_bytes()) != stored.digest
        ):
            return False
        return holds(stored.tar, stored.name) and len(stored.rows(0, stored.count)) == stored.count
    except (pa.ArrowException, OSError, ValueError):
        return False


def read_segments(
    path: Path, recipe_hash: str, tars: dict[str, Path]
) -> Iterator[tuple[Stored, np.ndarray]]:
    """The segments that the ledger at `path` holds, each with its sources; `tars` says where their images lie."""
    sources, names = _read_sound(path, recipe_hash) or (np.zeros(0, SOURCE), np.array([]))
    # a source without images stands in the segment that comes after it, or in the last
    names = pd.Series(names, dtype=object).bfill().ffill().to_numpy()
    ends = np.flatnonzero(names[1:] != names[:-1]) + 1
    for its, name in zip(
        np.split(sources, ends), names[np.append(0, ends)] if len(names) else [], strict=False
    ):
        if name in tars and tars[name].is_file():  # of DVC's cache some may not have been pulled
            first = int(its["start"][0])
            its["start"] -= first
            yield Stored(name, tars[name], path, first, int(its["rows"].sum())), its


def _read_sound(path: Path, recipe_hash: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Sources in a file of ledger rows, and the segment of each or None; None for another recipe, or damage."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        groups = [
            _needed(file.read_row_group(group).cast(LEDGER_COLUMNS))
            for group in range(file.num_row_groups)
        ]
    except (pa.ArrowException, OSError, ValueError):
        return None
    if not groups or any(recipes != {recipe_hash} for recipes, *_ in groups):
        return None
    sha256, is_source, sizes, names = (
        np.concatenate(parts) for parts in zip(*(rest for _, *rest in groups), strict=True)
    )
    sources = _sources(sha256, is_source, sizes)
    of_source = np.repeat(np.arange(len(sources)), sources["rows"])
    known = np.full(len(sources), None, object)
    has_name = names != None  # noqa: E711  # item by item
    known[of_source[has_name]] = names[has_name]
    return sources, known


def sources_of(rows: pa.Table) -> np.ndarray:
    """The sources of a segment's rows, an array of SOURCE."""
    _, sha256, is_source, sizes, _ = _needed(rows)
    return _sources(sha256, is_source, sizes)


def _sources(sha256: np.ndarray, is_source: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    first = np.flatnonzero(is_source)
    sources = np.zeros(len(first), SOURCE)
    sources["sha256"], sources["start"] = sha256, first
    sources["rows"] = np.diff([*first, len(sizes)])
    sources["size"] = np.add.reduceat(sizes, first)
    return sources


def _needed(rows: pa.Table) -> tuple[set[str], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of some rows: their recipes, the sources' SHA-256, which rows are sources, sizes in the tar, segments."""
    is_source = rows["variant_index"].to_numpy() == 0
    return (
        set(rows["recipe_hash"].unique().to_pylist()),
        rows["sha256"].filter(pa.array(is_source)).to_numpy().astype("S64"),
        is_source,
        sizes_in_tar(rows),
        rows["segment"].to_numpy(),
    )


def _read_rows(path: Path, start: int, stop: int) -> pa.Table:
    """Rows of a Parquet file, by the row groups that manifest.Writer makes."""
    size = tables.ROWS_PER_GROUP
    groups = range(start // size, (stop - 1) // size + 1)
    rows = pa.concat_tables([read_group(path, group) for group in groups])
    return rows.slice(start - groups[0] * size, stop - start)


@lru_cache(maxsize=8)
def read_group(path: Path, group: int) -> pa.Table:
    return (
        pq.ParquetFile(path, page_checksum_verification=True)
        .read_row_group(group)
        .cast(LEDGER_COLUMNS)
    )
