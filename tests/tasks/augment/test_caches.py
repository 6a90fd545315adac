import os
from pathlib import Path

import pytest

from tasks.augment import caches


def test_the_segments_longest_unused_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    folder = tmp_path / "segments" / "recipe"
    folder.mkdir(parents=True)
    for name in ("a.tar", "b.tar", "c.tar", "without-index.tar", "a-1.parquet", "c-1.parquet"):
        (folder / name).write_bytes(bytes(1000))
    for name, used in {"a-1.sources": 2, "b-1.sources": 3, "c-1.sources": 1, "c-2.sources": 4}.items():
        (folder / name).touch()
        os.utime(folder / name, (used, used))
    caches.trim(4000)
    assert len(list(folder.iterdir())) == 10
    caches.trim(2000)
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["b-1.sources", "b.tar", "c-1.parquet", "c-1.sources", "c-2.sources", "c.tar"]
