"""One operation of a policy across its range: a row for each source, from one end to the other.

Transforms have no common way to be told a value. So each is drawn many times, always applied, and
its draws are put in the order of the value that varies.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks.augment.contact_sheet import Cell, draw_rows, row_texts, source_cell
from tasks.commands.drawn_order import ordered_by, spans
from tasks.commands.trial_variants import Trial, make_trials
from tasks.common.errors import UserError
from tasks.common.texts import counted
from tasks.dataset.captions import (
    WHOLE,
    drawn_values,
    measures_in_words,
    number,
    relabelled_in_words,
    whole,
)
from tasks.dataset.columns import MEASURES
from tasks.pixels.decode import decode
from tasks.variants.make import Encoded, Row
from tasks.variants.params import AugmentParams
from tasks.variants.policy import (
    COMPOSITES,
    build_step,
    canonical_json,
    parse_step,
    steps_within,
)
from tasks.variants.recipe import Recipes, rows_of_policies
from tasks.variants.sources import to_sources

DRAWS = 64  # of each source
PLACE = "--operation"


class Step(NamedTuple):
    """A step of a policy, always applied; `same_name`: how many steps of its name there are."""

    name: str
    arguments: dict[str, Any]
    same_name: int

    def as_policy(self) -> list[Any]:
        """The policy of this step alone."""
        return [{self.name: {**self.arguments, "p": 1}}]


def find_step(name: str, rows: pd.DataFrame, params: AugmentParams) -> tuple[Step, pd.DataFrame]:
    """The first step of that name, and the rows that have the policy in which it stands.

    A transform that stands in no policy has its default arguments, and all rows.

    Raises:
        UserError: for a name that no policy can have, and for arguments that it needs.
    """
    if name in COMPOSITES:
        raise UserError(f"{PLACE} {name}: needs a transform, found a composite of several")
    for policy, its in reversed(list(rows_of_policies(rows["label"], params))):
        within = steps_within(policy.steps, PLACE)
        found = [arguments for kind, arguments in within if kind == name]
        if found:
            return Step(name, found[0], len(found)), rows[its]
    parse_step(name, PLACE)
    try:
        build_step(name, PLACE)
    except UserError as error:
        raise UserError(f"{error}: write the step into augment.policy first") from None
    return Step(name, {}, 0), rows


def with_policy(recipes: Recipes, steps: list[Any]) -> Recipes:
    """The recipes with one policy for all classes."""
    general = replace(recipes.general, policy=canonical_json(steps))
    return replace(recipes, general=general, by_class={})


def range_sheet(
    chosen: pd.DataFrame, step: Step, recipes: Recipes, columns: int
) -> tuple[np.ndarray, str]:
    """The picture, uint8 (height, width, 3), and what it shows in words.

    Args:
        chosen: the training rows to show.
        step: the operation.
        recipes: of which all but the policy, and what draws again, is kept.
        columns: the most draws of a source to show.
    """
    alone = with_policy(recipes, step.as_policy())
    alone = Recipes(replace(alone.general, distinct=False, max_attempts=1, gates=()))
    sources = list(to_sources(chosen, pd.Series(DRAWS, chosen.index)))
    trials = list(make_trials(sources, alone))
    draws = numbers_drawn(trials)
    if draws.empty:
        reason = trials[0].variants[0][0]["reason"]
        raise UserError(f"{PLACE} {step.name}: none of {DRAWS} draws made an image: {reason}")
    by = ordered_by(draws, step.arguments)
    rows = [
        [source_cell(trial.source, recipes), *_cells(_labelled(trial, recipes), by, columns)]
        for trial in trials
    ]
    return draw_rows(rows), _in_words(step, draws, by, len(trials)) + _medians(draws)


def numbers_drawn(trials: list[Trial]) -> pd.DataFrame:
    """The numbers of each variant that was made, one in a row; the index says of which trial."""
    frames = {number: _numbers_of_trial(trial) for number, trial in enumerate(trials)}
    return pd.concat(frames).droplevel(1)


def _numbers_of_trial(trial: Trial) -> pd.DataFrame:
    return pd.DataFrame([_numbers_of(row) for row, data in trial.variants if data is not None])


def _numbers_of(row: Row) -> dict[str, float]:
    """The numbers that were drawn, then the measures."""
    drawn = drawn_values(json.loads(row["operations"])[0])
    numbers = {name: value for name, value in drawn.items() if not isinstance(value, str)}
    measures = {name: row.get(name) for name in MEASURES if name != "encoding_psnr"}
    return {**numbers, **{name: np.nan if v is None else v for name, v in measures.items()}}


def _labelled(trial: Trial, recipes: Recipes) -> list[Encoded]:
    """The variants of a source with their labels."""
    label = trial.source.label
    return [(recipes.labelled(row, label), data) for row, data in trial.variants]


def _cells(variants: list[Encoded], by: str | None, columns: int) -> Iterator[Cell]:
    """Some different variants of a source, from the lowest value to the highest."""
    different: dict[float, Encoded] = {}
    for row, data in variants:
        if data is not None:
            different.setdefault(_value_of(row, by), (row, data))
    different.pop(np.nan, None)  # a measure that is not known
    ordered = sorted(different.items(), key=lambda one: one[0])
    if by is None:
        ordered.sort(key=lambda one: row_texts(one[1][0]))
    places = np.linspace(0, len(ordered) - 1, min(columns, len(ordered))).round().astype(int)
    for value, (row, data) in (ordered[place] for place in places):
        head = [relabelled_in_words(row), "" if by is None else whole(by, number(value))]
        yield Cell(decode(data).pixels, [*filter(None, head), *row_texts(row)])


def _value_of(row: Row, by: str | None) -> float:
    """The value by which draws are shown; without any, what tells different ones apart."""
    return float(row["pixel_hash"]) if by is None else _numbers_of(row).get(by, np.nan)


def _medians(draws: pd.DataFrame) -> str:
    """What becomes of an image by the step alone, in the median of its draws."""
    medians = draws.filter(items=list(MEASURES)).median().to_dict()
    text = measures_in_words(medians).replace(WHOLE, " ")
    return f"; medians: {text}" if text else ""


def _in_words(step: Step, draws: pd.DataFrame, by: str | None, sources: int) -> str:
    which = f", the first of {step.same_name} such steps" if step.same_name > 1 else ""
    which = which if step.same_name else ", which is not in the policy, with its default arguments"
    images = f"{step.name}{which}, on {counted(sources, 'image')}"
    if by is None:
        return f"{images}: nothing in it varies by a number"
    lowest, highest = number(draws[by].min()), number(draws[by].max())
    draw = f"{images}, {by} {lowest} to {highest} in {DRAWS} draws of each"
    others = [str(name) for name in spans(draws).index if name not in (*MEASURES, by)]
    if not others:
        return draw
    return f"{draw}; {', '.join(others)} var{'ies' if len(others) == 1 else 'y'} with it"
