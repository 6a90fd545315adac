"""Plots over magnitude for the page of an audit: the share of each class that changed, as SVG."""

from collections.abc import Collection, Iterable
from itertools import chain
from math import ceil
from typing import NamedTuple

from tasks.studies.audit import wording
from tasks.studies.audit.verdicts import MORE_INSIDE, Finding
from tasks.studies.charts import Tick

MOST_CLASSES = 8  # drawn one by one: there are as many colours
WIDTH, HEIGHT = 600, 180  # of the area between the axes
FILLED = 0.7  # of a column, by the classes that stand in it side by side


class Mark(NamedTuple):
    """A class at a magnitude: its place, the ends of its interval, and in words what it is."""

    x: float
    y: float
    low: float
    high: float
    verdict: str
    title: str


class Line(NamedTuple):
    """The marks of a class, by magnitude; `colour`: a number from 0."""

    name: str
    colour: int
    marks: list[Mark]


class Plot(NamedTuple):
    """Shares of variants that changed, less those of untouched images, over the magnitude.

    `argument`: the range on the horizontal axis; empty where there is none. `lines`: of classes
    whose label is broken at any magnitude, at most MOST_CLASSES; `left_out`: how many more there
    are. `band`: corners of the area in which all other classes lie; empty without any.
    """

    argument: str
    lines: list[Line]
    left_out: int
    band: str
    threshold: float
    across: list[Tick]
    up: list[Tick]


def plots_of(findings: Iterable[Finding]) -> list[Plot]:
    """The plots of a step: one for each range of it, and one for what it does without a range."""
    by_range: dict[str, list[Finding]] = {}
    for finding in findings:
        argument = finding.argument if finding.low is not None else None
        by_range.setdefault(argument or "", []).append(finding)
    return [plot(argument, its) for argument, its in by_range.items()]


def plot(argument: str, findings: list[Finding]) -> Plot:
    """The plot of one range of a step."""
    judged = [finding for finding in findings if finding.verdict != "cannot tell"]
    broken = sorted(filter(wording.breaks_labels, judged), key=_beyond, reverse=True)
    labels = dict.fromkeys(finding.label for finding in broken)
    in_order = sorted(findings, key=_ends)  # label rules leave classes other ranges
    shown = sorted(list(labels)[:MOST_CLASSES])
    axes = Axes(
        columns={name: i for i, name in enumerate(dict.fromkeys(map(_column, in_order)))},
        places={label: i for i, label in enumerate(shown)},
        top=_top_of(judged, shown),
    )
    by_class: dict[str, list[Finding]] = {label: [] for label in shown}
    for finding in judged:
        by_class.get(finding.label, []).append(finding)
    return Plot(
        argument=argument,
        lines=[
            Line(label, i, list(map(axes.mark, its)))
            for i, (label, its) in enumerate(by_class.items())
        ],
        left_out=len(labels) - len(shown),
        band=axes.band([finding for finding in judged if finding.label not in labels]),
        threshold=axes.y(MORE_INSIDE),
        across=[Tick(axes.left(name, 0.5), name) for name in axes.columns],
        up=[Tick(axes.y(share), f"{share:.0%}") for share in (0.0, axes.top / 2, axes.top)],
    )


class Axes(NamedTuple):
    """Where things stand: columns of magnitudes, classes side by side in each, shares up to top."""

    columns: dict[str, int]
    places: dict[str, int]
    top: float

    def left(self, column: str, share: float) -> float:
        """The place in a column, from its left end (0) to its right one (1)."""
        return round(WIDTH * (self.columns[column] + share) / len(self.columns), 1)

    def y(self, share: float) -> float:
        return round(HEIGHT * (1 - min(max(share / self.top, 0.0), 1.0)), 1)

    def mark(self, finding: Finding) -> Mark:
        within = (self.places[finding.label] + 0.5) / len(self.places)
        return Mark(
            x=self.left(_column(finding), (1 - FILLED) / 2 + FILLED * within),
            y=self.y(_beyond(finding)),
            low=self.y(finding.share_low - finding.untouched),
            high=self.y(finding.share_high - finding.untouched),
            verdict=finding.verdict,
            title=wording.in_full(finding),
        )

    def band(self, findings: Iterable[Finding]) -> str:
        """The area from the least to the largest share in each column, as points of a polygon."""
        shares: dict[str, list[float]] = {}
        for finding in findings:
            shares.setdefault(_column(finding), []).append(_beyond(finding))
        above = [self._edge(column, max(its)) for column, its in shares.items()]
        below = [self._edge(column, min(its))[::-1] for column, its in shares.items()]
        corners = chain.from_iterable([*above, *below[::-1]])
        return " ".join(f"{x},{y}" for x, y in corners)

    def _edge(self, column: str, share: float) -> list[tuple[float, float]]:
        y = self.y(share)
        return [(self.left(column, 0), y), (self.left(column, 1), y)]


def _column(finding: Finding) -> str:
    """What stands below the column in which a finding is drawn."""
    if finding.low is None or finding.high is None:
        return finding.argument or "as it is"
    return wording.ends(finding.low, finding.high)


def _beyond(finding: Finding) -> float:
    """The share of variants that changed, beyond that of untouched images."""
    return finding.share - finding.untouched


def _ends(finding: Finding) -> tuple[float, float]:
    return finding.low or 0.0, finding.high or 0.0


def _top_of(findings: Iterable[Finding], shown: Collection[str]) -> float:
    """The end of the vertical axis, a whole tenth. `shown`: classes with their intervals."""
    ends = [
        finding.share_high - finding.untouched if finding.label in shown else _beyond(finding)
        for finding in findings
    ]
    return min(max(ceil(10 * max(ends, default=0)), 1), 10) / 10
