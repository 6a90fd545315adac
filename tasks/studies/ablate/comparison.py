"""Comparison of each arm with `none`: over all validation images, and over those of each class."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from tasks.common import events
from tasks.dataset.selections import names_in_words
from tasks.studies.statistics import LEVEL, Difference, compare, holm
from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.training import Trained

NO_DIFFERENCE = Difference(0.0, 0.0, 0.0, 1.0)
# Of fewer seeds some agree by chance, where models name one class for all images.
LEAST_SEEDS_FOR_CLASSES = 4


class Outcome(NamedTuple):
    """What the trainings of an arm gave.

    `correct`: which validation images are right, bool (seeds, images). `losses`, `unseen_losses`:
    of training and validation by epoch, float (epochs,). `original_loss`: of the models on the
    training originals. Losses are means over the seeds whose training ended.
    """

    arm: Arm
    correct: np.ndarray
    losses: np.ndarray
    unseen_losses: np.ndarray
    original_loss: float

    @classmethod
    def of(cls, arm: Arm, trained: Sequence[Trained], data: StudyData) -> "Outcome":
        """`trained`: one of each seed."""
        ended = [one for one in trained if not one.failed] or trained
        return cls(
            arm,
            np.array([one.predicted == data.labels for one in trained]),
            np.mean([one.train_losses for one in ended], axis=0),
            np.mean([one.validation_losses for one in ended], axis=0),
            float(np.mean([one.original_loss for one in ended])),
        )


class OfClass(NamedTuple):
    """An arm on the images of one class.

    `difference`: to `none`, with Holm's p-value, one-sided: of losses.
    """

    accuracy: float
    difference: Difference

    @property
    def harmed(self) -> bool:
        """Whether the class loses."""
        return self.difference.mean < 0 and self.difference.p < LEVEL


class Compared(NamedTuple):
    """An arm against `none`; p-values are Holm's, over all arms, and over all classes of all arms.

    `classes`: those with validation images.
    """

    outcome: Outcome
    difference: Difference
    classes: dict[str, OfClass]

    @property
    def harmed(self) -> list[str]:
        """The classes that lose, the worst first."""
        harmed = [label for label, its in self.classes.items() if its.harmed]
        return sorted(harmed, key=lambda label: self.classes[label].difference.mean)


def compare_arms(outcomes: Sequence[Outcome], data: StudyData) -> list[Compared]:
    """Each arm against the first, which is `none`."""
    clean, *others = outcomes
    overall = [compare(one.correct, clean.correct, data.units) for one in others]
    rows = _rows_of_classes(data)
    of_classes = [
        _as_loss(compare(one.correct[:, its], clean.correct[:, its], data.units[its]))
        for one, its in product(others, rows.values())
    ]
    seeds = len(clean.correct)
    if seeds < LEAST_SEEDS_FOR_CLASSES:
        need = f"needs {LEAST_SEEDS_FOR_CLASSES} seeds, found {seeds}"
        events.say(f"whether single classes lose is not told: {need}")
        of_classes = [one._replace(p=1.0) for one in of_classes]
    differences = [NO_DIFFERENCE, *_corrected(overall)]
    by_class = iter([*[NO_DIFFERENCE] * len(rows), *_corrected(of_classes)])
    found = []
    for outcome, difference in zip(outcomes, differences, strict=True):
        classes = {
            label: OfClass(float(outcome.correct[:, its].mean()), next(by_class))
            for label, its in rows.items()
        }
        found.append(Compared(outcome, difference, classes))
    return found


def _as_loss(found: Difference) -> Difference:
    """With the one-sided p-value: of a class only a loss is asked for."""
    return found._replace(p=found.p / 2 if found.mean < 0 else 1 - found.p / 2)


def _corrected(differences: Sequence[Difference]) -> list[Difference]:
    """With p-values that hold for all of them together."""
    p_values = holm([one.p for one in differences])
    return [one._replace(p=p) for one, p in zip(differences, p_values, strict=True)]


def _rows_of_classes(data: StudyData) -> dict[str, np.ndarray]:
    """Which validation images show each class; one line names those that none shows."""
    rows = {label: np.flatnonzero(data.labels == at) for at, label in enumerate(data.classes)}
    missing = [label for label, its in rows.items() if not len(its)]
    if missing:
        events.say(
            f"nothing can be told of classes without a validation image: {names_in_words(missing)}"
        )
    return {label: its for label, its in rows.items() if len(its)}
