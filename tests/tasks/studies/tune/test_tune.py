"""A whole tuning on made-up trainings: the finalists, the answer, JSON, kills by SIGKILL."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pytest

from tasks.studies.trainings.arm import NONE, Arm
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.training import Trained, Training
from tasks.studies.tune.finalists import candidates_of
from tasks.studies.tune.space import Space
from tasks.studies.tune.trials import Store, Trial
from tasks.studies.tune.tune import Tuning, tune
from tests.tasks.studies.tune.fake import (
    IMAGES,
    LABELS,
    ROTATE,
    FakeBench,
    Known,
    best_at,
    space_of,
    store_of,
)

TRIALS = 16


class Data(NamedTuple):
    """What a tuning looks at of a study's data, once trainings are made up."""

    training: range = range(1000)
    labels: np.ndarray = LABELS
    units: np.ndarray = np.arange(IMAGES)


DATA = cast(StudyData, Data())


def tuned(known: Known, space: Space | None = None) -> Tuning:
    space = space or space_of(ROTATE)
    return tune(space, DATA, TRIALS, store_of(space), FakeBench(known).bench)


def harmful(arm: Arm) -> float:
    return 0.8 if arm is NONE else 0.6


def test_a_policy_that_pays_is_the_answer() -> None:
    found = tuned(best_at(0.5))
    winner = found.finalists[-1]
    assert [one.arm for one in found.finalists[:2]] == ["none", "present policy"]
    assert found.answer == winner.arm
    assert winner.kind == "strength"
    assert found.block["augment"]["policy"] == winner.steps
    assert winner.to_present is not None
    assert winner.to_present.mean == pytest.approx(winner.accuracy - found.finalists[1].accuracy)
    assert winner.difference == pytest.approx(winner.accuracy - found.finalists[0].accuracy)


def test_only_harmful_policies_on_offer_the_answer_is_none() -> None:
    found = tuned(harmful)
    assert found.answer == "none"
    assert found.block == {
        "augment": {"policy": [], "variants_per_image": 0},
        "train": {"augmentation": "offline", "epochs": 30},
    }


def test_only_harmful_policies_on_offer_and_none_there_nothing_is_written() -> None:
    found = tuned(harmful, space_of())
    assert (found.answer, found.block) == ("none", {})
    assert found.reason == "keep what is there: no policy of 16 trials is better than none"


def test_where_all_are_alike_what_is_there_is_kept() -> None:
    found = tuned(lambda _: 0.8)
    assert (found.answer, found.block) == ("present policy", {})
    assert found.reason.startswith("keep what is there: ")


def test_finalists_are_trained_on_five_seeds_that_the_search_has_not_used() -> None:
    fake, space = FakeBench(best_at(0.5)), space_of(ROTATE)
    found = tune(space, DATA, TRIALS, store_of(space), fake.bench)
    last = fake.trained[-15:]
    assert [seed for _, seed, _ in last] == [*range(45, 50)] * 3
    assert {epochs for _, _, epochs in last} == {30}
    assert {seed for _, seed, _ in fake.trained[:-15]} == {42, 43, 44}
    assert [len(one.per_seed) for one in found.finalists] == [5, 5, 5]


def test_differences_are_corrected_for_all_pairs() -> None:
    """That of none to the present policy is that of the present policy to none, reversed."""
    none, present, _ = tuned(best_at(0.5)).finalists
    assert none.to_none is None
    assert present.to_present is None
    assert present.to_none is not None
    mean, low, high, p = present.to_none
    assert none.to_present == (-mean, -high, -low, p)


def test_the_best_trial_is_no_third_arm_where_it_shows_what_another_does() -> None:
    space = space_of(ROTATE)
    kinds = [
        candidates_of(trial, space)
        for trial in (
            Trial(0, "none", {}),
            Trial(1, "present", {}),
            Trial(5, "strength", {"strength": 1.0, "variants": 4}),
            Trial(6, "strength", {"strength": 0.5, "variants": 4}),
            None,
        )
    ]
    assert [len(candidates) for candidates in kinds] == [2, 2, 2, 3, 2]


def test_json_is_the_whole_result() -> None:
    found = tuned(best_at(0.5))
    read = json.loads(json.dumps(found.to_json()))
    assert set(read) == set(Tuning._fields)
    assert read["answer"] == found.answer
    for told, trial in zip(read["trials"], found.trials, strict=True):
        assert told["number"] == trial.number + 1  # as in tables
        assert told["accuracy"] == round(trial.accuracy or 0, 6)
        assert [rung["seeds"] for rung in told["rungs"]] == [rung.seeds for rung in trial.rungs]
    winner = read["finalists"][-1]
    assert {"arm", "accuracy", "difference", "low", "high", "p", "steps"} <= set(winner)
    assert set(winner["to_present"]) == {"mean", "low", "high", "p"}
    assert read["finalists"][1]["to_present"] is None
    assert (read["training_images"], read["validation_images"]) == (1000, IMAGES)


# --- kills ------------------------------------------------------------------------------------


class SlowBench(FakeBench):
    """Each training takes a moment, in which its process may be killed."""

    def train(self, training: Training) -> Trained:
        time.sleep(0.02)
        return super().train(training)


def tune_and_write(folder: Path) -> None:
    """What a process does that is killed: a tuning whose trials are kept in SQLite."""
    os.environ["VARIEGATE_CACHE"] = str(folder)
    space = space_of(ROTATE)
    store = Store.open("killed", space)
    found = tune(space, DATA, TRIALS, store, SlowBench(best_at(0.5)).bench)
    (folder / "found.json").write_text(json.dumps(found.to_json()))


@pytest.mark.slow
def test_kills_at_any_time_change_nothing(tmp_path: Path) -> None:
    context: Any = multiprocessing.get_context("fork")
    generator = np.random.default_rng(1)
    kills = 0
    while not (tmp_path / "found.json").exists():
        process = context.Process(target=tune_and_write, args=(tmp_path,))
        process.start()
        # ten at most are killed: of the last ones some may live long enough to finish
        process.join(float(generator.uniform(0.1, 1.2)) if kills < 10 else None)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
    assert kills >= 5
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == json.loads(json.dumps(tuned(best_at(0.5)).to_json()))
