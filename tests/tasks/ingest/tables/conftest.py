"""A data/raw of each test's own."""

from pathlib import Path

import pytest

from tasks.dataset.paths import RAW


@pytest.fixture(autouse=True)
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RAW.mkdir(parents=True)
