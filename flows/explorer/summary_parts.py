"""What pages of classes and of operations share: rejections, histograms, the worst variants."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple

from fastapi import Query

from flows.explorer.charts import Bar, Described
from flows.explorer.pictures import address_by_variant_id
from flows.explorer.queries.database import select_once
from tasks.dataset.captions import number, operations_in_words
from tasks.dataset.columns import MEASURES, REJECTIONS
from tasks.dataset.paths import page_of_images, page_of_variant
from tasks.dataset.variant_measures import UNTOUCHED, high_is_worst

SHOWN = 7  # pictures in a row: so many fit a usual window

# The measures in the order of the page, and what their worst variants are called.
WORST = {
    "sharpness": "Blurriest variants",
    "similarity": "Least like their source",
    "border": "Most outside the source",
    "kept": "Least of the source kept",
    "contrast": "Flattest",
    "clipped_low": "Most turned black",
    "clipped_high": "Most turned white",
    "encoding_psnr": "Most changed by encoding",
}

Name = Annotated[str, Query(min_length=1, max_length=1000)]


class Card(NamedTuple):
    """A picture that leads to the page of its image; `lines`: what stands below it."""

    picture: str
    page: str
    alt: str
    lines: list[str]


class Row(NamedTuple):
    """A row of pictures, and the address of all of them in the grid."""

    heading: str
    meaning: str
    cards: list[Card]
    all_of_them: str


class Part(NamedTuple):
    """So many images or variants of a kind, in words, and their address in the grid."""

    name: str
    number: int
    meaning: str
    page: str


# --- rejections -------------------------------------------------------------------------------

# Of a reason in the ledger, with the measure that a gate was about: `gate border`.
KIND = r"split_part(regexp_replace(reason, '^gate: (\w+) .*', 'gate \1'), ':', 1)"


def rejection_parts(rows: list[dict[str, Any]], in_grid: dict[str, str]) -> Iterator[Part]:
    """Rejected variants by kind, with what helps. `rows`: KIND and count; `in_grid`: filters."""
    for row in rows:
        kind = row["kind"].partition(" ")[0]
        known = REJECTIONS.get(kind)
        meaning = f"{known.meaning}; {known.mend}" if known else ""
        page = page_of_images(**in_grid, status="rejected", reason=kind)
        yield Part(row["kind"].replace("_", " "), row["count"], meaning, page)


# --- measures of variants ---------------------------------------------------------------------

ROWS = 2**32  # more than a ledger has
DECIMALS = 10_000  # values are rounded to so many parts
OF_THE_NEXT = 1e-6  # before the end of a bar: no value lies there, for edges have 6 decimals
# A value and its row are compared as one number: fast, and ties in the order of the file, as in the
# grid.
LOWEST = "min(if({measure} < ?::DOUBLE, {rounded} + row, NULL), {shown}) AS {measure}"
HIGHEST = "max(if({measure} > ?::DOUBLE, {rounded} - row, NULL), {shown}) AS {measure}"
ROUNDED = f"round({{measure}} * {DECIMALS})::BIGINT * {ROWS}"
LEDGER_ROWS = """
SELECT row, variant_id, source_id, operations
FROM (SELECT unnest(?::BIGINT[]) AS number) AS asked JOIN ledger ON ledger.row = asked.number
"""


def with_links(described: Described, in_grid: dict[str, str]) -> Described:
    """The same, each bar with the address of its variants in the grid."""
    chosen = {**in_grid, "status": "written", "measure": described.drawn.measure}
    pages = [page_of_images(**chosen, **_ends_of(bar)) for bar in described.drawn.bars]
    return described._replace(pages=pages)


def _ends_of(bar: Bar) -> dict[str, str]:
    """The same range in the grid, which has both its ends in it; a bar ends before the next."""
    ends = {"from": bar.low, "to": None if bar.high is None else bar.high - OF_THE_NEXT}
    return {name: f"{round(value, 6):.12g}" for name, value in ends.items() if value is not None}


def worst_of(where: str, values: Sequence[Any], in_grid: dict[str, str]) -> Iterator[Row]:
    """Of each measure a row of its worst variants: those worse than an untouched image.

    `where`, `values`: see histograms_of(). `in_grid`: the same as filters of the grid.
    """
    rows = _worst_rows(where, values)
    asked = tuple(sorted(set(chain.from_iterable(rows.values()))))
    known = {row["row"]: row for row in select_once(LEDGER_ROWS, [asked])}
    for measure, heading in WORST.items():
        order = "desc" if high_is_worst(measure) else "asc"
        if its := rows[measure]:
            page = page_of_images(**in_grid, status="written", sort=measure, order=order)
            meaning = f"{'highest' if order == 'desc' else 'lowest'} {measure}, {MEASURES[measure]}"
            cards = [
                variant_card(known[row], f"{measure} {number(value)}") for row, value in its.items()
            ]
            yield Row(heading, meaning, cards, page)


def _worst_rows(where: str, values: Sequence[Any]) -> dict[str, dict[int, float]]:
    """Of each measure the worst variants: their row in the ledger, and the value."""
    columns = []
    for measure in WORST:
        worst = HIGHEST if high_is_worst(measure) else LOWEST
        rounded = ROUNDED.format(measure=measure)
        columns.append(worst.format(measure=measure, rounded=rounded, shown=SHOWN))
    query = (
        f"SELECT {', '.join(columns)} FROM ledger "
        f"WHERE variant_index > 0 AND status = 'written' AND {where}"
    )
    untouched = [UNTOUCHED[measure] for measure in WORST]
    (found,) = select_once(query, [*untouched, *values])
    return {measure: dict(_taken_apart(measure, found[measure] or [])) for measure in WORST}


def _taken_apart(measure: str, keys: list[int]) -> Iterator[tuple[int, float]]:
    """The row and the value of each number that _worst_rows() compares."""
    for key in keys:
        if high_is_worst(measure):
            value = -(-key // ROWS)
            yield value * ROWS - key, value / DECIMALS
        else:
            value = key // ROWS
            yield key - value * ROWS, value / DECIMALS


def variant_card(row: dict[str, Any], value: str) -> Card:
    """A variant; `value`: what is said of it first."""
    operations = operations_in_words(json.loads(row["operations"]))
    return Card(
        address_by_variant_id(row["variant_id"]),
        page_of_variant(row["source_id"], row["variant_id"]),
        f"variant {row['variant_id']}: {', '.join(operations)}",
        list(filter(None, [value, *operations])),
    )
