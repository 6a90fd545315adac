"""The stage graph, and errors of DVC as messages."""

import json
from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils import format_link

from flows.run.child import report_failure
from flows.versions.dvc_graph import in_repo, read_steps
from tasks.common.errors import UserError
from tests.conftest import Project


def test_steps_are_in_order_and_what_has_not_run_is_not_clean(
    checkout: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.root)
    steps = read_steps()
    assert [step.address for step in steps] == [
        "data/raw.dvc",
        "ingest",
        "validate",
        "augment",
        "train",
        "evaluate",
    ]
    assert [step.clean for step in steps] == [True] + [False] * 5
    assert [step.address for step in read_steps("validate")] == [
        "data/raw.dvc",
        "ingest",
        "validate",
    ]


def test_an_unknown_stage_is_one_line(checkout: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout.root)
    with pytest.raises(UserError, match="polish"):
        read_steps("polish")


def test_colours_of_dvc_are_in_no_message(
    checkout: Project,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(checkout.root)
    error = DvcException(f"refused,\nsee {format_link('https://error.dvc.org/x')}")
    assert "\x1b[" in str(error)

    def refuse(repo: Repo) -> None:
        raise error

    with pytest.raises(UserError) as caught:
        in_repo(refuse)
    assert str(caught.value) == "dvc: refused, see <https://error.dvc.org/x>"
    events = tmp_path / "events"
    monkeypatch.setenv("VARIEGATE_EVENTS", str(events))
    error.__cause__ = OSError(28, "No space left on device")
    report_failure(error)
    text = "dvc: refused, see <https://error.dvc.org/x>: No space left on device"
    assert json.loads(events.read_text()) == {"kind": "error", "text": text}
    assert capsys.readouterr().err == f"error: {text}\n"
