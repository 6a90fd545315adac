"""Histograms of measures of variants: counted by DuckDB, and placed for SVG.

The axis of a measure has round ends. Its bins are equally wide, and a whole number of them lies
between two ticks, so that a bar can be named by numbers that people read.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from flows.explorer.queries.database import select_once
from tasks.dataset.columns import MEASURES
from tasks.dataset.variant_measures import UNTOUCHED
from tasks.studies.charts import Scale, Tick

WIDTH, HEIGHT = 320, 90  # pixels of the area between the axes
FEWEST_BINS = 15
BINS_OF_A_STEP = 5  # where there are steps enough
MOST_SHOWN = 2.0  # noise makes an image hundreds of times as sharp: axes end at twice the source
LEAST_HEIGHT = 1.0  # of a bar, in pixels: the few at the end of a long tail are the worst
ROUNDING = 1e-9  # of a place in bins: 0.12 / 0.04 is 3, not 2.999...


class Axis(NamedTuple):
    """The axis of a measure: its ends, and how many bins lie between them.

    `more`: whether values lie beyond the upper end; they are counted in the last bin.
    """

    scale: Scale
    bins: int
    more: bool

    @property
    def width(self) -> float:
        """Of a bin, as the measure is."""
        return (self.scale.high - self.scale.low) / self.bins

    def edges(self, number: int) -> tuple[float, float]:
        """Where a bin begins and ends."""
        low, width = self.scale.low, self.width
        return round(low + number * width, 6), round(low + (number + 1) * width, 6)


class Bar(NamedTuple):
    """The bar of a bin, in pixels; `low`, `high`: its values, None where it has no such end."""

    x: float
    y: float
    width: float
    height: float
    title: str
    low: float | None
    high: float | None


class Histogram(NamedTuple):
    """What is drawn of a measure: the shares of some variants in each bin, as bars.

    `outline`: the corners of a line around the shares of all others; "" without any.
    `untouched`: the place of an image to which nothing was done; None where it is not on the axis.
    """

    measure: str
    bars: list[Bar]
    outline: str
    across: list[Tick]
    up: list[Tick]
    untouched: float | None


Counts = dict[int, int]  # how many variants each bin has, by its number


def axis_of(measure: str, lowest: float, highest: float) -> Axis:
    """The axis for values of a measure from lowest to highest, and for an untouched image."""
    untouched = UNTOUCHED[measure]
    more = untouched == 1 and highest > MOST_SHOWN
    ends = [lowest, MOST_SHOWN if more else highest]
    scale = Scale.over([*ends, untouched] if math.isfinite(untouched) else ends, WIDTH)
    steps = round((scale.high - scale.low) / scale.step)
    of_a_step = BINS_OF_A_STEP if BINS_OF_A_STEP * steps >= FEWEST_BINS else 20 // steps
    return Axis(scale, steps * of_a_step, more)


def histogram(measure: str, axis: Axis, counts: Counts, others: Counts | None = None) -> Histogram:
    """A histogram of variants, against that of others where there are any.

    Args:
        measure: of MEASURES.
        axis: of the bins.
        counts: of the variants.
        others: those that they are compared with.
    """
    total, other_total = sum(counts.values()), sum((others or {}).values())
    shares = _shares(counts, axis.bins)
    other_shares = _shares(others or {}, axis.bins)
    # a step of at least one percent: ticks have no decimals
    up = Scale.over([0.0, *shares, *(other_shares if other_total else [])], HEIGHT, True, 1.0)
    bars = [
        _bar(axis, up, number, share, _title(axis, number, counts, total, other_shares, others))
        for number, share in enumerate(shares)
        if counts.get(number)
    ]
    untouched = UNTOUCHED[measure]
    return Histogram(
        measure=measure,
        bars=bars,
        outline=_outline(axis, up, other_shares) if other_total else "",
        across=axis.scale.ticks(),
        up=up.ticks("%"),
        untouched=axis.scale.at(untouched) if math.isfinite(untouched) else None,
    )


def _shares(counts: Counts, bins: int) -> list[float]:
    """The share of each bin, in percent."""
    total = max(1, sum(counts.values()))
    return [100 * counts.get(number, 0) / total for number in range(bins)]


def _bar(axis: Axis, up: Scale, number: int, share: float, title: str) -> Bar:
    low, high = axis.edges(number)
    x, y = _place(axis, number), min(up.at(share), HEIGHT - LEAST_HEIGHT)
    is_first, is_last = number == 0, number == axis.bins - 1
    return Bar(
        x=x,
        y=y,
        width=round(_place(axis, number + 1) - x, 1),
        height=round(HEIGHT - y, 1),
        title=title,
        low=None if is_first else low,
        high=None if is_last else high,
    )


def _place(axis: Axis, number: int) -> float:
    """Where a bin begins, in pixels."""
    return round(WIDTH * number / axis.bins, 1)


def _title(
    axis: Axis,
    number: int,
    counts: Counts,
    total: int,
    other_shares: list[float],
    others: Counts | None,
) -> str:
    """What a bar says, as `0.2 to 0.24: 1,204 of 5,024 variants, 24.0%; 3.1% of the others`."""
    low, high = axis.edges(number)
    is_open = axis.more and number == axis.bins - 1
    values = f"{low:g} and more" if is_open else f"{low:g} to {high:g}"
    count = counts.get(number, 0)
    share = f"{count:,} of {total:,} variants, {count / max(1, total):.1%}"
    against = f"; {other_shares[number]:.1f}% of the others" if others else ""
    return f"{values}: {share}{against}"


def _outline(axis: Axis, up: Scale, shares: list[float]) -> str:
    """The corners of a line along the tops of bars, from the first bin to the last."""
    corners = []
    for number, share in enumerate(shares):
        y = up.at(share)
        corners += [f"{_place(axis, number)},{y}", f"{_place(axis, number + 1)},{y}"]
    return " ".join(corners)


# --- counted ----------------------------------------------------------------------------------

ENDS = """
struct_pack(lowest := min({measure}), highest := max({measure}), quantiles := {quantiles})
    AS {measure}
"""
QUANTILES = "quantile_cont({measure}, [0.05, 0.5, 0.95])"  # takes longer than all else
# least() and greatest() pass over nulls
IN_BINS = """
histogram(if({measure} IS NULL, NULL, greatest(0, least(
    ? - 1, floor(({measure} - ?::DOUBLE) / ?::DOUBLE + {rounding})))::INTEGER)) AS {measure}
"""


class Described(NamedTuple):
    """A histogram, and in words the measure and its quantiles; `pages`: of its bars, by place."""

    drawn: Histogram
    meaning: str
    words: str
    pages: list[str]


class _Ends(NamedTuple):
    """The smallest and the largest value of a measure; its quantiles at 5, 50 and 95%, if asked."""

    lowest: float
    highest: float
    quantiles: list[float] | None


def histograms_of(where: str, values: Sequence[Any], against_all: bool = False) -> list[Described]:
    """A histogram of each measure that is known of any of these variants.

    Args:
        where: SQL, which of the written variants are counted. `values`: its values.
        against_all: with the shares of all other variants.
    """
    ends = _ends(where, values, QUANTILES)
    of_all = _ends("true", [], "NULL") if against_all else ends
    axes = {each: axis_of(each, of_all[each].lowest, of_all[each].highest) for each in ends}
    if not axes:
        return []
    counts = _in_bins(axes, where, values)
    all_axes = {each: axis_of(each, its.lowest, its.highest) for each, its in of_all.items()}
    all_counts = _in_bins(all_axes, "true", []) if against_all else counts
    return [
        Described(
            histogram(each, axis, counts[each], _without(all_counts[each], counts[each])),
            MEASURES[each],
            "Median {1:.2f}; 5% below {0:.2f}, 5% above {2:.2f}".format(
                *ends[each].quantiles or ()
            ),
            [],
        )
        for each, axis in axes.items()
    ]


def _ends(where: str, values: Sequence[Any], quantiles: str) -> dict[str, _Ends]:
    """Of the measures that are known of any of these variants; `quantiles`: SQL."""
    columns = [
        ENDS.format(measure=measure, quantiles=quantiles.format(measure=measure))
        for measure in MEASURES
    ]
    row = _of_variants(columns, where, values)
    return {measure: _Ends(**ends) for measure, ends in row.items() if ends["lowest"] is not None}


def _in_bins(axes: dict[str, Axis], where: str, values: Sequence[Any]) -> dict[str, Counts]:
    """How many of these variants each bin of each measure has."""
    columns = [IN_BINS.format(measure=measure, rounding=ROUNDING) for measure in axes]
    chosen: list[Any] = []
    for axis in axes.values():
        chosen += [axis.bins, axis.scale.low, axis.width]
    row = _of_variants(columns, where, [*chosen, *values])
    return {measure: dict(counts) for measure, counts in row.items()}


def _of_variants(columns: list[str], where: str, values: Sequence[Any]) -> dict[str, Any]:
    """Aggregates of some of the written variants, by their names."""
    listed = ", ".join(columns)
    query = f"SELECT {listed} FROM variants WHERE status = 'written' AND {where}"
    return select_once(query, values)[0]


def _without(counts: Counts, part: Counts) -> Counts:
    """The counts without those of a part; where that is all, there are no others."""
    left = {number: count - part.get(number, 0) for number, count in counts.items()}
    return {number: count for number, count in left.items() if count}
