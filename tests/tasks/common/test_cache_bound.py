"""The private cache stays within its bound: what was used longest ago goes first."""

import os
from pathlib import Path

import pytest

from tasks.common.cache_bound import trim_cache


def test_the_segments_and_arrays_longest_unused_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    segments, arrays = tmp_path / "segments", tmp_path / "arrays"
    for folder in (segments, arrays):
        folder.mkdir()
    for name in ("a.tar", "b.tar", "c.tar", "without-index.tar", "a-1.parquet", "c-1.parquet"):
        (segments / name).write_bytes(bytes(1000))
    for name in ("d-1.npy", "d.keys", "e-1.npy", "e.keys"):
        (arrays / name).write_bytes(bytes(1000))
    for path, used in {
        segments / "a-1.sources": 2,
        segments / "b-1.sources": 4,
        segments / "c-1.sources": 1,
        segments / "c-2.sources": 5,
        arrays / "d-1.npy": 3,
        arrays / "e-1.npy": 6,
    }.items():
        path.touch()
        os.utime(path, (used, used))
    trim_cache(6000)
    assert sum(len(list(folder.iterdir())) for folder in (segments, arrays)) == 14
    trim_cache(3000)
    left = sorted(path.name for path in segments.iterdir())
    assert left == ["b-1.sources", "b.tar", "c-1.parquet", "c-1.sources", "c-2.sources", "c.tar"]
    assert sorted(path.name for path in arrays.iterdir()) == ["e-1.npy", "e.keys"]


@pytest.mark.parametrize(("kind", "ending"), [("trainings", "npz"), ("thumbnails", "thumbnail")])
def test_trainings_of_studies_and_thumbnails_count_and_go_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ending: str
) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    folder = tmp_path / kind
    folder.mkdir()
    for used, name in enumerate(("b", "a", "c"), start=1):
        path = folder / f"{name}.{ending}"
        path.write_bytes(bytes(1000))
        os.utime(path, (used, used))
    trim_cache(2000)
    assert sorted(path.name for path in folder.iterdir()) == [f"a.{ending}", f"c.{ending}"]
