"""What dvc.lock, DVC's cache and a ledger say of the segments of a commit."""

import json
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.augment import committed_segments, segments
from tasks.augment.committed_segments import (
    dvc_cache,
    forget_everywhere,
    locked_files,
    read_committed,
    read_segments,
)
from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.dataset.paths import AUGMENTED, SEGMENTS
from tests.tasks.augment.test_segments import RECIPE, assemble, cut, finished, made

LOCK = b"""\
schema: '2.0'
stages:
  ingest:
    outs:
    - {path: data/ingested, md5: 9876.dir}
  augment:
    outs:
    - {path: reports/augment.json, md5: '5555'}
    - {path: data/augmented, md5: 0123.dir}
"""
SHA256 = LEDGER_COLUMNS.names.index("sha256")
LISTING = [
    {"md5": "abcdef", "relpath": "manifest.parquet"},
    {"md5": "12345678", "relpath": "segments/x.tar"},
]


def store(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_lock_says_where_the_cache_holds_the_files_of_the_dataset(tmp_path: Path) -> None:
    assert locked_files(LOCK, tmp_path) == {}  # not pulled
    store(tmp_path / "files/md5/01/23.dir", json.dumps(LISTING).encode())
    assert locked_files(LOCK, tmp_path) == {
        "manifest.parquet": tmp_path / "files/md5/ab/cdef",
        "segments/x.tar": tmp_path / "files/md5/12/345678",
    }
    for lock in (
        b"",  # no commit
        b"stages: [",
        b"stages: {}",
        b"\xff",
        LOCK.replace(b"data/augmented", b"data/other"),
    ):
        assert locked_files(lock, tmp_path) == {}
    store(tmp_path / "files/md5/01/23.dir", b"[")
    assert locked_files(LOCK, tmp_path) == {}


def test_the_cache_is_where_dvc_is_told_to_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert dvc_cache() == Path(".dvc/cache")
    store(Path(".dvc/config"), b"[core]\n    autostage = true\n[cache]\n    dir = ../large disk\n")
    assert dvc_cache() == Path(".dvc/../large disk")
    store(Path(".dvc/config.local"), b'[cache]\n    dir = "/own/100%"\n')
    assert dvc_cache() == Path("/own/100%")


def test_a_segment_is_forgotten_in_every_copy_and_no_other_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path / "private"))
    store(Path("dvc.lock"), LOCK)
    listing = store(Path(".dvc/cache/files/md5/01/23.dir"), json.dumps(LISTING).encode())
    own = [SEGMENTS / "x.tar", Path(".dvc/cache/files/md5/12/345678")]
    own += [tmp_path / "private/segments" / name for name in ("x.tar", "x-1.sources")]
    others = [
        SEGMENTS / "y.tar",
        AUGMENTED / "manifest.parquet",
        tmp_path / "private/segments/y.tar",
    ]
    ledger = store(Path(".dvc/cache/files/md5/ab/cdef"))
    for path in (*own, *others):
        store(path)
    forget_everywhere("x.tar")
    assert not any(path.exists() for path in own)
    assert all(path.exists() for path in (*others, ledger, listing))
    forget_everywhere("manifest.parquet")
    assert not ledger.exists() and not (AUGMENTED / "manifest.parquet").exists()
    Path("dvc.lock").unlink()
    forget_everywhere("y.tar")
    assert not any(path.exists() for path in others)


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The files of a dataset by their names: sources e, a, b, g, of which e and g have no image."""
    monkeypatch.setattr(segments, "MEAN_BYTES", 1)  # each source with images ends a segment
    pieces = finished(made("e", []), made("a", [700, 30]), made("b", [None, 900]), made("g", []))
    files, parts = {}, []
    for gathered in cut(pieces):
        name, data, rows = assemble(gathered)
        parts.append(rows)
        if name:
            files[f"segments/{name}"] = store(tmp_path / name, data)
    files["manifest.parquet"] = tmp_path / "ledger"
    tables.write_arrow(tmp_path / "ledger", pa.concat_tables(parts))
    return files


def test_a_ledger_says_which_sources_stand_in_which_segment(committed: dict[str, Path]) -> None:
    tars = {name.partition("/")[2]: path for name, path in committed.items()}
    ledger = committed["manifest.parquet"]
    first, second = (name for name in tars if name.endswith(".tar"))
    found = list(read_segments(ledger, tars))
    assert [(own.name, own.tar, own.path, own.first, own.count) for own, _ in found] == [
        (first, tars[first], ledger, 0, 4),
        (second, tars[second], ledger, 4, 4),
    ]
    # two images of up to two blocks each with a header; one of two blocks
    assert [sources[["start", "rows", "size"]].tolist() for _, sources in found] == [
        [(0, 1, 0), (1, 3, (3 + 2) * 512)],
        [(0, 3, 3 * 512), (3, 1, 0)],
    ]
    keys = [key.decode() for key in chain.from_iterable(sources["key"] for _, sources in found)]
    names = ("e", "a", "b", "g")
    assert keys == [made(name, [])[0].sha256 + RECIPE.hash for name in names]
    tars[first].unlink()  # it has not been pulled
    assert [own.name for own, _ in read_segments(ledger, tars)] == [second]
    del tars[second]
    assert list(read_segments(ledger, tars)) == []


def test_a_ledger_that_cannot_be_read_has_no_segments(
    committed: dict[str, Path], tmp_path: Path
) -> None:
    tars = {name.partition("/")[2]: path for name, path in committed.items()}
    data = committed["manifest.parquet"].read_bytes()
    hashes = pq.ParquetFile(committed["manifest.parquet"]).metadata.row_group(0).column(SHA256)
    last = hashes.data_page_offset + hashes.total_compressed_size - 1
    flipped = data[:last] + bytes([data[last] ^ 1]) + data[last + 1 :]
    for damaged in (b"", b"no table", data[:-9], flipped):
        assert list(read_segments(store(tmp_path / "damaged", damaged), tars)) == []
    assert list(read_segments(tmp_path / "none", tars)) == []
    tables.write_arrow(tmp_path / "empty", segments.NO_ROWS)
    assert list(read_segments(tmp_path / "empty", tars)) == []


def test_the_datasets_of_all_sides_of_a_merge_are_read(
    committed: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_ledger = {name: path for name, path in committed.items() if "/" in name}
    of_commit = {"HEAD": committed, "MERGE_HEAD": committed, "REBASE_HEAD": without_ledger}
    monkeypatch.setattr(
        committed_segments, "committed_files", lambda commit, _: of_commit.get(commit, {})
    )
    names = [Path(name).name for name in without_ledger]
    assert [own.name for own, _ in read_committed()] == [*names, *names]
