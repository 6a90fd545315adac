"""How many trials fit into a time."""

from pathlib import Path
from typing import cast

import pytest

from tasks.common.errors import UserError
from tasks.studies.trainings import budget as budgets
from tasks.studies.trainings.budget import Cost
from tasks.studies.trainings.data import StudyData
from tasks.studies.tune import how_many
from tests.tasks.studies.tune.fake import ROTATE, space_of

SPACE = space_of(ROTATE)  # 30 epochs: rungs of 10 and 30
DATA = cast(StudyData, None)


@pytest.fixture(autouse=True)
def one_second_per_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    monkeypatch.setattr(budgets, "at_once", lambda: 1)
    monkeypatch.setattr(how_many, "costs_of", lambda arms, data: [Cost(1.0, 1.0)])
    monkeypatch.setattr(how_many, "key_of", lambda space, data: "a study")


def test_finalists_and_rungs_count(capsys: pytest.CaptureFixture[str]) -> None:
    """450 s of finalists; a batch of 8 takes 80 + 90 + 60 s, and its ninth trial 10 + 30 + 60 s."""
    assert how_many.trials_within("12m", SPACE, DATA) == 8
    assert how_many.trials_within("13.1m", SPACE, DATA) == 9
    assert "budget 12m: 8 trials, about 12 min" in capsys.readouterr().out


def test_too_little_for_those_that_come_first_is_one_line() -> None:
    with pytest.raises(UserError) as caught:
        how_many.trials_within("5m", SPACE, DATA)
    assert str(caught.value) == "--budget: 3 trials need 10 min, found 5m"
