"""Finalists: `none`, the present policy and the best trial, trained again and compared in pairs."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from tasks.studies.statistics import Difference, compare, holm
from tasks.studies.trainings.arm import NONE, Arm
from tasks.studies.trainings.training import Training
from tasks.studies.tune.search import Bench
from tasks.studies.tune.space import PRESENT, Choice, Space, arm_of
from tasks.studies.tune.trials import Trial


class Finalist(NamedTuple):
    """An arm that was trained again on the fresh seeds.

    `kind`, `choice`: see space.py. `accuracy`: the mean over the seeds. `difference`, `low`,
    `high`, `p`: to `none`; no p-value of `none` itself. `to_present`: to the present policy; None
    of itself, and where training shows originals alone as it is. All p-values are Holm's.
    `per_seed`: accuracies.
    """

    arm: str
    kind: str
    choice: Choice
    steps: list[Any]
    accuracy: float
    difference: float
    low: float
    high: float
    p: float | None
    to_present: Difference | None
    per_seed: list[float]

    @property
    def to_none(self) -> Difference | None:
        """The difference to `none`; None of itself."""
        if self.p is None:
            return None
        return Difference(self.difference, self.low, self.high, self.p)


class Candidate(NamedTuple):
    """What may be the answer."""

    kind: str
    choice: Choice
    arm: Arm


def candidates_of(best: Trial | None, space: Space) -> list[Candidate]:
    """`none`, the present policy where it is another, and the best trial where it is a third."""
    found = [Candidate("none", {}, NONE)]
    if not space.present_is_none:
        found.append(Candidate("present", {}, arm_of("present", {}, space)))
    if best is not None:
        arm = arm_of(best.kind, best.choice, space)
        shown = [(one.arm.augment, one.arm.variants) for one in found]  # whatever it is called
        if (arm.augment, arm.variants) not in shown:
            found.append(Candidate(best.kind, best.choice, arm))
    return found


class Final(NamedTuple):
    """Some arms, to be trained on the same seeds and compared in pairs."""

    candidates: list[Candidate]
    space: Space
    bench: Bench

    def run(self, seeds: Sequence[int]) -> list[Finalist]:
        """The arms in order, with what was found of them."""
        correct = self._correct(seeds)
        pairs = [(one, other) for other, one in combinations(correct, 2)]
        compared = [compare(correct[one], correct[other], self.bench.units) for one, other in pairs]
        corrected = holm([difference.p for difference in compared])
        found = {
            pair: difference._replace(p=p)
            for pair, difference, p in zip(pairs, compared, corrected, strict=True)
        }
        return [_finalist(one, correct[one.arm.name], found) for one in self.candidates]

    def _correct(self, seeds: Sequence[int]) -> dict[str, np.ndarray]:
        """Of each arm, which images its models got right: bool (seeds, images)."""
        arms = [candidate.arm for candidate in self.candidates]
        trainings = [
            Training(arm, seed, self.space.shown.epochs) for arm, seed in product(arms, seeds)
        ]
        trained = self.bench.run(trainings, "the best, none and the present policy, again")
        right = np.stack([one.predicted == self.bench.labels for one in trained])
        by_arm = right.reshape(len(arms), len(seeds), -1)
        return {arm.name: its for arm, its in zip(arms, by_arm, strict=True)}


def _finalist(
    candidate: Candidate, correct: np.ndarray, found: Mapping[tuple[str, str], Difference]
) -> Finalist:
    """`found`: the differences of pairs of arms, of the first to the second."""
    name, augment = candidate.arm.name, candidate.arm.augment
    to_none = found.get((name, NONE.name))
    to_present = found.get((name, PRESENT))
    if name == NONE.name and (PRESENT, NONE.name) in found:
        to_present = _reversed(found[PRESENT, NONE.name])
    per_seed = [float(share) for share in correct.mean(axis=1)]
    mean, low, high = to_none[:3] if to_none else (0.0, 0.0, 0.0)
    return Finalist(
        arm=name,
        kind=candidate.kind,
        choice=candidate.choice,
        steps=augment.policy if augment else [],
        accuracy=float(correct.mean()),
        difference=mean,
        low=low,
        high=high,
        p=to_none.p if to_none else None,
        to_present=to_present,
        per_seed=per_seed,
    )


def _reversed(difference: Difference) -> Difference:
    """Without the sign of -0.0."""
    low, mean, high = (0.0 - end for end in (difference.high, difference.mean, difference.low))
    return Difference(mean, low, high, difference.p)
