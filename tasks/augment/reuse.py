"""What was made before, and where it lies. Two places are known:

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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ruamel.yaml import YAML, YAMLError

from tasks import machine, manifest
from tasks.augment import ledger
from tasks.augment.jobs import Part
from tasks.augment.segments import BLOCK, Segment, sizes_in_tar
from tasks.augment.variants import Made, Recipe, Source

COMMITS = ("HEAD", "MERGE_HEAD")
IMAGES_PER_PART = 64


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


@dataclass
class Stretch:
    """Sources whose variants lie next to each other in a segment made before: one kind of piece."""

    stored: Stored
    start: int  # of its rows in `stored`
    stop: int
    size: int
    sources: list[Source] = field(default_factory=list)

    @property
    def whole(self) -> tuple[str, Path] | None:
        everything = self.start == 0 and self.stop == self.stored.count
        return (self.stored.name, self.stored.tar) if everything else None

    @property
    def reused(self) -> int:
        return sum(source.planned for source in self.sources)

    def rows(self) -> pa.Table:
        return self.stored.rows(self.start, self.stop)

    def images(self) -> bytes:
        sizes, offsets = sizes_in_tar(self.rows()), self.rows()["offset"].drop_null()
        if not len(offsets):
            return b""
        with self.stored.tar.open("rb") as file:
            file.seek(offsets[0].as_py() - BLOCK)
            return file.read(int(sizes.sum()))


class Earlier:
    """The variants of one recipe that were made before, found by their source."""

    def __init__(self, recipe_hash: str) -> None:
        # what stands in both places is taken from the private cache, which comes last
        found = [*committed(recipe_hash), *cached(recipe_hash)]
        self.stored = [stored for stored, _ in found]
        table = pd.concat([rows.assign(stored=i) for i, (_, rows) in enumerate(found)]) if found else _no_sources()
        table = table.sort_values("sha256", kind="stable")
        self.sha256 = table["sha256"].to_numpy("S64")
        self.columns = {name: table[name].to_numpy() for name in ("stored", "start", "rows", "size")}

    def jobs(self, sources: Iterable[Source], recipe: Recipe) -> Iterator[Stretch | Part]:
        """The sources, in order, gathered: those made before into stretches, all others into parts."""
        stretch: Stretch | None = None
        part = Part(recipe)
        for source in sources:
            place = self._place_of(source, stretch)
            if stretch and (place is None or not self._follows(place, stretch)):
                yield stretch
                stretch = None
            if place is None:
                part.sources.append(source)
                part.made.update(self._some_of(source))
                part.images += 1 + source.planned
            if part.sources and (place is not None or part.images >= IMAGES_PER_PART):
                yield part
                part = Part(recipe)
            if place is not None:
                stretch = self._extended(stretch, place, source)
        yield from [stretch] if stretch else [part] if part.sources else []

    def _places(self, source: Source) -> range:
        sha256 = source.sha256.encode()
        return range(*(int(np.searchsorted(self.sha256, sha256, side)) for side in ("left", "right")))

    def _place_of(self, source: Source, after: Stretch | None) -> int | None:
        """Where exactly the planned variants stand: best right after those before, else at a segment's start."""
        exact = [at for at in self._places(source) if self.columns["rows"][at] == 1 + source.planned]
        for at in exact:
            if after and self._follows(at, after):
                return at
        return max(exact, key=lambda at: (self.columns["start"][at] == 0, at), default=None)

    def _follows(self, place: int, stretch: Stretch) -> bool:
        same = self.stored[self.columns["stored"][place]] is stretch.stored
        return same and self.columns["start"][place] == stretch.stop

    def _extended(self, stretch: Stretch | None, place: int, source: Source) -> Stretch:
        start = int(self.columns["start"][place])
        if stretch is None:
            stretch = Stretch(self.stored[self.columns["stored"][place]], start, start, 0)
        stretch.stop += int(self.columns["rows"][place])
        stretch.size = int(self.columns["size"][place])
        stretch.sources.append(source)
        return stretch

    def _some_of(self, source: Source) -> dict[tuple[str, int], Made]:
        """The variants of a source of which another number was made before, by source_id and index."""
        place = max(self._places(source), key=lambda at: self.columns["rows"][at], default=None)
        if place is None:
            return {}
        stored = self.stored[self.columns["stored"][place]]
        start = int(self.columns["start"][place])
        rows = stored.rows(start + 1, start + int(self.columns["rows"][place]))
        return {(source.source_id, row["variant_index"]): Made(stored.tar, row) for row in rows.to_pylist()}


def _no_sources() -> pd.DataFrame:
    return pd.DataFrame({"sha256": [], "stored": [], "start": [], "rows": [], "size": []})


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
        if str(name) in tars:
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
    rows = pa.concat_tables([_read_group(path, group) for group in groups])
    return rows.slice(start - groups[0] * size, stop - start)


@lru_cache(maxsize=4)
def _read_group(path: Path, group: int) -> pa.Table:
    return pq.ParquetFile(path).read_row_group(group).cast(ledger.COLUMNS)


# --- the private cache --------------------------------------------------------------------------------------------


def cached(recipe_hash: str) -> Iterator[tuple[Stored, pd.DataFrame]]:
    """The segments in the private cache."""
    for path in sorted(_folder(recipe_hash).glob("*.parquet")):
        tar = path.with_suffix(".tar")
        yield from read_segments(path, recipe_hash, {tar.name: tar})


def keep(segment: Segment, recipe_hash: str) -> None:
    """Store a segment with its rows, and link it into data/augmented. One without images is nothing to store."""
    if segment.file_name is None:
        return
    path = _folder(recipe_hash) / segment.file_name
    if segment.made_before not in (None, path):
        _link(segment.made_before, path)
    elif segment.data is not None and not (path.is_file() and path.read_bytes() == segment.data):
        with manifest.replacing(path) as temporary:
            temporary.write_bytes(segment.data)
    _keep_rows(path.with_suffix(".parquet"), segment.rows)
    _link(path, ledger.SEGMENTS / segment.file_name)


def _keep_rows(path: Path, rows: pa.Table) -> None:
    """Store a segment's rows; where they stand already, say that they were used."""
    try:
        if len(rows) <= manifest.ROWS_PER_GROUP and _read_group(path, 0).equals(rows):
            os.utime(path)
            return
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
