"""Trials: asked as a function of those before them, and told to SQLite whole."""

import sqlite3
from pathlib import Path

import pytest

from tasks.common.errors import UserError
from tasks.studies.tune import trials
from tasks.studies.tune.trials import Scored, Store, Trial, ask
from tests.tasks.studies.tune.fake import ROTATE, space_of

SPACE = space_of(ROTATE)
TOLD = [
    Trial(0, "none", {}, "complete", (Scored(10, 1, 0.7), Scored(30, 3, 0.8)), 0.8, 1.0),
    Trial(1, "present", {}, "pruned", (Scored(10, 1, 0.6),), 0.6, 0.9),
    Trial(2, "trivialaugment", {"variants": 4}, "hopeless", (), None, 0.2),
    *(
        Trial(
            number,
            "strength",
            {"strength": number / 10, "variants": 4},
            "complete",
            (Scored(10, 1, number / 10), Scored(30, 3, number / 10)),
            number / 10,
            0.9,
        )
        for number in range(3, 9)
    ),
]


def test_trials_that_come_first_come_first() -> None:
    asked = ask([], range(3), SPACE, seed=1)
    assert [(trial.kind, trial.choice) for trial in asked] == SPACE.first


def test_a_batch_is_a_function_of_the_trials_before_it_and_the_seed() -> None:
    asked = ask(TOLD, range(9, 17), SPACE, seed=1)
    assert ask(TOLD, range(9, 17), SPACE, seed=1) == asked
    assert ask(TOLD, range(9, 17), SPACE, seed=2) != asked
    assert ask(TOLD, range(9, 12), SPACE, seed=1) == asked[:3]


def test_what_told_well_is_asked_for_more() -> None:
    """The strength that told the best is 0.8, or 0.3; mean of what 30 seeds ask for next."""
    poor = [
        ("randaugment", {"n": 1, "m": 9}),
        ("trivialaugment", {}),
        ("trivialaugment_scaled", {}),
    ]
    means = []
    for best in (0.8, 0.3):
        told = [
            trial._replace(accuracy=1 - abs(trial.choice["strength"] - best)) for trial in TOLD[3:]
        ]
        for number in range(12):
            kind, choice = poor[number % 3]
            told.append(Trial(9 + number, kind, {**choice, "variants": 2}, accuracy=0.1))
        asked = [ask(told, [21], SPACE, seed)[0] for seed in range(30)]
        strengths = [trial.choice["strength"] for trial in asked if trial.kind == "strength"]
        means.append(sum(strengths) / len(strengths))
    assert means[0] > means[1] + 0.15


def test_nothing_is_tried_twice() -> None:
    asked = ask([], range(30), SPACE, seed=1)
    tried = [(trial.kind, str(trial.choice)) for trial in asked]
    assert len(set(tried)) == 30


def test_told_trials_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    store = Store.open("one", SPACE)
    for trial in TOLD:
        store.tell(trial)
    again = Store.open("one", SPACE)
    assert list(again.told().values()) == TOLD
    assert [trial.state.name for trial in again.study.trials][:3] == [
        "COMPLETE",
        "PRUNED",
        "PRUNED",
    ]
    assert again.study.trials[3].params == {"kind": "strength", "strength": 0.3, "variants": 4}
    assert Store.open("another", SPACE).told() == {}


@pytest.mark.parametrize("start", [0, 5000])
def test_damaged_database_is_begun_anew(
    start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    Store.open("one", SPACE).tell(TOLD[0])
    [database] = (tmp_path / "studies").iterdir()
    whole = database.read_bytes()
    database.write_bytes(whole[:start] + b"damaged" * 2000 + whole[start + 14_000 :])
    store = Store.open("one", SPACE)
    assert store.told() == {}
    store.tell(TOLD[0])
    assert list(store.told().values()) == TOLD[:1]


def test_a_database_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    monkeypatch.setattr(trials, "LOCK_SECONDS", 0.1)
    store = Store.open("one", SPACE)
    [database] = (tmp_path / "studies").iterdir()
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    uses = (
        lambda: Store.open("one", SPACE),
        store.told,
        lambda: store.tell(TOLD[0]),
    )
    for use in uses:
        with pytest.raises(UserError) as caught:
            use()
        assert str(caught.value) == f"{database}: database is locked"
    other.close()
    store.tell(TOLD[0])
    assert list(store.told().values()) == TOLD[:1]


def test_of_two_processes_that_told_the_same_trial_one_counts() -> None:
    import optuna

    store = Store(optuna.create_study(direction="maximize"), SPACE)
    for trial in (TOLD[0], TOLD[1], TOLD[0]):
        store.tell(trial)
    assert list(store.told().values()) == TOLD[:2]
