"""Segments of the last commit, found read-only in DVC's cache: a fresh clone is incremental too.

`dvc.lock` of the last commit, and of a merge's other side, names the ledger and the segments.
"""

import configparser
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ruamel.yaml import YAML, YAMLError

from tasks.augment.segment_cache import SOURCE_INDEX, cached_copies, index_sources
from tasks.augment.segments import StoredSegment
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.dataset.paths import AUGMENTED, LEDGER, SEGMENTS

COMMITS = ("HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD")
# of a ledger's columns
NEEDED = ("recipe_hash", "sha256", "variant_index", "length", "segment", "reason")


def read_committed() -> Iterator[tuple[StoredSegment, np.ndarray]]:
    """The segments of the commits' datasets, each with its sources; see SOURCE_INDEX."""
    for commit in COMMITS:
        files = committed_files(commit, dvc_cache())
        tars = {
            name.partition("/")[2]: path
            for name, path in files.items()
            if name.startswith(SEGMENTS.name)
        }
        if LEDGER.name in files:
            yield from read_segments(files[LEDGER.name], tars)


def read_segments(
    ledger: Path, tars: dict[str, Path]
) -> Iterator[tuple[StoredSegment, np.ndarray]]:
    """The segments that a ledger names, each with its sources; `tars`: where their images lie."""
    sources, names = _read_sound(ledger)
    if not len(sources):
        return
    ends = np.flatnonzero(names[1:] != names[:-1]) + 1
    for own, name in zip(np.split(sources, ends), names[np.append(0, ends)], strict=True):
        if name in tars and tars[name].is_file():  # of DVC's cache some may not have been pulled
            first = int(own["start"][0])
            own["start"] -= first
            yield StoredSegment(name, tars[name], ledger, first, int(own["rows"].sum())), own


def _read_sound(ledger: Path) -> tuple[np.ndarray, np.ndarray]:
    """The sources of a ledger and the segment of each; none of a damaged file.

    A source without images stands in the segment that comes after it, or in the last.
    """
    nothing = np.zeros(0, SOURCE_INDEX), np.zeros(0, object)
    try:
        file = pq.ParquetFile(ledger, page_checksum_verification=True)
        groups = [_read_group(file, group) for group in range(file.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return nothing
    if not groups:
        return nothing
    rows = pa.concat_tables(groups)
    sources = index_sources(rows)
    segments = pd.Series(rows["segment"].to_numpy(), dtype=object)
    of_source = np.repeat(np.arange(len(sources)), sources["rows"])
    names = segments.groupby(of_source).first()  # that of its first variant that was written
    return sources, names.bfill().ffill().to_numpy()


def _read_group(file: pq.ParquetFile, group: int) -> pa.Table:
    """What is needed of a row group; hashes of sources alone, for there are far fewer of them."""
    schema = pa.schema([LEDGER_COLUMNS.field(name) for name in NEEDED])
    rows = file.read_row_group(group, columns=list(NEEDED)).select(NEEDED).cast(schema)
    hashes = pc.if_else(pc.equal(rows["variant_index"], 0), rows["sha256"], None)
    return rows.set_column(rows.column_names.index("sha256"), "sha256", hashes)


def forget_everywhere(file_name: str) -> None:
    """Delete a segment, the ledger or counts.csv: here, in the private cache and in DVC's.

    Linked files are one file: damage in one copy is damage in all.
    """
    relative = f"{SEGMENTS.name}/{file_name}" if file_name.endswith(".tar") else file_name
    copies = [AUGMENTED / relative, *cached_copies(file_name)]
    lock = Path("dvc.lock")
    files = locked_files(lock.read_bytes(), dvc_cache()) if lock.is_file() else {}
    copies += [files[relative]] if relative in files else []
    for copy in copies:
        copy.unlink(missing_ok=True)


def committed_files(commit: str, cache: Path) -> dict[str, Path]:
    """Where DVC's cache holds the files of data/augmented as of a commit; {} where it does not."""
    command = ["git", "show", f"{commit}:./dvc.lock"]
    lock = subprocess.run(command, capture_output=True, check=False).stdout
    return locked_files(lock, cache)


def locked_files(lock: bytes, cache: Path) -> dict[str, Path]:
    """Where DVC's cache holds the files of data/augmented that a dvc.lock names, or {}."""
    try:
        outs = YAML(typ="safe").load(lock.decode())["stages"]["augment"]["outs"]
        (folder,) = [out["md5"] for out in outs if out["path"] == str(AUGMENTED)]
        listing = json.loads(_in_cache(cache, folder).read_text())
    except (YAMLError, TypeError, KeyError, ValueError, OSError):
        return {}  # no commit, no such stage, or nothing pulled: then there is nothing to reuse
    return {entry["relpath"]: _in_cache(cache, entry["md5"]) for entry in listing}


def dvc_cache() -> Path:
    """The folder of DVC's cache: `cache.dir` of its configuration (from .dvc), else .dvc/cache."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    return Path(".dvc") / config.get("cache", "dir", fallback="cache").strip('"')


def _in_cache(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]
