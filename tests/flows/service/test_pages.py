"""Where runs believe the pages of the dataset to be."""

from pathlib import Path

import pytest

from flows.service.pages import pages_url, usual_port, written_down

FREE = "http://127.0.0.1:40123"


def test_runs_of_the_same_project_link_to_the_pages_that_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = f"http://127.0.0.1:{usual_port()}"
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path / "cache"))  # which projects may share
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert pages_url() == usual
    with written_down(FREE):
        assert pages_url() == FREE
        monkeypatch.chdir(tmp_path / "other")
        assert pages_url() == usual
        monkeypatch.chdir(tmp_path / "mine")
    assert pages_url() == usual and not list((tmp_path / "cache").glob("pages*"))


def test_pages_that_end_leave_what_others_have_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with written_down(FREE):
        written = Path(".variegate/pages")
        later = written.read_text().replace("40123", "40124")
        written.write_text(later)
    assert written.read_text() == later


def test_what_cannot_be_written_or_read_is_the_usual_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".variegate").touch()
    with written_down(FREE):
        assert pages_url() == f"http://127.0.0.1:{usual_port()}"
