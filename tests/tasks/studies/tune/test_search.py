"""The search: halving, what is hopeless, kills; and that the number of workers changes nothing."""

from collections.abc import Sequence

import numpy as np
import pytest

from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.training import Trained, Training
from tasks.studies.tune.search import (
    BATCH,
    Rung,
    Search,
    best_of,
    is_hopeless,
    rounds_of,
    rungs_of,
)
from tasks.studies.tune.trials import Trial
from tests.tasks.studies.tune.fake import ROTATE, FakeBench, best_at, degrees, space_of, store_of

SEED = 7
TRIALS = 20  # two batches, and a part of one


def search(fake: FakeBench, trials: int = TRIALS) -> list[Trial]:
    space = space_of(ROTATE)
    return Search(space, fake.bench, SEED).run(trials, store_of(space))


@pytest.mark.parametrize(
    ("epochs", "rungs"),
    [
        (80, [(27, 1), (80, 1), (80, 3)]),
        (15, [(5, 1), (15, 1), (15, 3)]),
        (9, [(5, 1), (9, 1), (9, 3)]),
        (5, [(5, 1), (5, 3)]),
        (1, [(1, 1), (1, 3)]),
    ],
)
def test_rungs_are_a_third_of_the_epochs_but_five_at_least(
    epochs: int, rungs: list[tuple[int, int]]
) -> None:
    assert rungs_of(epochs) == [Rung(*rung) for rung in rungs]


def test_a_third_goes_on_from_each_rung() -> None:
    trials = search(FakeBench(best_at(0.5)), BATCH)
    assert [len(trial.rungs) for trial in trials].count(3) == 1
    assert [len(trial.rungs) for trial in trials].count(2) == 2
    assert [len(trial.rungs) for trial in trials].count(1) == 5
    for trial in trials:
        assert trial.state == ("complete" if len(trial.rungs) == 3 else "pruned")
        assert trial.accuracy == trial.rungs[-1].accuracy


def test_those_that_go_on_were_the_best_of_their_batch() -> None:
    trials = search(FakeBench(best_at(0.5)), BATCH)
    for rung in (0, 1):
        there = [trial for trial in trials if len(trial.rungs) > rung]
        on = [trial.rungs[rung].accuracy for trial in there if len(trial.rungs) > rung + 1]
        left = [trial.rungs[rung].accuracy for trial in there if len(trial.rungs) == rung + 1]
        assert min(on) >= max(left)


def test_the_strength_that_is_best_wins() -> None:
    winner = best_of(search(FakeBench(best_at(0.5)), 40))
    assert winner is not None
    assert winner.kind == "strength"
    assert 0.3 <= winner.choice["strength"] <= 0.7


def test_of_equals_the_first_wins() -> None:
    trials = [Trial(number, "strength", {}, accuracy=0.5) for number in (4, 2, 3)]
    winner = best_of(trials)
    assert winner is not None
    assert winner.number == 2
    assert best_of([trials[0]._replace(state="pruned")]) is None


def test_nothing_is_trained_twice_and_no_more_than_was_said() -> None:
    fake = FakeBench(best_at(0.5))
    search(fake)
    assert len(set(fake.trained)) == len(fake.trained)
    rounds = list(rounds_of(TRIALS, 30))
    assert rounds == [
        (10, 8),
        (30, 3),
        (30, 2),
        (10, 8),
        (30, 3),
        (30, 2),
        (10, 4),
        (30, 2),
        (30, 2),
    ]
    for epochs in (10, 30):
        most = sum(one.trainings for one in rounds if one.epochs == epochs)
        assert len([one for one in fake.trained if one[2] == epochs]) <= most


def test_the_order_in_which_trainings_run_changes_nothing() -> None:
    class Backwards(FakeBench):
        def run(self, trainings: Sequence[Training], what: str) -> list[Trained]:
            return super().run(trainings[::-1], what)[::-1]

    assert search(Backwards(best_at(0.5))) == search(FakeBench(best_at(0.5)))


def test_seeds_of_the_search_are_three_from_that_of_params() -> None:
    fake = FakeBench(best_at(0.5))
    search(fake)
    assert {seed for _, seed, _ in fake.trained} == {7, 8, 9}


# --- what is hopeless -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "known", "images", "hopeless"),
    [
        (0.56, 0.9, 100_000, False),  # over half of the way from 20% to 90%
        (0.54, 0.9, 100_000, True),  # under it, and so is the interval's end, 54.3%
        (0.54, 0.9, 400, False),  # the interval ends at 58.8%
        (0.40, 0.9, 400, True),
        (0.0, 0.2, 400, False),  # models of originals guess: nothing can be told
        (0.0, 0.3, 10, False),  # of ten images none is right: it may still be 28%
    ],
)
def test_hopeless_is_surely_less_than_half_of_the_way_from_guessing(
    changed: float, known: float, images: int, hopeless: bool
) -> None:
    bench = FakeBench(best_at(0.5)).bench._replace(units=np.arange(images), classes=5)
    assert is_hopeless(changed, known, bench) is hopeless


def test_images_that_belong_together_are_no_more_evidence_than_one() -> None:
    bench = FakeBench(best_at(0.5)).bench._replace(classes=5)
    assert is_hopeless(0.4, 0.9, bench)
    assert not is_hopeless(0.4, 0.9, bench._replace(units=np.arange(400) // 40))


def test_hopeless_trials_are_told_and_not_trained() -> None:
    def affinity(arm: Arm) -> float:
        return 0.2 if degrees(arm) is None else 1.0

    fake = FakeBench(best_at(0.5), affinity)
    trials = search(fake, BATCH)
    published = [trial for trial in trials if "augment" in trial.kind]
    assert published
    for trial in published:
        assert (trial.state, trial.rungs, trial.accuracy) == ("hopeless", (), None)
        assert trial.affinity == 0.2
    assert not any("augment" in name for name, _, _ in fake.trained)


def test_how_many_are_hopeless_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def affinity(arm: Arm) -> float:
        return 0.2 if arm.name.startswith("trivialaugment, ") else 1.0

    trials = search(FakeBench(best_at(0.5), affinity), 3)
    assert [trial.state for trial in trials].count("hopeless") == 1
    told = "trials 1 to 3: 1 hopeless by its affinity, not trained\n"
    assert capsys.readouterr().out == told


def test_where_all_are_hopeless_none_is_left() -> None:
    def affinity(arm: Arm) -> float:
        return 1.0 if arm.augment is None else 0.0

    winner = best_of(search(FakeBench(best_at(0.5), affinity)))
    assert winner is not None
    assert winner.kind == "none"


# --- kills ------------------------------------------------------------------------------------


def test_killed_at_any_training_the_search_ends_as_one_that_was_not() -> None:
    """Each restart has nothing but what was told; it is killed one training later than before."""
    expected = search(FakeBench(best_at(0.5)))
    space = space_of(ROTATE)
    store, found, kills = store_of(space), None, 0
    while found is None:
        fake = FakeBench(best_at(0.5))
        fake.killed_at = kills
        try:
            found = Search(space, fake.bench, SEED).run(TRIALS, store)
        except KeyboardInterrupt:
            kills += 1
    assert found == expected
    assert kills >= 10


def test_killed_between_two_tells_the_search_ends_as_one_that_was_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = search(FakeBench(best_at(0.5)))
    space = space_of(ROTATE)
    store = store_of(space)
    tell = type(store).tell
    left = [0]

    def killed(self: object, trial: Trial) -> None:
        if not left[0]:
            left[0] = 1
            raise KeyboardInterrupt
        left[0] -= 1
        tell(store, trial)

    monkeypatch.setattr(type(store), "tell", killed)
    kills = 0
    while True:
        try:
            found = Search(space, FakeBench(best_at(0.5)).bench, SEED).run(TRIALS, store)
            break
        except KeyboardInterrupt:
            kills += 1
    assert found == expected
    assert kills == TRIALS


def test_a_search_that_is_finished_trains_nothing() -> None:
    space = space_of(ROTATE)
    store = store_of(space)
    expected = Search(space, FakeBench(best_at(0.5)).bench, SEED).run(TRIALS, store)
    again = FakeBench(best_at(0.5))
    assert Search(space, again.bench, SEED).run(TRIALS, store) == expected
    assert again.trained == []
