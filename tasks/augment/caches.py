"""Where lies what was made before? Two places are known:

The private cache, which is also what a killed run resumes from: `segments/<recipe_hash>/`, each tar with its rows.
DVC's cache, read-only: the ledger and segments that `dvc.lock` of the last commit names, and of a merge's other side.
So a fresh clone after `dvc pull` is incremental too.

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

import pandas as pd
import pyarrow as pa
from ruamel.yaml import YAML, YAMLError

from tasks import machine, manifest
from tasks.augment import ledger
from tasks.augment.segments import Segment
from tasks.augment.stored import Stored, read_group, read_segments

COMMITS = ("HEAD", "MERGE_HEAD")
NEXT = ".next"  # rows that take the place of others when a run begins

# --- the private cache --------------------------------------------------------------------------------------------


def cached(recipe_hash: str) -> Iterator[tuple[Stored, pd.DataFrame]]:
    """The segments in the private cache."""
    for path in _folder(recipe_hash).glob(f"*{NEXT}"):
        path.replace(path.with_suffix(".parquet"))
    for path in sorted(_folder(recipe_hash).glob("*.parquet")):
        tar = path.with_suffix(".tar")
        yield from read_segments(path, recipe_hash, {tar.name: tar})


def keep(segment: Segment, recipe_hash: str) -> None:
    """Store a segment with its rows, and link it into data/augmented. One without images is nothing to store."""
    if segment.file_name is None:
        return
    path = _folder(recipe_hash) / segment.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    if segment.made_before not in (None, path):
        _link(segment.made_before, path)
    elif segment.data is not None and not (path.is_file() and path.read_bytes() == segment.data):
        with manifest.replacing(path) as temporary:
            temporary.write_bytes(segment.data)
    _keep_rows(path.with_suffix(".parquet"), segment.rows)
    _link(path, ledger.SEGMENTS / segment.file_name)


def _keep_rows(path: Path, rows: pa.Table) -> None:
    """Store a segment's rows; where they stand already, say that they were used.

    A run finds what was made before by its row, so those of an equal tar (other labels, or sources without images
    that came or went) are not replaced before the next one.
    """
    try:
        same = read_group(path, 0).equals(rows)
        os.utime(path)
        if same:
            return
        path = path.with_suffix(NEXT)
    except (pa.ArrowInvalid, OSError, ValueError):
        pass  # not there, or damaged
    with manifest.replacing(path) as temporary, manifest.Writer(temporary, rows.schema) as file:
        file.write(rows)


def trim(limit_bytes: int) -> int:
    """Remove the segments longest unused until the cache is within `limit_bytes`; returns the bytes removed."""
    segments = list((machine.cache_folder() / "segments").glob("*/*.tar"))
    excess = sum(path.stat().st_size for path in segments) - limit_bytes
    removed = 0
    for path in sorted(segments, key=_last_used):
        if removed >= excess:
            break
        removed += path.stat().st_size
        for suffix in (".parquet", NEXT):
            path.with_suffix(suffix).unlink(missing_ok=True)
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


def committed(recipe_hash: str) -> Iterator[tuple[Stored, pd.DataFrame]]:
    """The segments of the commits' datasets, in DVC's cache."""
    for commit in COMMITS:
        files = committed_files(commit, dvc_cache())
        tars = {name.partition("/")[2]: path for name, path in files.items() if name.startswith(ledger.SEGMENTS.name)}
        if ledger.MANIFEST.name in files:
            yield from read_segments(files[ledger.MANIFEST.name], recipe_hash, tars)


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
