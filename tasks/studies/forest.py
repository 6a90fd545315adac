"""Forest plots: differences of arms to a reference with their intervals and single seeds."""

from collections.abc import Sequence
from typing import NamedTuple

from tasks.studies.charts import Scale, Shape, Tick
from tasks.studies.numbers import interval, points

WIDTH, HEIGHT = 300, 30  # of a row, pixels
MARGIN = 10  # at both ends, so that no mark is cut


class Compared(NamedTuple):
    """An arm against the reference; differences of accuracies, as fractions.

    `seeds`: the difference of each seed. `told`: whether the difference is told from chance.
    """

    name: str
    accuracy: float
    difference: float
    low: float
    high: float
    seeds: Sequence[float]
    told: bool
    verdict: str


class Bar(NamedTuple):
    """What is drawn of an arm: places across, in pixels, and in words what they are."""

    at: float
    low: float
    high: float
    seeds: list[float]
    shape: Shape
    style: str
    title: str


class Row(NamedTuple):
    """A row of the table that a forest plot is."""

    arm: Compared
    bar: Bar


class Forest(NamedTuple):
    """A forest plot. `reference`: its name; `zero`: where no difference is, in per cent."""

    reference: str
    accuracy: float
    rows: list[Row]
    ticks: list[Tick]
    zero: float


def forest(reference: str, accuracy: float, arms: Sequence[Compared]) -> Forest:
    """The plot of these arms, in their order. `accuracy`: of the reference."""
    ends = [0.0]
    for arm in arms:
        ends += [100 * value for value in (arm.low, arm.high, *arm.seeds)]
    scale = Scale.over(ends, WIDTH - 2 * MARGIN)
    ticks = [tick._replace(at=tick.at + MARGIN) for tick in scale.ticks(sign=True)]
    zero = round(100 * (scale.at(0.0) + MARGIN) / WIDTH, 2)
    return Forest(reference, accuracy, [Row(arm, _bar(arm, scale)) for arm in arms], ticks, zero)


def _bar(arm: Compared, scale: Scale) -> Bar:
    def place(difference: float) -> float:
        return round(scale.at(100 * difference) + MARGIN, 1)

    shape, style = look(arm.difference, arm.told)
    seeds = ", ".join(map(points, arm.seeds))
    return Bar(
        place(arm.difference),
        place(arm.low),
        place(arm.high),
        [place(seed) for seed in arm.seeds],
        shape,
        style,
        f"{arm.name}: {points(arm.difference)} points ({interval(arm.low, arm.high)}); "
        f"single seeds {seeds}",
    )


def look(difference: float, told: bool) -> tuple[Shape, str]:
    """The shape and the style of a difference: told by shapes too, for who sees no colours."""
    if not told:
        return "ring", "open"
    return ("circle", "better") if difference > 0 else ("square", "worse")
