"""The gate compares the accuracy with a bound and with the last commit's, and fails in one line."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prefect.states import State

from flows import gate, pipeline
from flows.pipeline import failed_state, state_of_error
from flows.versions import publish
from tasks.common.errors import CheckFailedError, exit_code
from tasks.evaluate.params import Gate


def metrics(accuracy: float) -> dict[str, Any]:
    ends = {"accuracy_low": accuracy - 0.02, "accuracy_high": accuracy + 0.01}
    return {"images": 264, "accuracy": accuracy, **ends}


def bounds(least: float | None = None, drop: float | None = None) -> Gate:
    return Gate(min_accuracy=least, max_drop=drop)


def refusal(bound: Gate, now: float, before: dict[str, Any] | None = None) -> str:
    with pytest.raises(CheckFailedError) as raised:
        gate.compare(bound, metrics(now), before)
    assert exit_code(raised.value) == 1
    return str(raised.value)


def test_an_accuracy_below_the_bound_fails_with_its_interval() -> None:
    assert refusal(bounds(least=0.97), 0.9621) == (
        "params.yaml evaluate.gate.min_accuracy: needs 97.00% at least, "
        "found test accuracy 96.21% (94.2 to 97.2) of 264 images; see reports/index.html"
    )


def test_a_drop_since_the_last_commit_fails_with_both_figures() -> None:
    assert refusal(bounds(drop=0.01), 0.95, metrics(0.98)) == (
        "params.yaml evaluate.gate.max_drop: needs 97.00% at least, 1.00% below "
        "98.00% (96.0 to 99.0) of 264 images in the last commit, "
        "found test accuracy 95.00% (93.0 to 96.0) of 264 images; see reports/index.html"
    )


def test_the_bounds_themselves_pass() -> None:
    assert gate.compare(bounds(0.97, 0.01), metrics(0.97), metrics(0.98)) == (
        "passed: test accuracy 97.00% (95.0 to 98.0) of 264 images; at least 97.00%; "
        "at most 1.00% below 98.00% (96.0 to 99.0) of 264 images in the last commit"
    )


def test_a_first_run_has_nothing_to_drop_from() -> None:
    assert gate.compare(bounds(drop=0.0), metrics(0.5), None).endswith(
        "; max_drop does not apply: the last commit has no metrics/evaluate.json"
    )


def test_metrics_of_a_version_without_intervals_are_compared() -> None:
    found = refusal(bounds(drop=0.0), 0.9, {"images": 10, "accuracy": 0.95})
    assert "0.00% below 95.00% of 10 images in the last commit" in found


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with the metrics of 0.98 committed, and those of 0.95 in the workspace."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    path = tmp_path / "metrics/evaluate.json"
    path.write_text(json.dumps(metrics(0.98)))
    person = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    for command in (["init", "-q"], ["add", "-A"], [*person, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], check=True)
    path.write_text(json.dumps(metrics(0.95)))
    return tmp_path


def test_the_last_commit_is_read_from_git(repository: Path) -> None:
    (repository / "params.yaml").write_text("evaluate: {gate: {max_drop: 0.01}}\n")
    assert gate.committed_metrics() == metrics(0.98)
    with pytest.raises(CheckFailedError, match=r"^params.yaml evaluate.gate.max_drop: "):
        gate.judge()
    (repository / "params.yaml").write_text("evaluate: {gate: {max_drop: 0.05}}\n")
    assert gate.judge().startswith("passed: ")


@pytest.mark.parametrize(
    "odd", ["[]", "{}", '{"accuracy": "0.9", "images": 3}', '{"accuracy": NaN, "images": 3}',
            '{"accuracy": 0.9, "images": 3, "accuracy_low": null, "accuracy_high": null}']
)  # fmt: skip
def test_a_committed_file_without_figures_is_none(
    odd: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "git", lambda *_: odd)
    assert gate.committed_metrics() is None


def test_a_run_is_judged_where_it_reached_evaluate_and_a_bound_is_set(repository: Path) -> None:
    (repository / "params.yaml").write_text("evaluate: {gate: {min_accuracy: 0.5}}\n")
    assert gate.is_set({"train": "ran", "evaluate": "cached"})
    assert not gate.is_set({"train": "ran"})  # --until train
    (repository / "params.yaml").write_text("evaluate: {}\n")
    assert not gate.is_set({"evaluate": "ran"})


def test_the_failed_state_of_the_flow_keeps_the_line_and_the_exit_code() -> None:
    error = CheckFailedError("the line")
    for state in (failed_state(error), state_of_error(error)):
        assert state.is_failed() and state.message == "the line"
        assert exit_code(state.result(raise_on_failure=False)) == 1


@pytest.mark.parametrize("passes", [True, False])
def test_what_fails_the_gate_is_neither_committed_nor_pushed(
    passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []

    def perform(_: Any, action: Any) -> None:
        done.append(action)
        if action is gate.judge and not passes:
            raise pipeline.RunEndedError(failed_state(CheckFailedError("below")))

    monkeypatch.setattr(pipeline, "run_task", perform)
    monkeypatch.setattr(pipeline, "run_stages", lambda *_: {"evaluate": "cached"})
    monkeypatch.setattr(pipeline, "end_with_server", lambda: None)
    monkeypatch.setattr(pipeline.runs, "cancel_overdue", lambda: None)
    monkeypatch.setattr(gate, "is_set", lambda _: True)
    state = pipeline.pipeline.fn(commit=True, push=True)
    assert isinstance(state, State)
    if passes:
        assert done == [gate.judge, publish.commit, publish.push]
    else:
        assert state.is_failed() and done == [gate.judge]
