"""Trainings give the same whatever the number of workers, and are run once."""

from collections.abc import Callable

import numpy as np
import pytest

from tasks.common.errors import UserError
from tasks.studies.trainings import running
from tasks.studies.trainings.affinity import affinities
from tasks.studies.trainings.arm import NONE, Arm
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.running import run_trainings
from tasks.studies.trainings.training import NO_CLASS, Result, Trained, Training, run_training
from tasks.train.feed import Feed
from tests.tasks.studies.trainings.drawn import (
    FLIPPED,
    PARAMS,
    POOLED,
    TURNED,
    arm,
    kept_files,
    study,
)

ARMS = (NONE, TURNED, POOLED)
TRAININGS = [Training(arm, seed, 2) for arm in ARMS for seed in (1, 2)]


def as_bytes(trained: list[Trained]) -> list[list[bytes]]:
    return [[part.tobytes() for part in one[:4]] for one in trained]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> list[Training]:
    """The trainings that were run, not read."""
    found: list[Training] = []

    def counted(training: Training, data: StudyData) -> Result:
        found.append(training)
        return run_training(training, data)

    monkeypatch.setattr(running, "run_training", counted)
    return found


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = study()
    alone = run_trainings(TRAININGS, data, "training")
    affinity = affinities(ARMS, TRAININGS[:2], data)
    for path in kept_files():
        path.unlink()
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    assert as_bytes(run_trainings(TRAININGS, data, "training")) == as_bytes(alone)
    assert affinities(ARMS, TRAININGS[:2], data) == affinity


def test_an_interrupted_study_runs_what_is_left_and_ends_the_same(
    run: list[Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = study()
    whole = run_trainings(TRAININGS, data, "training")
    for path in kept_files():
        path.unlink()
    run.clear()
    keep = running.keep_result

    def keep_until_the_third(key: str, result: Result) -> None:
        if len(run) == 3:
            raise KeyboardInterrupt
        keep(key, result)

    monkeypatch.setattr(running, "keep_result", keep_until_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_trainings(TRAININGS, data, "training")
    monkeypatch.setattr(running, "keep_result", keep)
    run.clear()
    assert as_bytes(run_trainings(TRAININGS, data, "training")) == as_bytes(whole)
    assert run == TRAININGS[2:]
    run_trainings(TRAININGS, data, "training")
    assert len(run) == 4


def test_equal_trainings_are_run_once_whatever_their_arms_are_called(run: list[Training]) -> None:
    data = study()
    other = Training(TURNED._replace(name="other"), 1, 2)
    one, two = run_trainings([Training(TURNED, 1, 2), other], data, "training")
    assert as_bytes([one]) == as_bytes([two])
    assert len(run) == 1


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:200], lambda data: b"", lambda data: data.replace(b"\0" * 8, b"\1" * 8)],
    ids=["cut", "empty", "changed"],
)
def test_a_damaged_result_is_made_anew(
    damage: Callable[[bytes], bytes], run: list[Training]
) -> None:
    data = study()
    before = run_trainings(TRAININGS[:1], data, "training")
    (path,) = kept_files()
    path.write_bytes(damage(path.read_bytes()))
    assert as_bytes(run_trainings(TRAININGS[:1], data, "training")) == as_bytes(before)
    assert len(run) == 2


def changed(data: StudyData) -> list[tuple[StudyData, Training]]:
    """Trainings that each differ in one thing from the first."""
    first = Training(TURNED, 1, 2)
    relabelled = data.training.assign(label=data.training["label"].iloc[::-1].to_numpy())
    return [
        (data, first),
        (data, first._replace(seed=2)),
        (data, first._replace(epochs=3)),
        (data, first._replace(arm=NONE)),
        (data, first._replace(arm=POOLED)),
        (data, first._replace(arm=POOLED._replace(variants=2))),
        (data, first._replace(arm=FLIPPED)),
        (data._replace(params=PARAMS.model_copy(update={"learning_rate": 0.1})), first),
        (data._replace(form=data.form._replace(size=9)), first),
        (data._replace(training=relabelled), first),
        (data._replace(training=data.training[:-1]), first),
        (data._replace(validation=data.validation[:-1]), first),
    ]


def test_all_that_decides_a_training_is_in_its_key() -> None:
    keys = [running.Keys(data).of(training) for data, training in changed(study())]
    assert len(set(keys)) == len(keys)


def test_what_a_study_decides_itself_is_in_no_key() -> None:
    data = study()
    same = data._replace(
        params=PARAMS.model_copy(
            update={"seed": 9, "epochs": 9, "threads": 9, "patience": 1, "augmentation": "both"}
        )
    )
    training = Training(TURNED, 1, 2)
    assert running.Keys(same).of(training) == running.Keys(data).of(training)


@pytest.mark.parametrize("balance", ["none", "sampler"])
def test_all_arms_show_their_images_in_one_order(
    balance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[list[list[int]]] = []
    epoch = Feed.epoch

    def noted(self: Feed, number: int, batch_size: int, seed: int, first: int = 0):
        for images, labels in epoch(self, number, batch_size, seed, first):
            orders[-1].append(labels.tolist())
            yield images, labels

    monkeypatch.setattr(Feed, "epoch", noted)
    data = study(balance=balance)
    shown = []
    for one in ARMS:
        orders.append([])
        run_training(Training(one, 3, 2), data)
        shown.append(len(orders[-1]))
    assert orders[0] == orders[1] == orders[2]
    assert shown == [6, 6, 6]


def diverging() -> StudyData:
    return study(learning_rate=100.0, schedule="constant", weight_decay=100.0)


def fails(monkeypatch: pytest.MonkeyPatch, failing: Arm) -> None:
    """Trainings of one arm have a learning rate with which they leave all bounds."""

    def run(training: Training, data: StudyData) -> Result:
        return run_training(training, diverging() if training.arm is failing else data)

    monkeypatch.setattr(running, "run_training", run)


LEFT_ALL_BOUNDS = "params.yaml train: the "


def test_a_training_that_fails_is_told_and_right_nowhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(monkeypatch, TURNED)
    data = study()
    trainings = [Training(NONE, 1, 30), Training(TURNED, 1, 30)]
    clean, failed = run_trainings(trainings, data, "training")
    assert clean.failed == ""
    assert failed.failed.startswith(LEFT_ALL_BOUNDS)
    assert failed.predicted.tolist() == [NO_CLASS] * len(data.labels)
    assert failed.validation_accuracies.shape == (30,)
    assert np.isnan(failed.train_losses).all()
    line = f"warning: {TURNED.name}, seed 1: counts as right nowhere: {failed.failed}"
    assert capsys.readouterr().out.splitlines()[-1] == line
    again = run_trainings(trainings, data, "training")
    assert as_bytes(again) == as_bytes([clean, failed])
    assert again[1].failed == failed.failed


def test_where_originals_alone_fail_the_study_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    fails(monkeypatch, NONE)
    with pytest.raises(UserError, match=f"^{LEFT_ALL_BOUNDS}"):
        run_trainings([Training(NONE, 1, 30)], study(), "training")


def test_affinity_is_the_accuracy_on_augmented_over_that_on_clean_images() -> None:
    data = study()
    clean = [Training(NONE, seed, 12) for seed in (1, 2)]
    models = run_trainings(clean, data, "training")
    untouched = arm([{"HorizontalFlip": {"p": 0.0}}], distinct=False)
    rule = {"classes": "*", "relabel": {"HorizontalFlip": {"left": "right", "right": "left"}}}
    relabelled = arm([{"HorizontalFlip": {"p": 1.0}}], distinct=False, labels=[rule])
    none, same, flipped, renamed = affinities([NONE, untouched, FLIPPED, relabelled], clean, data)
    assert (none, same) == (1.0, 1.0)
    right = np.mean([model.predicted == data.labels for model in models])
    # of two classes: what is wrong for the old label is right for the new one
    assert flipped * right + renamed * right == pytest.approx(1.0)
    assert flipped < 0.5 < renamed
