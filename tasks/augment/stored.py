"""Segments made before: a tar, and its rows in a ledger."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks import manifest
from tasks.augment import ledger
from tasks.augment.segments import sizes_in_tar


@dataclass(frozen=True)
class Stored:
    """A segment made before: its name, its tar, and its `count` rows of the ledger at `path`, from row `first` on."""

    name: str
    tar: Path
    path: Path
    first: int
    count: int

    def rows(self, start: int, stop: int) -> pa.Table:
        """Its rows from `start` to before `stop`."""
        return _read_rows(self.path, self.first + start, self.first + stop)


def read_segments(path: Path, recipe_hash: str, tars: dict[str, Path]) -> Iterator[tuple[Stored, pd.DataFrame]]:
    """The segments that the ledger at `path` holds, where it is of this recipe, and sound.

    `tars` says where each lies. Beside each stands a row per source: sha256, start (its first row in the segment),
    rows, size (what its variants take in the tar).
    """
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        groups = [_summary(file.read_row_group(group).cast(ledger.COLUMNS)) for group in range(file.num_row_groups)]
    except (pa.ArrowInvalid, OSError, ValueError):
        return
    rows = pd.concat(groups, ignore_index=True) if groups else pd.DataFrame()
    if rows.empty or (rows["recipe_hash"] != recipe_hash).any():
        return
    first = np.flatnonzero(rows["sha256"].notna())
    sources = pd.DataFrame({"sha256": rows["sha256"].to_numpy()[first], "first": first})
    sources["rows"] = np.diff([*first, len(rows)])
    sources["size"] = np.add.reduceat(rows["size"].to_numpy(), first)
    names = rows["segment"].groupby(np.repeat(first, sources["rows"])).first()
    # a source without images stands in the segment that comes after it, or in the last
    sources["segment"] = names.bfill().ffill().to_numpy()
    for name, its in sources.groupby("segment", sort=False):
        if str(name) in tars and tars[str(name)].is_file():  # of DVC's cache some may not have been pulled
            start = int(its["first"].iloc[0])
            stored = Stored(str(name), tars[str(name)], path, start, int(its["rows"].sum()))
            yield stored, its.assign(start=its["first"] - start)[["sha256", "start", "rows", "size"]]


def _summary(rows: pa.Table) -> pd.DataFrame:
    """What read_segments() needs of each row; sha256 stands with the sources alone."""
    of_source = pc.equal(rows["variant_index"], 0)
    return pd.DataFrame(
        {
            "sha256": pc.if_else(of_source, rows["sha256"], None).to_pandas(),
            "segment": rows["segment"].to_pandas(),
            "recipe_hash": rows["recipe_hash"].to_pandas(),
            "size": sizes_in_tar(rows),
        }
    )


def _read_rows(path: Path, start: int, stop: int) -> pa.Table:
    """Rows of a Parquet file, by the row groups that manifest.Writer makes."""
    size = manifest.ROWS_PER_GROUP
    groups = range(start // size, (stop - 1) // size + 1)
    rows = pa.concat_tables([read_group(path, group) for group in groups])
    return rows.slice(start - groups[0] * size, stop - start)


@lru_cache(maxsize=4)
def read_group(path: Path, group: int) -> pa.Table:
    return pq.ParquetFile(path).read_row_group(group).cast(ledger.COLUMNS)
