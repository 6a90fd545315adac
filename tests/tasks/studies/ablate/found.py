"""An ablation made by hand: geometry pays, the whole policy harms 9, tone is undecided."""

from typing import Any

from tasks.studies.ablate.ablate import Ablation, ArmFinding, ClassFinding

NONE_SEEDS = [0.82, 0.83, 0.84]
CLASSES = {"0": 0.9, "6": 0.8, "9": 0.79}
ROTATE: list[Any] = [{"Rotate": {"limit": 15}}]
TONE: list[Any] = ["RandomGamma"]


def classes_of(difference: float, harmed: str = "") -> dict[str, ClassFinding]:
    """Classes that all gain the same, but that are harmed: they lose 20 points."""
    changes = {label: -0.2 if label in harmed else difference for label in CLASSES}
    return {
        label: ClassFinding(before + change, change, change - 0.02, change + 0.02, label in harmed)
        for (label, before), change in zip(CLASSES.items(), changes.values(), strict=True)
    }


def arm(name: str, difference: float, verdict: str, **changes: Any) -> ArmFinding:
    """An arm with an interval of 1 point to both sides, and seeds that differ by half of it."""
    seeds = [
        one + difference + away for one, away in zip(NONE_SEEDS, (-0.005, 0, 0.005), strict=True)
    ]
    finding = ArmFinding(
        arm=name,
        steps=ROTATE,
        accuracy=0.83 + difference,
        difference=difference,
        low=difference - 0.01,
        high=difference + 0.01,
        p=0.004,
        verdict=verdict,
        affinity=0.95,
        diversity=1.5,
        per_seed=seeds,
        falling=False,
        classes=classes_of(difference),
    )
    return finding._replace(**changes)


NONE = ArmFinding(
    "none", [], 0.83, 0.0, 0.0, 0.0, None, "", 1.0, 1.0, NONE_SEEDS, False, classes_of(0.0)
)  # fmt: skip


def ablation(*arms: ArmFinding, **changes: Any) -> Ablation:
    """An ablation of `none` and these arms."""
    curves = {one.arm: [2.0, 1.0, 0.5 * one.diversity] for one in (NONE, *arms)}
    return Ablation([NONE, *arms], 3, 3, 1000, 240, curves)._replace(**changes)


def digits() -> Ablation:
    undecided = "undecided: 12 more seeds would tell"
    much = "too much: underfitting, train longer or weaken it"
    harmed = classes_of(0.03, "9")
    return ablation(
        arm("geometry alone", 0.03, "pays"),
        arm("tone alone", 0.002, undecided, steps=TONE, affinity=0.99, diversity=1.05, p=0.61),
        arm("all", 0.011, "pays, but harms class 9", affinity=0.9, diversity=1.8, classes=harmed),
        arm("trivialaugment", -0.16, much, affinity=0.5, diversity=4.0, falling=True),
    )
