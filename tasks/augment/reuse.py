"""What was made before, and where it lies: the private cache of segments.

    <VARIEGATE_CACHE or .variegate>/segments/<recipe_hash>/<segment>.tar      the images
                                                          <segment>.parquet  their ledger rows, written last

DVC removes a stage's outputs before it runs the stage again, so this folder is what an incremental run copies from and
what a killed run resumes from. It is disposable: without it everything is made anew, with equal bytes.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks import machine, manifest
from tasks.augment.segments import Segment
from tasks.augment.variants import Made, Source


class SegmentCache:
    """The segments of one recipe that were made before."""

    def __init__(self, recipe_hash: str) -> None:
        self.folder = machine.cache_folder() / "segments" / recipe_hash
        self.folder.mkdir(parents=True, exist_ok=True)
        tables = [table for path in sorted(self.folder.glob("*.parquet")) if (table := _read_rows(path)) is not None]
        self.rows = pa.concat_tables(tables).sort_by("source_id") if tables else None
        ids = self.rows["source_id"].to_numpy(zero_copy_only=False) if self.rows else np.array([], object)
        self.source_ids, self.starts = np.unique(ids.astype(str), return_index=True)
        self.stops = np.append(self.starts[1:], len(ids))

    def made_of(self, sources: list[Source]) -> dict[tuple[str, int], Made]:
        """What is there of `sources`, by source_id and variant index."""
        made: dict[tuple[str, int], Made] = {}
        for source in sources:
            for row in self._rows_of(source.source_id):
                path = self.folder / row["cached_in"]
                made[source.source_id, row["variant_index"]] = Made(
                    path, {k: v for k, v in row.items() if k != "cached_in"}
                )
        return made

    def _rows_of(self, source_id: str) -> list[dict[str, Any]]:
        place = int(np.searchsorted(self.source_ids, source_id))
        if self.rows is None or place == len(self.source_ids) or self.source_ids[place] != source_id:
            return []
        return self.rows.slice(self.starts[place], self.stops[place] - self.starts[place]).to_pylist()

    def keep(self, segment: Segment, rows: pa.Table, place: Path) -> None:
        """Store a segment with its rows and link it at `place`."""
        if segment.file_name is None:
            return
        path = self.folder / segment.file_name
        if not (path.is_file() and path.read_bytes() == segment.data):
            with manifest.replacing(path) as temporary:
                temporary.write_bytes(segment.data)
        with manifest.replacing(path.with_suffix(".parquet")) as temporary:
            pq.write_table(rows, temporary, compression="zstd")
        place.parent.mkdir(parents=True, exist_ok=True)
        link(path, place)


def link(path: Path, place: Path) -> None:
    """Make `place` the same file as `path`, or a copy where the file system has no hard links."""
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)
    except OSError:
        shutil.copy2(path, place)


def trim(limit_bytes: int) -> int:
    """Remove the segments longest unused until the cache is within `limit_bytes`; returns the bytes removed."""
    segments = list((machine.cache_folder() / "segments").glob("*/*.tar"))
    excess = sum(path.stat().st_size for path in segments) - limit_bytes
    removed = 0
    for path in sorted(segments, key=_last_used):
        if removed >= excess:
            break
        removed += path.stat().st_size
        path.with_suffix(".parquet").unlink(missing_ok=True)
        path.unlink()
    return removed


def _last_used(segment: Path) -> tuple[int, Path]:
    """When its rows were written: with each use. The tar shares its times with DVC's cache and is left alone."""
    rows = segment.with_suffix(".parquet")
    return (rows.stat().st_mtime_ns if rows.is_file() else 0), segment


def _read_rows(path: Path) -> pa.Table | None:
    """The variants' rows of one cached segment with its file as `cached_in`, or None where the file is damaged."""
    try:
        rows = pq.read_table(path)
    except (pa.ArrowInvalid, OSError):
        return None
    rows = rows.filter(pc.greater(rows["variant_index"], 0))
    return rows.append_column("cached_in", pa.array([path.with_suffix(".tar").name] * len(rows)))
