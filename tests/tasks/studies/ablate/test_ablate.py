"""What is found of trainings that were made up: who pays, who is harmed, what is undecided."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.model.images import InputForm
from tasks.pixels.preprocess import AS_DECODED
from tasks.studies.ablate import ablate as ablation
from tasks.studies.ablate.ablate import Ablation, ArmFinding, ablate
from tasks.studies.trainings.arm import NONE, Arm
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.training import NO_CLASS, Trained, Training
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams

IMAGES, CLASSES, SEEDS, EPOCHS = 1000, 4, 5, 8
LABELS = np.arange(IMAGES) % CLASSES
FALLING, FLAT = np.linspace(2.0, 1.6, EPOCHS), 2 * 0.5 ** np.arange(EPOCHS)
AUGMENT = AugmentParams(variants_per_image=1, policy=["RandomGamma"])


def trained(wrong: np.ndarray, losses: np.ndarray = FLAT, failed: str = "") -> Trained:
    """A training that names the images `wrong` as another class; models validate at 0.5."""
    predicted = np.where(wrong, (LABELS + 1) % CLASSES, LABELS)
    unseen, accuracies = np.full(EPOCHS, 0.5), np.full(EPOCHS, 0.8)
    return Trained(predicted, losses, unseen, accuracies, float(losses[-1]), failed)


class Study:
    """Trainings by the names of their arms, in the place of real ones."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trainings: dict[str, list[Trained]] = {}
        self.asked: list[Training] = []
        monkeypatch.setattr(ablation, "run_trainings", self.run)
        monkeypatch.setattr(ablation, "affinities", lambda arms, clean, data: [1.0] * len(arms))

    def run(self, trainings: list[Training], data: StudyData, what: str) -> list[Trained]:
        self.asked = list(trainings)
        return [self.trainings[one.arm.name][one.seed - data.params.seed] for one in trainings]

    def add(self, name: str, shares: Any, losses: np.ndarray = FLAT, luck: int = 0) -> None:
        """An arm that has each class wrong in a share of its images, by chance of the seed."""
        draws = (np.random.default_rng((luck, seed)).random(IMAGES) for seed in range(SEEDS))
        limits = np.broadcast_to(shares, CLASSES)[LABELS]
        self.trainings[name] = [trained(one < limits, losses) for one in draws]

    def ablate(self, labels: np.ndarray = LABELS, seeds: int = SEEDS) -> Ablation:
        data = StudyData(
            pd.DataFrame(index=range(700)),
            pd.DataFrame(index=range(IMAGES)),
            [f"class {number}" for number in range(CLASSES)],
            TrainParams(seed=7),
            labels,
            np.arange(IMAGES),
            InputForm(8, "squeeze", AS_DECODED),
        )
        arms = [NONE, *(Arm(name, AUGMENT, 1) for name in self.trainings if name != "none")]
        return ablate(arms, data, seeds, EPOCHS)

    def found(self) -> dict[str, ArmFinding]:
        return {one.arm: one for one in self.ablate().arms}


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    made = Study(monkeypatch)
    made.add("none", 0.2)
    return made


def test_arms_are_held_against_none(study: Study) -> None:
    study.add("better", 0.1)
    study.add("worse", 0.3)
    study.add("same", 0.2)
    study.add("alike", 0.195, luck=1)
    found = study.found()
    assert {name: one.verdict for name, one in found.items()} == {
        "none": "", "better": "pays", "worse": "does not pay",
        "same": "undecided: 0.2 points to gain at most",
        "alike": "undecided: 32 more seeds would tell",
    }  # fmt: skip
    better = found["better"]
    assert better.difference == pytest.approx(better.accuracy - found["none"].accuracy)
    assert better.low < better.difference < better.high
    assert better.accuracy == pytest.approx(np.mean(better.per_seed))
    assert better.steps == ["RandomGamma"] and found["none"].steps == []
    assert found["none"].p is None and found["none"].difference == 0


def test_all_arms_have_the_same_seeds_from_that_of_training_on(study: Study) -> None:
    study.add("all", 0.2)
    made = study.ablate()
    assert [(one.arm.name, one.seed) for one in study.asked] == [
        (name, seed) for seed in range(7, 7 + SEEDS) for name in ("none", "all")
    ]
    assert {one.epochs for one in study.asked} == {EPOCHS}
    assert made[1:5] == (SEEDS, EPOCHS, 700, IMAGES)
    assert made.curves == {"none": FLAT.tolist(), "all": FLAT.tolist()}


def test_a_class_that_loses_is_told_though_the_others_gain(study: Study) -> None:
    study.add("paying", [0.05, 0.05, 0.05, 0.35])
    study.add("no gain", [0.15, 0.15, 0.15, 0.35])
    found = study.found()
    assert found["paying"].verdict == "pays, but harms class class 3"
    assert found["no gain"].verdict == "harms class class 3"
    of_class = found["paying"].classes
    assert [one.harmed for one in of_class.values()] == [False, False, False, True]
    assert of_class["class 3"].difference == pytest.approx(-0.15, abs=0.03)
    assert not any(one.harmed for one in found["none"].classes.values())


def test_models_that_do_not_even_know_their_own_images_had_too_much(study: Study) -> None:
    study.add("strong", 0.4, FALLING)
    study.add("mild", 0.3, FLAT + 0.3)
    found = study.found()
    assert found["strong"].verdict == "too much: underfitting, train longer or weaken it"
    assert found["mild"].verdict == "does not pay"
    assert (found["strong"].falling, found["mild"].falling) == (True, False)
    assert found["strong"].diversity == pytest.approx(1.6 / FLAT[-1])
    assert found["none"].diversity == 1


def test_a_training_that_failed_is_right_nowhere_and_has_no_loss(study: Study) -> None:
    study.add("wild", 0.2)
    unknown = [np.full(EPOCHS, np.nan)] * 3
    lost = Trained(np.full(IMAGES, NO_CLASS), *unknown, np.nan, "it left all bounds")
    study.trainings["wild"][0] = lost
    assert study.found()["wild"].diversity == 1
    study.trainings["wild"] = [lost] * SEEDS
    made = study.ablate()
    assert made.arms[1].accuracy == 0
    assert made.arms[1].verdict == "does not pay"
    in_json = json.loads(json.dumps(made.to_json(), allow_nan=False))
    assert in_json["arms"][1]["diversity"] is None


def test_classes_without_validation_images_are_named(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    study.add("all", 0.1)
    made = study.ablate(np.minimum(LABELS, 2))
    assert list(made.arms[1].classes) == ["class 0", "class 1", "class 2"]
    expected = (
        "training 2 arms with 5 seeds each\n"
        "nothing can be told of classes without a validation image: 'class 3'\n"
    )
    assert capsys.readouterr().out == expected


def test_json_has_what_programs_need(study: Study) -> None:
    study.add("all", 0.1)
    made = study.ablate().to_json()
    assert list(made) == [
        "arms", "seeds", "epochs", "training_images", "validation_images", "curves",
        "warning",
    ]  # fmt: skip
    none, policy = made["arms"]
    assert list(policy) == [
        "arm", "steps", "accuracy", "difference", "low", "high", "p", "verdict", "affinity",
        "diversity", "per_seed", "falling", "classes",
    ]  # fmt: skip
    assert list(policy["classes"]["class 0"]) == [
        "accuracy", "difference", "low", "high", "harmed",
    ]  # fmt: skip
    assert none["p"] is None and none["difference"] == 0
    assert policy["difference"] == round(policy["accuracy"] - none["accuracy"], 6)
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_the_same_bytes_each_time(study: Study) -> None:
    study.add("all", 0.19)
    assert json.dumps(study.ablate().to_json()) == json.dumps(study.ablate().to_json())


def test_of_few_seeds_no_class_is_said_to_lose(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    study.add("all", [0.05, 0.05, 0.05, 0.6])
    few = study.ablate(seeds=3)
    assert not any(its.harmed for its in few.arms[1].classes.values())
    assert "whether single classes lose is not told: needs 4 seeds, found 3\n" in (
        capsys.readouterr().out
    )
    assert study.ablate(seeds=4).arms[1].classes["class 3"].harmed
