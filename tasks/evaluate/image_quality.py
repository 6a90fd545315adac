"""What augmentation did to the images, for the report: box plots of each measure, the worst."""

import json
import math
from itertools import chain
from typing import Any, NamedTuple

import pandas as pd

from tasks.dataset import image_bytes
from tasks.dataset.captions import measures_in_words, operations_in_words, relabelled_in_words
from tasks.dataset.columns import MEASURES
from tasks.dataset.paths import page_of_variant
from tasks.dataset.selections import usable
from tasks.dataset.variant_measures import UNTOUCHED, Measured, high_is_worst, quantiles
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.pixels.thumbnails import picture

MOST_CLASSES = 20
WORST_SHOWN = 4  # variants of each measure
THUMBNAIL = 112  # pixels a side
MOST_SHOWN = 2.0  # noise makes an image hundreds of times as sharp: plots end at twice the source
ALL = "all"


class Box(NamedTuple):
    """A box plot: places from 0 to 100 of QUANTILES, and in words what they are."""

    low: float
    first: float
    median: float
    third: float
    high: float
    text: str
    title: str


class Line(NamedTuple):
    """A row of box plots: of a class or an operation, one for each measure; None: not known."""

    name: str
    variants: int
    boxes: list[Box | None]


class Scale(NamedTuple):
    """A measure, and the values at the two ends of its plots; `more`: whether any is higher."""

    measure: str
    meaning: str
    lowest: float
    highest: float
    more: bool

    @property
    def untouched(self) -> float | None:
        """The place of an image to which nothing was done."""
        value = UNTOUCHED[self.measure]
        return self.place(value) if math.isfinite(value) else None

    @property
    def ends(self) -> str:
        """The two ends in words."""
        more = " and more" if self.more else ""
        return f"{self.lowest:.2g} to {self.highest:.3g}{more}"

    def place(self, value: float) -> float:
        """Where a value stands between the ends, 0 to 100."""
        share = (value - self.lowest) / (self.highest - self.lowest)
        return round(100 * min(max(share, 0.0), 1.0), 2)


def quality_section(
    measured: Measured, validated: pd.DataFrame, ledger: pd.DataFrame, preprocessing: Preprocessing
) -> dict[str, Any]:
    """What the template of the report's section needs.

    Args:
        measured: the ledger's measures.
        validated: the validated manifest.
        ledger: all of the ledger, whose index are the numbers of its rows.
        preprocessing: of the originals.
    """
    by_class = {name: measured.by_class(name) for name in measured.known}
    by_operation = {name: measured.by_operation(name) for name in measured.known}
    everything = pd.Series(ALL, measured.rows.index)
    of_all = {name: quantiles(measured.rows[name], everything) for name in measured.known}
    scales = [scale_of(name, by_class[name], by_operation[name]) for name in measured.known]
    sizes = measured.rows["source_label"].value_counts()
    return {
        "scales": scales,
        "all": lines(of_all, everything.value_counts(), scales, [ALL]),
        "operations": lines(by_operation, measured.uses, scales, list(measured.uses.index)),
        "classes": lines(by_class, sizes, scales, worst_classes(by_class)),
        "class_count": int((sizes > 0).sum()),
        "worst": worst_variants(measured, validated, ledger, preprocessing),
    }


def scale_of(measure: str, *tables: pd.DataFrame) -> Scale:
    """The scale on which all boxes of a measure are drawn."""
    untouched = [UNTOUCHED[measure]] if math.isfinite(UNTOUCHED[measure]) else []
    lowest = float(min([*(table[0.05].min() for table in tables), *untouched]))
    highest = float(max([*(table[0.95].max() for table in tables), *untouched]))
    if lowest == highest:
        lowest, highest = min(lowest, 0.0), max(highest, 1.0)
    more = UNTOUCHED[measure] == 1 and highest > MOST_SHOWN
    return Scale(measure, MEASURES[measure], lowest, MOST_SHOWN if more else highest, more)


def lines(
    tables: dict[str, pd.DataFrame], sizes: pd.Series, scales: list[Scale], names: list[str]
) -> list[Line]:
    """A line for each name.

    Args:
        tables: of each measure its quantiles, see variant_measures.quantiles().
        sizes: how many variants each name has.
        scales: of the measures.
        names: of classes or operations, in order.
    """
    found = []
    for name in names:
        boxes = [box(tables[scale.measure], name, scale) for scale in scales]
        found.append(Line(name, int(sizes.get(name, 0)), boxes))  # none of `all`: no variants
    return found


def box(table: pd.DataFrame, name: str, scale: Scale) -> Box | None:
    """The box plot of one class or operation."""
    if name not in table.index:
        return None
    values = [float(value) for value in table.loc[name]]
    title = f"{scale.measure}: 5% {values[0]:.2f}, 25% {values[1]:.2f}, median {values[2]:.2f}, "
    title += f"75% {values[3]:.2f}, 95% {values[4]:.2f}"
    low, first, median, third, high = map(scale.place, values)
    return Box(low, first, median, third, high, f"{values[2]:.2f}", title)


def worst_classes(tables: dict[str, pd.DataFrame]) -> list[str]:
    """At most MOST_CLASSES classes, sorted: those whose median of any measure is the worst.

    `tables`: of each measure the quantiles of its classes.
    """
    places = pd.DataFrame(
        {
            # equal medians share the last of their places: none of them is worse than others
            name: table[0.5].rank(ascending=not high_is_worst(name), method="max")
            for name, table in tables.items()
        }
    )
    return sorted(map(str, places.min(axis=1).sort_index().nsmallest(MOST_CLASSES).index))


def worst_variants(
    measured: Measured,
    validated: pd.DataFrame,
    ledger: pd.DataFrame,
    preprocessing: Preprocessing = AS_DECODED,
) -> list[dict[str, Any]]:
    """Of each measure the worst variants beside their sources; measures without any are left out.

    Returns:
        `measure`, `meaning`, `order` (asc or desc: which brings the worst first), and `variants`:
        of each `source` and `variant`, data: URIs, its `page`, and the texts `name`, `measures` and
        `operations`.
    """
    worst = measured.worst_rows(WORST_SHOWN)
    rows = ledger.loc[sorted(set(chain.from_iterable(worst.values())))]
    trained = usable(validated, "train")
    needed = trained[trained["source_id"].isin(rows["source_id"])]
    sources = image_bytes.locate_images(needed).set_index("source_id")
    figures = {
        row.Index: figure(row, sources.loc[row.source_id], preprocessing)
        for row in image_bytes.locate_variants(rows).itertuples()
    }
    return [
        {
            "measure": name,
            "meaning": MEASURES[name],
            "order": "desc" if high_is_worst(name) else "asc",
            "variants": list(map(figures.__getitem__, its)),
        }
        for name, its in worst.items()
    ]


def figure(variant: Any, source: Any, preprocessing: Preprocessing) -> dict[str, Any]:
    """A variant beside its source; see worst_variants().

    `variant`, `source`: rows of image_bytes.locate_variants() and locate_images().
    """
    label = relabelled_in_words(variant._asdict()) or variant.label
    return {
        "source": picture(image_bytes.read_row(source), THUMBNAIL, preprocessing),
        "variant": picture(image_bytes.read_row(variant), THUMBNAIL),
        "page": page_of_variant(variant.source_id, variant.variant_id),
        "name": f"{label}: {variant.variant_id}",
        "measures": measures_in_words({name: getattr(variant, name) for name in MEASURES}),
        "operations": operations_in_words(json.loads(variant.operations)),
    }
