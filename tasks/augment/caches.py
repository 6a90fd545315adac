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

import numpy as np
import pyarrow as pa
import xxhash
from ruamel.yaml import YAML, YAMLError

from tasks.augment.segments import Segment, holds
from tasks.augment.stored import SOURCE, Stored, read_segments, sources_of
from tasks.common import machine, tables
from tasks.common.temporary import atomic_write, remove_abandoned
from tasks.dataset.paths import AUGMENTED, LEDGER, SEGMENTS

COMMITS = ("HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD")
DIGEST_BYTES = 8  # of an XXH3

# --- the private cache --------------------------------------------------------------------------------------------


def cached(recipe_hash: str) -> Iterator[tuple[Stored, np.ndarray]]:
    """The segments in the private cache, each with its sources; the last used come last."""
    for index in sorted(_folder(recipe_hash).glob("*.sources"), key=_last_used):
        data = index.read_bytes()
        digest, data = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        tar, rows = _tar_of(index), index.with_suffix(".parquet")
        if index.stem.endswith(xxhash.xxh3_64_hexdigest(data)) and tar.is_file() and rows.is_file():
            sources = np.frombuffer(data, SOURCE).copy()
            yield Stored(tar.name, tar, rows, 0, int(sources["rows"].sum()), digest), sources


def keep(segment: Segment, recipe_hash: str) -> None:
    """Store a segment with its rows, and link it into data/augmented. One without images is nothing to store."""
    if segment.file_name is None:
        return
    path = _folder(recipe_hash) / segment.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    if segment.made_before not in (None, path):
        _link(segment.made_before, path)
    elif segment.data is not None and not holds(path, path.name):
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            file.writelines(segment.data)
    _keep_rows(path, segment.rows)
    _link(path, SEGMENTS / segment.file_name)


def _keep_rows(tar: Path, rows: pa.Table) -> None:
    """Store a segment's rows, and then an index of its sources, which says what is there without a look at the rows.

    Both are named by the sources and never replaced: the run that writes them may still read others of an equal tar,
    with sources without images that came or went. The index begins with the hash of the rows' file.
    """
    data = sources_of(rows).tobytes()
    index = tar.with_name(f"{tar.stem}-{xxhash.xxh3_64_hexdigest(data)}.sources")
    path = index.with_suffix(".parquet")
    if not (path.is_file() and index.is_file() and index.read_bytes()[DIGEST_BYTES:] == data):
        with atomic_write(path) as temporary:
            with tables.ParquetWriter(temporary, rows.schema) as file:
                file.write(rows)
            digest = xxhash.xxh3_64_digest(temporary.read_bytes())
        with atomic_write(index) as temporary:
            temporary.write_bytes(digest + data)
    os.utime(index)  # it was used


def drop(stored: Stored) -> None:
    """Forget what was found damaged, so that it is stored anew."""
    stored.path.with_suffix(".sources").unlink(missing_ok=True)  # of DVC's cache there is none


def trim(limit_bytes: int) -> None:
    """Remove what killed runs left, and the segments longest unused until the cache is within `limit_bytes`."""
    folder = machine.cache_folder() / "segments"
    for each in folder.glob("*"):
        remove_abandoned(each)
    sizes = {tar: tar.stat().st_size for tar in folder.glob("*/*.tar")}
    excess = sum(sizes.values()) - limit_bytes
    if excess <= 0:
        return
    indexes = sorted(folder.glob("*/*.sources"), key=_last_used)
    used = {_tar_of(index): place for place, index in enumerate(indexes)}
    for tar in sorted(sizes, key=lambda tar: (used.get(tar, -1), tar)):
        for copy in [*tar.parent.glob(f"{tar.stem}-*"), tar]:
            copy.unlink(missing_ok=True)
        excess -= sizes[tar]
        if excess <= 0:
            return


def _folder(recipe_hash: str) -> Path:
    return machine.cache_folder() / "segments" / recipe_hash


def _tar_of(index: Path) -> Path:
    return index.with_name(f"{index.stem.partition('-')[0]}.tar")


def _last_used(index: Path) -> tuple[int, Path]:
    """The time of an index, set with each use. The tar shares its times with DVC's cache and is left alone."""
    return index.stat().st_mtime_ns, index


def _link(path: Path, place: Path) -> None:
    """Make `place` the same file as `path`, or a copy where the file system has no hard links."""
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)
    except OSError:
        shutil.copy2(path, place)


def forget(file_name: str) -> None:
    """Delete every copy of a segment, the ledger or counts.csv: the workspace's, the private cache's and DVC's.

    Linked files are one file: damage in one copy is damage in all.
    """
    relative = f"{SEGMENTS.name}/{file_name}" if file_name.endswith(".tar") else file_name
    copies = [
        AUGMENTED / relative,
        *(machine.cache_folder() / "segments").glob(f"*/{Path(file_name).stem}*"),
    ]
    lock = Path("dvc.lock")
    files = locked_files(lock.read_bytes(), dvc_cache()) if lock.is_file() else {}
    copies += [files[relative]] if relative in files else []
    for copy in copies:
        copy.unlink(missing_ok=True)


# --- DVC's cache, read-only ---------------------------------------------------------------------------------------


def committed(recipe_hash: str) -> Iterator[tuple[Stored, np.ndarray]]:
    """The segments of the commits' datasets, in DVC's cache."""
    for commit in COMMITS:
        files = committed_files(commit, dvc_cache())
        tars = {
            name.partition("/")[2]: path
            for name, path in files.items()
            if name.startswith(SEGMENTS.name)
        }
        if LEDGER.name in files:
            yield from read_segments(files[LEDGER.name], recipe_hash, tars)


def committed_files(commit: str, cache: Path) -> dict[str, Path]:
    """Where DVC's cache holds the files of data/augmented as of a commit; {} where that cannot be told."""
    shown = subprocess.run(
        ["git", "show", f"{commit}:./dvc.lock"], capture_output=True, check=False
    )
    return locked_files(shown.stdout, cache)


def locked_files(lock: bytes, cache: Path) -> dict[str, Path]:
    """Where DVC's cache holds the files of data/augmented that a dvc.lock names; {} where that cannot be told."""
    try:
        outs = YAML(typ="safe").load(lock.decode())["stages"]["augment"]["outs"]
        (folder,) = [out["md5"] for out in outs if out["path"] == str(AUGMENTED)]
        listing = json.loads(_in_cache(cache, folder).read_text())
    except (
        YAMLError,
        UnicodeDecodeError,
        json.JSONDecodeError,
        TypeError,
        KeyError,
        ValueError,
        OSError,
    ):
        return {}  # no commit, no such stage, or nothing pulled: then there is nothing to reuse
    return {entry["relpath"]: _in_cache(cache, entry["md5"]) for entry in listing}


def dvc_cache() -> Path:
    """The folder of DVC's cache: `cache.dir` of its configuration (relative to .dvc), else .dvc/cache."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    return Path(".dvc") / config.get("cache", "dir", fallback="cache").strip('"')


def _in_cache(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]
