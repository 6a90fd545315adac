"""A folder of its own for each test, and one worker, which is this process."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.delenv("VARIEGATE_CACHE", raising=False)
