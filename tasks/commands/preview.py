"""Pictures of a policy: sources and variants, the worst of many, one operation across its range.

Nothing is written: variants are made for the picture alone.
"""

import difflib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.augment.contact_sheet import Cell, draw_rows, sample_sheet, source_cell, variant_cell
from tasks.augment.plan import plan_counts
from tasks.commands.forecast import kind_of
from tasks.commands.operation_range import find_step, range_sheet, with_policy
from tasks.commands.trial_variants import Trial, make_trials
from tasks.common.errors import UserError
from tasks.common.texts import counted
from tasks.dataset.columns import MEASURES
from tasks.dataset.paths import VALIDATED_MANIFEST
from tasks.dataset.selections import class_named, example_rows
from tasks.dataset.variant_measures import high_is_worst
from tasks.variants.make import Encoded
from tasks.variants.originals import Originals, read_originals
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source, to_sources, training_sources

SHOWN = 8  # sources of a contact sheet, and columns of a range
SHOWN_ACROSS_RANGE = 5  # sources
TRIED = 100  # sources of which the worst variants are shown
WORST = 24  # variants
PAIRS_IN_ROW = 4
WRITTEN = "written"
CAN_BE_WORST = tuple(name for name in MEASURES if name != "encoding_psnr")


class Asked(NamedTuple):
    """What a picture is to show; None: what is usual.

    `sources`: how many; `variants`: of each; `worst`: by which measure; `operation`: which alone;
    `label`: of which class alone.
    """

    sources: int | None = None
    variants: int | None = None
    worst: str | None = None
    operation: str | None = None
    label: str | None = None


def draw_preview(
    validated: pd.DataFrame, params: AugmentParams, recipes: Recipes, asked: Asked
) -> tuple[np.ndarray, str]:
    """The picture, uint8 (height, width, 3), and what it shows in words.

    Raises:
        UserError: for a measure, an operation or a class that is not there, and without any
            training image.
    """
    require_measure(asked.worst)
    rows = training_sources(validated)
    if rows.empty:
        raise UserError(f"{VALIDATED_MANIFEST}: needs training images to draw, found none")
    if asked.variants is None:
        counts = plan_counts(rows, params)
    else:
        counts = pd.Series(asked.variants, rows.index)
    if asked.label is not None:
        label = class_named(asked.label, rows["label"].value_counts().index, "--class")
        rows = rows[rows["label"] == label]
    if asked.operation is not None:
        step, rows = find_step(asked.operation, rows, params)
        if asked.worst is None:
            chosen = example_rows(rows, asked.sources or SHOWN_ACROSS_RANGE)
            columns = SHOWN if asked.variants is None else asked.variants
            return range_sheet(chosen, step, recipes, columns)
        recipes = with_policy(recipes, step.as_policy())
    originals = read_originals(validated, recipes.general.preprocessing)
    if asked.worst is None:
        sheet, sources, shown = sample_sheet(
            rows, counts, recipes, originals, asked.sources or SHOWN
        )
        return sheet, f"{counted(sources, 'source')}, {counted(shown, 'variant')}"
    chosen = example_rows(rows, asked.sources or TRIED)
    tried = list(to_sources(chosen, counts[chosen.index]))
    return worst_sheet(tried, recipes, originals, asked.worst)


def require_measure(name: str | None) -> None:
    """Raises UserError for the name of a measure by which variants are not compared."""
    if name in (None, *CAN_BE_WORST):
        return
    near = difflib.get_close_matches(str(name), CAN_BE_WORST, n=1)
    hint = f"is {near[0]} meant? " if near else ""
    raise UserError(f"--worst {name}: no such measure; {hint}known: {', '.join(CAN_BE_WORST)}")


class Judged(NamedTuple):
    """A variant with its source, and its value of the measure."""

    value: float
    source: Source
    variant: Encoded


def worst_sheet(
    sources: list[Source], recipes: Recipes, originals: Originals, measure: str
) -> tuple[np.ndarray, str]:
    """The variants that are worst by a measure, each beside its source, and the sheet in words."""
    counts: Counter[str] = Counter()
    tried = judged(make_trials(sources, recipes), recipes, originals, measure, counts)
    sign = -1 if high_is_worst(measure) else 1
    # of equal ones the first: a heap of so many is all that memory holds
    worst = heapq.nsmallest(WORST, tried, key=lambda one: sign * one.value)
    made = f"{counted(counts.total(), 'variant')} made of {counted(len(sources), 'image')}"
    del counts[WRITTEN]
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in counts.most_common())
    rejected = f"; rejected: {kinds}" if kinds else ""
    if not worst:
        raise UserError(f"--worst {measure}: none of the {made} has this measure{rejected}")
    pairs = [(source_cell(one.source, recipes), variant_cell(one.variant)) for one in worst]
    values = f"{measure} {worst[0].value:.2f} to {worst[-1].value:.2f}"
    return draw_rows(rows_of_pairs(pairs)), f"the worst {len(worst)} of {made}, {values}{rejected}"


def judged(
    trials: Iterable[Trial],
    recipes: Recipes,
    originals: Originals,
    measure: str,
    counts: Counter[str],
) -> Iterator[Judged]:
    """The variants that would be written, where the measure is known.

    `counts` is added to: WRITTEN, and the kinds of rejections.
    """
    for source, variants in trials:
        for variant in variants:
            row, data = originals.judge(variant, source.label, recipes)
            counts[WRITTEN if data is not None else kind_of(str(row["reason"]))] += 1
            if data is not None and row.get(measure) is not None:
                yield Judged(row[measure], source, (row, data))


def rows_of_pairs(pairs: list[tuple[Cell, Cell]]) -> list[list[Cell]]:
    """Pairs of cells as rows of PAIRS_IN_ROW of them."""
    starts = range(0, len(pairs), PAIRS_IN_ROW)
    return [list(chain.from_iterable(pairs[start : start + PAIRS_IN_ROW])) for start in starts]
