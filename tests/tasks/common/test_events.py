import json
from pathlib import Path

import pytest

from tasks.common.events import Progress, emit, report_counts, silent, track


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


def test_a_silent_block_tells_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("tasks.common.events.time.monotonic", lambda: next(clock))
    monkeypatch.setenv("VARIEGATE_EVENTS", str(tmp_path / "events"))
    with silent():
        report_counts(files=3)
        assert list(track("abc", 3, "reading", "file")) == list("abc")
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    report_counts(files=3)
    assert capsys.readouterr().out == "files 3\n"


def test_long_work_tells_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 1000, 6))  # six seconds an item
    monkeypatch.setattr("tasks.common.events.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    assert list(track("abcde", 5, "reading", "file")) == list("abcde")
    assert capsys.readouterr().out.splitlines() == [
        "reading: 2 of 5 files, 0.2/s, 18 s left",
        "reading: 4 of 5 files, 0.2/s, 6 s left",
    ]


def test_progress_tells_the_flow_each_second_its_rate_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 0.5, 1.0, 1.5, 2.0, 11.0])
    monkeypatch.setattr("tasks.common.events.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    monkeypatch.setenv("VARIEGATE_EVENTS", str(tmp_path / "events"))
    # 100 images were shown before the training was interrupted
    with Progress(1000, "training", "image", 100, lambda: "epoch 1 of 2") as progress:
        for _ in range(5):
            progress.advance(50)
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [(event["done"], event["pace"]) for event in events] == [
        (200, "100/s, 8 s left, epoch 1 of 2"),
        (300, "100/s, 7 s left, epoch 1 of 2"),
        (350, "23/s, 29 s left, epoch 1 of 2"),
        (1000, "done"),
    ]
    assert capsys.readouterr().out == (
        "training: 350 of 1,000 images, 23/s, 29 s left, epoch 1 of 2\n"
    )
