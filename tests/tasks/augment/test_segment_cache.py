import os
from pathlib import Path

import pytest

from tasks.augment import segment_cache
from tasks.augment.segments import is_sound
from tasks.dataset.paths import SEGMENTS
from tasks.variants.originals import NO_ORIGINALS
from tests.tasks.augment.test_segments import RECIPES, finished, made


def test_the_segments_longest_unused_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    folder = tmp_path / "segments"
    folder.mkdir(parents=True)
    for name in ("a.tar", "b.tar", "c.tar", "without-index.tar", "a-1.parquet", "c-1.parquet"):
        (folder / name).write_bytes(bytes(1000))
    for name, used in {
        "a-1.sources": 2,
        "b-1.sources": 3,
        "c-1.sources": 1,
        "c-2.sources": 4,
    }.items():
        (folder / name).touch()
        os.utime(folder / name, (used, used))
    segment_cache.trim_cache(4000)
    assert len(list(folder.iterdir())) == 10
    segment_cache.trim_cache(2000)
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["b-1.sources", "b.tar", "c-1.parquet", "c-1.sources", "c-2.sources", "c.tar"]


def test_a_changed_byte_of_stored_rows_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    SEGMENTS.mkdir(parents=True)
    segment_cache.write_segment(finished(made("a", [700]), made("b", [800])), RECIPES, NO_ORIGINALS)
    ((stored, sources),) = segment_cache.read_cached()
    assert is_sound.__wrapped__(stored) and sources["rows"].tolist() == [2, 2]
    data = stored.path.read_bytes()
    for place in range(
        0, len(data), 29
    ):  # of the footer too, for which pages' checksums do not answer
        stored.path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        assert not is_sound.__wrapped__(stored)
    stored.path.write_bytes(data)
    assert is_sound.__wrapped__(stored)
