"""What was made before, and where it lies. Two places are known:

The private cache, which is also what a killed run resumes from:

    <VARIEGATE_CACHE or .variegate>/segments/<recipe_hash>/<segment>.tar      the images
                                                          <segment>.parquet  their ledger rows, written last

and, read-only, DVC's cache: the ledger and segments that dvc.lock of the last commit names, and of a merge's other
side. So a fresh clone after `dvc pull` is incremental too.

DVC removes a stage's outputs before it runs the stage again, so neither is in data/augmented. Both are disposable:
without them everything is made anew, with equal bytes.
"""

import configparser
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ruamel.yaml import YAML, YAMLError

from tasks import machine, manifest
from tasks.augment import ledger
from tasks.augment.segments import Segment
from tasks.augment.variants import Made, Source

COMMITS = ("HEAD", "MERGE_HEAD")


class Earlier:
    """The variants of one recipe that were made before."""

    def __init__(self, recipe_hash: str) -> None:
        # of what stands in both, the private cache's copy comes last and wins
        tables = [*committed_rows(recipe_hash), *cached_rows(recipe_hash)]
        self.rows = pa.concat_tables(tables).combine_chunks() if tables else None
        ids = self.rows["source_id"].to_numpy(zero_copy_only=False).astype(str) if self.rows else np.array([], str)
        self.order = np.argsort(ids, kind="stable")
        self.source_ids, starts = np.unique(ids[self.order], return_index=True)
        self.bounds = np.append(starts, len(ids))

    def made_of(self, sources: list[Source]) -> dict[tuple[str, int], Made]:
        """What is there of `sources`, by source_id and variant index."""
        if self.rows is None:
            return {}
        made: dict[tuple[str, int], Made] = {}
        for source in sources:
            place = int(np.searchsorted(self.source_ids, source.source_id))
            if place < len(self.source_ids) and self.source_ids[place] == source.source_id:
                chosen = self.order[self.bounds[place] : self.bounds[place + 1]]
                for row in self.rows.take(pa.array(chosen)).to_pylist():
                    made[source.source_id, row["variant_index"]] = Made(Path(row.pop("path") or ""), row)
        return made


# --- the private cache --------------------------------------------------------------------------------------------


def cached_rows(recipe_hash: str) -> Iterator[pa.Table]:
    """The ledger rows of each cached segment, with the `path` of its tar."""
    for path in sorted(_folder(recipe_hash).glob("*.parquet")):
        rows = _read_variants(path, recipe_hash)
        if rows is not None:
            yield rows.append_column("path", pa.array([str(path.with_suffix(".tar"))] * len(rows), pa.string()))


def keep(segment: Segment, rows: pa.Table, recipe_hash: str) -> None:
    """Store a segment with its rows, and link it into data/augmented. One without images is nothing to store."""
    if segment.file_name is None:
        return
    path = _folder(recipe_hash) / segment.file_name
    if not (path.is_file() and path.read_bytes() == segment.data):
        with manifest.replacing(path) as temporary:
            temporary.write_bytes(segment.data)
    with manifest.replacing(path.with_suffix(".parquet")) as temporary, manifest.Writer(temporary, rows.schema) as file:
        file.write(rows)
    _link(path, ledger.SEGMENTS / segment.file_name)


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


def _folder(recipe_hash: str) -> Path:
    return machine.cache_folder() / "segments" / recipe_hash


def _last_used(segment: Path) -> tuple[int, Path]:
    """When its rows were written: with each use. The tar shares its times with DVC's cache and is left alone."""
    rows = segment.with_suffix(".parquet")
    return (rows.stat().st_mtime_ns if rows.is_file() else 0), segment


def _link(path: Path, place: Path) -> None:
    """Make `place` the same file as `path`, or a copy where the file system has no hard links."""
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)
    except OSError:
        shutil.copy2(path, place)


def forget(file_name: str) -> None:
    """Delete every copy of a segment, or of the ledger: the workspace's, the private cache's and DVC's of this version.

    Linked files are one file: damage in one copy is damage in all.
    """
    relative = file_name if file_name == ledger.MANIFEST.name else f"{ledger.SEGMENTS.name}/{file_name}"
    copies = [ledger.FOLDER / relative, *(machine.cache_folder() / "segments").glob(f"*/{Path(file_name).stem}.*")]
    lock = Path("dvc.lock")
    files = locked_files(lock.read_bytes(), dvc_cache()) if lock.is_file() else {}
    copies += [files[relative]] if relative in files else []
    for copy in copies:
        copy.unlink(missing_ok=True)


# --- DVC's cache, read-only ---------------------------------------------------------------------------------------


def committed_rows(recipe_hash: str) -> Iterator[pa.Table]:
    """The ledger rows of the commits' datasets, with the `path` of each segment in DVC's cache."""
    cache = dvc_cache()
    for commit in COMMITS:
        files = committed_files(commit, cache)
        path = files.get(ledger.MANIFEST.name)
        rows = _read_variants(path, recipe_hash) if path else None
        if rows is not None:
            paths = [str(files.get(f"{ledger.SEGMENTS.name}/{name}", "")) for name in rows["segment"].to_pylist()]
            yield rows.append_column("path", pa.array(paths, pa.string()))


def committed_files(commit: str, cache: Path) -> dict[str, Path]:
    """Where DVC's cache holds the files of data/augmented as of a commit; {} where that cannot be told."""
    shown = subprocess.run(["git", "show", f"{commit}:./dvc.lock"], capture_output=True, check=False)
    return locked_files(shown.stdout, cache)


def locked_files(lock: bytes, cache: Path) -> dict[str, Path]:
    """Where DVC's cache holds the files of data/augmented that a dvc.lock names; {} where that cannot be told."""
    try:
        outs = YAML(typ="safe").load(lock.decode())["stages"]["augment"]["outs"]
        (folder,) = [out["md5"] for out in outs if out["path"] == str(ledger.FOLDER)]
        listing = json.loads(_in_cache(cache, folder).read_text())
    except (YAMLError, UnicodeDecodeError, json.JSONDecodeError, TypeError, KeyError, ValueError, OSError):
        return {}  # no commit, no such stage, or nothing pulled: then there is nothing to reuse
    return {entry["relpath"]: _in_cache(cache, entry["md5"]) for entry in listing}


def dvc_cache() -> Path:
    """The folder of DVC's cache: `cache.dir` of its configuration (relative to .dvc), else .dvc/cache."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    return Path(".dvc") / config.get("cache", "dir", fallback="cache").strip('"')


def _in_cache(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _read_variants(path: Path, recipe_hash: str) -> pa.Table | None:
    """The variants' rows of one recipe; None where the file is damaged or of another version."""
    try:
        rows = pq.read_table(path, page_checksum_verification=True).cast(ledger.COLUMNS)
    except (pa.ArrowInvalid, OSError, ValueError):
        return None
    return rows.filter((pc.field("variant_index") > 0) & (pc.field("recipe_hash") == recipe_hash))
