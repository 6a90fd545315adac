"""Ablate: train each arm with the same seeds, hold it against `none`, and say whether it pays."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from tasks.common import events
from tasks.studies.ablate.comparison import Compared, OfClass, Outcome, compare_arms
from tasks.studies.ablate.verdicts import (
    Evidence,
    still_falls,
    underfits,
    verdict,
    worthwhile_gain,
)
from tasks.studies.guessing import guessing
from tasks.studies.numbers import rounded
from tasks.studies.statistics import LEVEL, seeds_needed
from tasks.studies.trainings.affinity import affinities
from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.running import run_trainings
from tasks.studies.trainings.training import Training


class ClassFinding(NamedTuple):
    """Accuracy on the images of one class, and its difference to that of `none`, as fractions.

    `harmed`: whether the class loses, with a p-value that holds for all classes of all arms.
    """

    accuracy: float
    difference: float
    low: float
    high: float
    harmed: bool

    @classmethod
    def of(cls, found: OfClass) -> "ClassFinding":
        """What was found of a class, for reports."""
        difference = found.difference
        return cls(found.accuracy, *difference[:3], found.harmed)


class ArmFinding(NamedTuple):
    """What an arm does, as fractions; differences are to the arm `none`, with 95% intervals.

    `steps`: its policy, as YAML has it. `p`: Holm's, over the arms; None of `none`. `verdict`: in
    words, see verdicts.py; empty of `none`. `affinity`: accuracy of the models of `none` on
    validation images that the arm changed, over that on these as they are. `diversity`: the last
    training loss over that of `none`; NaN where no training ended. `per_seed`: accuracies.
    `falling`: whether the training loss still falls. `classes`: those with validation images.
    """

    arm: str
    steps: list[Any]
    accuracy: float
    difference: float
    low: float
    high: float
    p: float | None
    verdict: str
    affinity: float
    diversity: float
    per_seed: list[float]
    falling: bool
    classes: dict[str, ClassFinding]

    def to_json(self) -> dict[str, Any]:
        """All of it, for programs: numbers as fractions."""
        classes = {label: rounded(one._asdict()) for label, one in self.classes.items()}
        return {**rounded(self._asdict()), "classes": classes}


class Ablation(NamedTuple):
    """What an ablation found.

    `arms`: `none` first. `epochs`: of each training, which show each image once. `curves`: the mean
    training loss by epoch, by the arms' names. `warning`: see guessing.py.
    """

    arms: list[ArmFinding]
    seeds: int
    epochs: int
    training_images: int
    validation_images: int
    curves: dict[str, list[float]]
    warning: str = ""

    def to_json(self) -> dict[str, Any]:
        """The arms, how they were trained, and on how many images they were judged."""
        arms = [arm.to_json() for arm in self.arms]
        return {**self._asdict(), "arms": arms, "curves": rounded(self.curves)}


def ablate(arms: Sequence[Arm], data: StudyData, seeds: int, epochs: int) -> Ablation:
    """Train each arm with the same seeds, and judge it.

    Args:
        arms: `none` first.
        data: of the study.
        seeds: how many, 2 or more: from train.seed on.
        epochs: of each training.
    """
    events.say(f"training {len(arms)} arms with {seeds} seeds each")
    numbers = [data.params.seed + number for number in range(seeds)]
    # seed by seed, so that the time left is that of all arms, of which some take longer
    trainings = [Training(arm, seed, epochs) for seed, arm in product(numbers, arms)]
    trained = run_trainings(trainings, data, "training")
    outcomes = [Outcome.of(arm, trained[at :: len(arms)], data) for at, arm in enumerate(arms)]
    known = affinities(arms, trainings[:: len(arms)], data)
    return Ablation(
        list(judge(outcomes, known, data)),
        seeds,
        epochs,
        len(data.training),
        len(data.labels),
        {one.arm.name: one.losses.tolist() for one in outcomes},
        guessing(float(outcomes[0].correct.mean()), data.labels, data.units),
    )


def judge(
    outcomes: Sequence[Outcome], known: Sequence[float], data: StudyData
) -> Iterator[ArmFinding]:
    """What each arm does, against the first, which is `none`; `known`: their affinities."""
    clean, compared = outcomes[0], compare_arms(outcomes, data)
    verdicts = ["", *_verdicts(compared[1:], clean, data)]
    for one, in_words, affinity in zip(compared, verdicts, known, strict=True):
        outcome, difference = one.outcome, one.difference
        yield ArmFinding(
            arm=outcome.arm.name,
            steps=[] if outcome.arm.augment is None else outcome.arm.augment.policy,
            accuracy=float(outcome.correct.mean()),
            difference=difference.mean,
            low=difference.low,
            high=difference.high,
            p=difference.p if in_words else None,
            verdict=in_words,
            affinity=affinity,
            diversity=float(outcome.losses[-1] / clean.losses[-1]),
            per_seed=outcome.correct.mean(axis=1).tolist(),
            falling=still_falls(outcome.losses),
            classes={label: ClassFinding.of(its) for label, its in one.classes.items()},
        )


def _verdicts(compared: Sequence[Compared], clean: Outcome, data: StudyData) -> Iterator[str]:
    """In words, see verdicts.py."""
    gain = worthwhile_gain(float(clean.correct.mean()), len(data.labels))
    unseen = float(clean.unseen_losses.min())
    # those that are decided are no hurdle for the others: so Holm's procedure has it
    level = LEVEL / max(1, sum(one.difference.p >= LEVEL for one in compared))
    for one in compared:
        is_underfit = underfits(one.outcome.original_loss, unseen)
        more = seeds_needed(one.outcome.correct, clean.correct, data.units, level, gain)
        yield verdict(Evidence(one.difference, gain, is_underfit, one.harmed, more))
