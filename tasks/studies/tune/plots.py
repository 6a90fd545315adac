"""Plots of the page of a tuning: accuracy by what was chosen, the best so far, the finalists."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from tasks.studies import charts
from tasks.studies.charts import Chart, Mark, Scale, Shape, Tick
from tasks.studies.forest import Compared, Forest, forest
from tasks.studies.statistics import LEVEL, Difference
from tasks.studies.tune import wording
from tasks.studies.tune.finalists import Finalist
from tasks.studies.tune.trials import Trial

STRENGTHS = 2  # times the width of other columns, for strengths from 0 to 1
MARGIN = 8  # at both sides of a column
LOOKS: dict[str, tuple[Shape, str]] = {
    "complete": ("circle", "better"),
    "pruned": ("ring", "open"),
    "hopeless": ("cross", "left-out"),
}


class Column(NamedTuple):
    """Where the trials of a kind stand: from `left` to `right`."""

    left: float
    right: float

    def at(self, share: float) -> float:
        return round(self.left + share * (self.right - self.left), 1)


def by_choice(trials: Sequence[Trial]) -> Chart:
    """The accuracy of each trial by its kind, and by its strength where it has one."""
    columns = _columns(trials)
    counts = Counter(trial.kind for trial in trials)
    seen: Counter[str] = Counter()
    places = []
    for trial in trials:
        seen[trial.kind] += 1
        even = (seen[trial.kind] - 0.5) / counts[trial.kind]  # side by side, in their order
        places.append(columns[trial.kind].at(trial.choice.get("strength", even)))
    up = _accuracies(trials)
    marks = [_mark(trial, x, up) for trial, x in zip(trials, places, strict=True)]
    return Chart(
        title="Accuracy of each trial by what it chose",
        across=[
            Tick(column.at(0.5), wording.KINDS[kind].replace(", ", "\n"))
            for kind, column in columns.items()
        ],
        up=up.ticks("%"),
        across_label="policy; of the own one by its strength, from 0 to 1",
        up_label="accuracy",
        marks=charts.with_names(marks, [str(trial.number + 1) for trial in trials]),
    )


def _in_lines(kind: str) -> str:
    """What stands below a column, which is narrow."""
    return wording.KINDS[kind].replace(", ", "\n")


def _columns(trials: Sequence[Trial]) -> dict[str, Column]:
    """A column for each kind that was tried, in the order of KINDS."""
    tried = {trial.kind for trial in trials}
    widths = {kind: STRENGTHS if kind == "strength" else 1 for kind in wording.KINDS}
    shown = {kind: width for kind, width in widths.items() if kind in tried}
    ends = [0, *accumulate(shown.values())]
    unit = charts.WIDTH / max(ends[-1], 1)
    return {
        kind: Column(unit * (end - width) + MARGIN, unit * end - MARGIN)
        for (kind, width), end in zip(shown.items(), ends[1:], strict=True)
    }


def best_so_far(trials: Sequence[Trial]) -> Chart:
    """The accuracy of each trial in their order, and the best complete one up to each."""
    across = Scale.over([1, max(len(trials), 1)], charts.WIDTH, least_step=1)
    up = _accuracies(trials)
    complete = [(one.accuracy or 0.0) if one.state == "complete" else 0.0 for one in trials]
    best = [(i, value) for i, value in enumerate(accumulate(complete, max), 1) if value]
    places = []
    for before, (number, value) in zip([None, *best], best, strict=False):
        if before is not None and before[1] != value:  # a step, no slope
            places.append((across.at(number), up.at(100 * before[1])))
        places.append((across.at(number), up.at(100 * value)))
    marks = [_mark(trial, across.at(trial.number + 1), up) for trial in trials]
    return Chart(
        title="Accuracy of trials in their order, and the best so far",
        across=across.ticks(),
        up=up.ticks("%"),
        across_label="trial",
        up_label="accuracy",
        lines=[charts.line("the best complete trial so far", 0, places)] if best else [],
        marks=marks,
    )


def _accuracies(trials: Sequence[Trial]) -> Scale:
    known = [100 * one.accuracy for one in trials if one.accuracy is not None]
    return Scale.over(known, charts.HEIGHT, upwards=True)


def _mark(trial: Trial, x: float, up: Scale) -> Mark:
    """A trial at its accuracy; one that was not trained, at the bottom."""
    y = charts.HEIGHT if trial.accuracy is None else up.at(100 * trial.accuracy)
    shape, style = LOOKS[trial.state]
    return Mark(x, y, 4.5, shape, style, wording.in_full(trial))


def to_none(finalists: Sequence[Finalist]) -> Forest:
    """The differences of the others to `none`, which is the first."""
    none, *others = finalists
    compared = [_compared(one, one.to_none, none) for one in others if one.to_none]
    return forest(none.arm, none.accuracy, compared)


def to_present(finalists: Sequence[Finalist]) -> Forest | None:
    """The difference of the winner to the present policy; None without either of them."""
    present = next((one for one in finalists if one.kind == "present"), None)
    winners = [one for one in finalists if one.kind not in ("none", "present")]
    if present is None or not winners:
        return None
    compared = [_compared(one, one.to_present, present) for one in winners if one.to_present]
    return forest(present.arm, present.accuracy, compared)


def _compared(one: Finalist, difference: Difference, reference: Finalist) -> Compared:
    seeds = [own - its for own, its in zip(one.per_seed, reference.per_seed, strict=True)]
    told = difference.p < LEVEL
    verdict = ("better" if difference.mean > 0 else "worse") if told else "not told from it"
    return Compared(one.arm, one.accuracy, *difference[:3], seeds, told, verdict)
