"""Trainings made up: accuracy is a known function of what an arm shows, and a little of chance."""

from collections.abc import Callable, Sequence

import numpy as np
import optuna

from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.presentations import Presentations
from tasks.studies.trainings.training import Trained, Training
from tasks.studies.tune.search import Bench
from tasks.studies.tune.space import Space
from tasks.studies.tune.trials import Store
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams

IMAGES, CLASSES = 400, 4
LABELS = np.arange(IMAGES) % CLASSES
UNITS = np.arange(IMAGES)
ROTATE = {"Rotate": {"limit": [-40, 40]}}
Known = Callable[[Arm], float]


def space_of(*steps: object, variants: int | None = 4, epochs: int = 30, **train: object) -> Space:
    """The space around a policy."""
    block = {"variants_per_image": 4, "policy": list(steps)}
    params = TrainParams.model_validate({"augmentation": "offline", **train})
    shown = Presentations(variants, epochs)
    return Space(AugmentParams.model_validate(block), params, shown)


def degrees(arm: Arm) -> float | None:
    """By how much an arm rotates; None where it does something else."""
    [step] = arm.augment.policy if arm.augment else [{"Rotate": {"limit": [0, 0]}}]
    return float(step["Rotate"]["limit"][1]) if "Rotate" in step else None


def best_at(strength: float, none: float = 0.7) -> Known:
    """The accuracy is highest at a strength of ROTATE, by 20 points; published policies harm."""

    def known(arm: Arm) -> float:
        turned = degrees(arm)
        if turned is None:
            return none - 0.2
        away = abs(turned / 40 - strength)
        return none + 0.2 * max(1 - away / strength, -1) if turned else none

    return known


class FakeBench:
    """Trainings whose accuracies are known; it counts them, and may be killed at one of them."""

    def __init__(self, known: Known, affinity: Known = lambda _: 1.0) -> None:
        self.known, self.affinity = known, affinity
        self.trained: list[tuple[str, int, int]] = []
        self.killed_at: int | None = None

    @property
    def bench(self) -> Bench:
        return Bench(self.run, self.affinities, LABELS, UNITS, CLASSES)

    def run(self, trainings: Sequence[Training], what: str) -> list[Trained]:
        return [self.train(training) for training in trainings]

    def train(self, training: Training) -> Trained:
        """A training whose mistakes hang on nothing but the training."""
        if self.killed_at is not None:
            if self.killed_at == 0:
                raise KeyboardInterrupt
            self.killed_at -= 1
        self.trained.append((training.arm.name, training.seed, training.epochs))
        name = int.from_bytes(training.arm.name.encode(), "big")
        drawn = np.random.default_rng([name, training.seed, training.epochs]).random(IMAGES)
        right = drawn < self.known(training.arm)
        nothing = np.zeros(1)
        return Trained(np.where(right, LABELS, LABELS + 1), nothing, nothing, nothing, 0.0)

    def affinities(self, arms: Sequence[Arm], clean: Sequence[Training]) -> list[float]:
        return [self.affinity(arm) for arm in arms]


def store_of(space: Space) -> Store:
    """A store in memory, which outlives searches as the database does."""
    return Store(optuna.create_study(direction="maximize"), space)
