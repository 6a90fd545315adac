import pytest

from flows.versions.dvc_graph import read_steps
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
