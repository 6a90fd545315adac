"""A tuning made by hand: half the strength wins against none, and not against what is there."""

from typing import Any

from tasks.studies.statistics import Difference
from tasks.studies.tune.finalists import Finalist
from tasks.studies.tune.trials import Scored, Trial
from tasks.studies.tune.tune import Tuning

NONE_SEEDS = [0.80, 0.82]


def trial(number: int, kind: str, accuracy: float | None, **changes: Any) -> Trial:
    """A trial that went through all rungs; without an accuracy, a hopeless one."""
    if accuracy is None:
        return Trial(number, kind, {}, "hopeless", (), None, 0.3)._replace(**changes)
    rungs = (Scored(5, 1, accuracy - 0.05), Scored(15, 3, accuracy))
    return Trial(number, kind, {}, "complete", rungs, accuracy, 0.9)._replace(**changes)


def pruned(number: int, kind: str, accuracy: float, **changes: Any) -> Trial:
    """A trial that did not get beyond the first rung."""
    rungs = (Scored(5, 1, accuracy),)
    return trial(number, kind, accuracy, state="pruned", rungs=rungs, **changes)


def trials() -> list[Trial]:
    return [
        trial(0, "none", 0.80),
        trial(1, "present", 0.84),
        trial(2, "trivialaugment", None, choice={"variants": 4}),
        pruned(3, "strength", 0.70, choice={"strength": 1.0, "variants": 4}),
        trial(4, "strength", 0.86, choice={"strength": 0.5, "variants": "online"}),
        pruned(5, "randaugment", 0.78, choice={"n": 2, "m": 9, "variants": "online"}),
        trial(6, "strength", 0.82, choice={"strength": 0.2, "variants": 1}),
        pruned(7, "trivialaugment_scaled", 0.78, choice={"variants": "online"}),
    ]


def finalist(
    arm: str, kind: str, difference: float, p: float | None, to_present: float | None
) -> Finalist:
    """With intervals of 2 points to both sides, and seeds that differ by a point."""
    seeds = [one + difference + away for one, away in zip(NONE_SEEDS, (-0.01, 0.01), strict=True)]
    own = None
    if to_present is not None:
        own = Difference(to_present, to_present - 0.02, to_present + 0.02, 0.4)
    ends = (difference - 0.02, difference + 0.02)
    return Finalist(arm, kind, {}, [], 0.81 + difference, difference, *ends, p, own, seeds)


def finalists() -> list[Finalist]:
    none = finalist("none", "none", 0.0, None, -0.03)
    return [
        none._replace(low=0.0, high=0.0, per_seed=NONE_SEEDS),
        finalist("present policy", "present", 0.03, 0.01, None),
        finalist("strength 0.5, online", "strength", 0.04, 0.001, 0.01),
    ]


BLOCK = {
    "augment": {"policy": [{"Rotate": {"limit": 7.5}}, "HorizontalFlip"], "labels": None},
    "train": {"augmentation": "online", "epochs": 15},
}


def tuning(**changes: Any) -> Tuning:
    reason = "keep what is there: strength 0.5, online is not surely better than it"
    found = Tuning(trials(), finalists(), "present policy", reason, {}, 2, 15, 1000, 240)
    return found._replace(**changes)
