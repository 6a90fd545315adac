"""How many seeds fit into a time, by trainings that are really measured."""

from pathlib import Path

import pytest

from tasks.common.errors import UserError
from tasks.studies.ablate.seeds import MOST_SEEDS, seeds_within
from tasks.studies.trainings.arm import NONE
from tests.tasks.studies.trainings.drawn import arm, study

FLIP = arm(["HorizontalFlip"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VARIEGATE_CACHE", raising=False)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setenv("VARIEGATE_DEVICE", "cpu")


def test_a_day_is_enough_for_the_most_and_the_number_is_that_of_the_study(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, arms = study(), [NONE, FLIP]
    assert seeds_within("24h", arms, data, 2) == MOST_SEEDS
    told = f"budget 24h: {MOST_SEEDS} seeds of 2 arms, "
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{told}about ")
    monkeypatch.setattr("tasks.studies.ablate.seeds.costs_of", None)  # asked no more
    assert seeds_within("24h", arms, data, 2) == MOST_SEEDS
    assert capsys.readouterr().out.splitlines()[-1] == f"{told}as when the study began"
    with pytest.raises(TypeError):  # another study
        seeds_within("24h", arms, data, 3)


def test_a_tenth_of_a_second_is_too_little() -> None:
    with pytest.raises(UserError, match=r"^--budget: 2 seeds of 2 arms need \d+ s, found 0.1s$"):
        seeds_within("0.1s", [NONE, FLIP], study(), 2)
