"""A time to spend: how it is written, what fits into it, and that the number stays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.common.errors import UserError
from tasks.studies.trainings import budget
from tasks.studies.trainings.arm import NONE
from tasks.studies.trainings.budget import (
    Cost,
    Count,
    number_within,
    seconds_side_by_side,
)
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.training import Training
from tests.tasks.studies.trainings.drawn import study

SEEDS = Count(lambda seeds: f"{seeds} seeds of 4 arms", 2, 9)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    monkeypatch.setattr(budget.time, "perf_counter", iter(range(0, 1000, 5)).__next__)  # 5 s


def takes(each: float) -> Callable[[], Callable[[int], float]]:
    return lambda: lambda number: number * each


def unmeasured() -> Callable[[int], float]:
    raise AssertionError("measured again")


def test_as_many_as_fit_beside_the_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 10 minutes 5 seconds are spent: 595 are left, and one takes 85."""
    assert number_within("10m", ["a"], SEEDS, takes(85)) == 7
    assert capsys.readouterr().out == (
        "budget 10m: short trainings first, to see what fits\n"
        "budget 10m: 7 seeds of 4 arms, about 10 min\n"
    )
    assert number_within("10m", ["b"], SEEDS, takes(1)) == 9
    assert number_within("10m", ["c"], SEEDS, takes(595 / 2)) == 2


def test_the_same_command_goes_on_with_the_same_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert number_within("10m", ["a"], SEEDS, takes(85)) == 7
    capsys.readouterr()
    assert number_within("10m", ["a"], SEEDS, unmeasured) == 7
    assert capsys.readouterr().out == "budget 10m: 7 seeds of 4 arms, as when the study began\n"
    assert number_within("5m", ["a"], SEEDS, takes(85)) == 3
    assert number_within("10m", ["another"], SEEDS, takes(200)) == 2


def test_too_little_time_says_how_much_is_needed() -> None:
    with pytest.raises(UserError) as caught:
        number_within("2m", ["a"], SEEDS, takes(85))
    assert str(caught.value) == "--budget: 2 seeds of 4 arms need 3 min, found 2m"
    assert number_within("3m", ["a"], SEEDS, takes(85)) == 2


def test_what_trainings_cost() -> None:
    assert Cost(4.0, 1.5).of(1) == 4
    assert Cost(4.0, 1.5).of(5) == 10


@pytest.mark.parametrize(("epochs", "cost"), [(2, Cost(10, 5)), (0, Cost(2.5, 2.5))])
def test_a_short_training_tells_what_an_epoch_costs(
    epochs: int, cost: Cost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(training: Training, data: StudyData, after_epoch: Callable[[Any], None]) -> None:
        for _ in range(epochs):  # a training whose loss leaves all bounds ends none
            after_epoch([])

    monkeypatch.setattr(budget, "run_training", run)
    data = study()
    assert budget._cost_of_training(data, Training(NONE, 1, 2)) == cost


def test_side_by_side_the_last_training_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_DEVICE", "cpu")
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    assert seconds_side_by_side([10, 20, 30]) == 60 / 2 + 30 / 2
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    assert seconds_side_by_side([10, 20, 30]) == 60
