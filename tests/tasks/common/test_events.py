import json
from pathlib import Path

import pytest

from tasks.common.events import emit, report_counts, track


def test_events_are_lines_of_the_file_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_EVENTS", str(tmp_path / "events"))
    emit("link", text="report", path="x")
    report_counts(files=3)
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert events == [
        {"kind": "link", "text": "report", "path": "x"},
        {"kind": "counts", "files": 3},
    ]


def test_without_a_listener_only_people_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("VARIEGATE_EVENTS", raising=False)
    monkeypatch.chdir(tmp_path)
    report_counts(training_images=1234, accuracy=0.5)
    assert capsys.readouterr().out == "training images 1,234, accuracy 0.5000\n"
    assert list(tmp_path.iterdir()) == []


def test_long_work_tells_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 1000, 6))  # six seconds an item
    monkeypatch.setattr("tasks.common.events.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    assert list(track("abcde", 5, "reading", "file")) == list("abcde")
    assert capsys.readouterr().out.splitlines() == [
        "reading: 2 of 5 files, 0/s, 18 s left",
        "reading: 4 of 5 files, 0/s, 6 s left",
    ]
