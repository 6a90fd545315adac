"""Capacity: how many different images can a policy make of an image of one size?

A policy is followed through its discrete outcomes with their probabilities. Flips and quarter turns act on a small
array that stands for the image, so that combinations which give the same picture are counted once; other steps leave
a mark. A continuous step makes the number unbounded; where it has p < 1 the outcomes without it still repeat.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tasks.augment.params import AugmentParams
from tasks.augment.policy import default_p, parse_step
from tasks.errors import UserError

Picture: TypeAlias = tuple[tuple[int, ...], ...]  # a small array that stands for the image
State: TypeAlias = tuple[Picture, tuple[str, ...]] | None  # picture and marks; None: a continuous step was applied
Outcomes: TypeAlias = dict[State, float]  # adds up to 1

# Steps that only move pixels, each to places that are known: what they may do, all equally likely.
QUARTER_TURNS: list[Callable[[np.ndarray], np.ndarray]] = [partial(np.rot90, k=turns) for turns in range(4)]
MOVES: dict[str, list[Callable[[np.ndarray], np.ndarray]]] = {
    "HorizontalFlip": [np.fliplr],
    "VerticalFlip": [np.flipud],
    "Transpose": [np.transpose],
    "RandomRotate90": QUARTER_TURNS,
    "D4": [*QUARTER_TURNS, np.fliplr, np.flipud, np.transpose, lambda a: np.rot90(a, 2).T],
}
# Steps that make one image of an image, each time the same.
FIXED = ("Equalize", "InvertImg", "ToGray")


@dataclass(frozen=True)
class Capacity:
    """`count`: different images, the untouched one included where it can result; None without bound.

    `exact`: False where `count` is an upper bound. `untouched`: the probability that nothing changes.
    `outcomes`: the probabilities of the discrete results; what they lack to 1 is the share of continuous ones.
    """

    count: int | None
    exact: bool
    untouched: float
    outcomes: tuple[float, ...]

    def new(self) -> int | None:
        """How many of them differ from the source."""
        return None if self.count is None else self.count - (self.untouched > 0)

    def expected_distinct(self, draws: int) -> float:
        """Of `draws` images, how many are expected to differ: sum(1 - (1 - p)^n), plus n times the continuous share."""
        discrete = sum(1 - (1 - p) ** draws for p in self.outcomes)
        return discrete + draws * max(0.0, 1 - sum(self.outcomes))


def capacity(policy: list[Any], height: int, width: int) -> Capacity:
    """The capacity of a policy for images of (height, width), all of whose pixels differ."""
    start = (_as_picture(np.arange(height * width).reshape(height, width)), ())
    outcomes = _follow(policy, {start: 1.0})
    discrete = {state: p for state, p in outcomes.items() if state is not None}
    unbounded = outcomes.get(None, 0.0) > 0
    exact = unbounded or all(not marks for _, marks in discrete)
    count = None if unbounded else len(discrete)
    return Capacity(count, exact, discrete.get(start, 0.0), tuple(discrete.values()))


def by_source(rows: pd.DataFrame, policy: list[Any]) -> tuple[np.ndarray, list[Capacity]]:
    """The capacities for the images of `rows` (height, width): for each row a place in the list."""
    shapes, places = np.unique(_stand_ins(rows), axis=0, return_inverse=True)
    return places.reshape(-1), [capacity(policy, int(height), int(width)) for height, width in shapes]


def check_capacity(rows: pd.DataFrame, counts: pd.Series, params: AugmentParams) -> None:
    """Raise a UserError where distinct variants are asked for and are known not to exist."""
    places, capacities = by_source(rows, params.policy)
    for place, found in enumerate(capacities):
        planned, new = int(counts[places == place].max()), found.new()
        if params.distinct and found.exact and new is not None and planned > new:
            example = rows.iloc[int(np.argmax((places == place) & (counts == planned)))]
            raise UserError(
                f"params.yaml augment.policy: {planned} distinct variants are asked for, and it makes {new} of an "
                f"image of {example['width']} x {example['height']} ({example['file_name']}); ask for fewer, widen "
                "the policy or set augment.distinct: false"
            )


def _stand_ins(rows: pd.DataFrame) -> np.ndarray:
    """(rows, 2): the smallest height and width that flips and turns tell apart as they do those of each image."""
    height, width = rows["height"].to_numpy(np.int64), rows["width"].to_numpy(np.int64)
    return np.column_stack([np.minimum(height, 2 + (height > width)), np.minimum(width, 2 + (width > height))])


def _as_picture(array: np.ndarray) -> Picture:
    return tuple(tuple(int(value) for value in row) for row in array)


def _follow(steps: Iterable[Any], outcomes: Outcomes) -> Outcomes:
    for step in steps:
        name, arguments = parse_step(step, "policy")
        p = _p(name, arguments)
        outcomes = _mix([(p, _apply(name, arguments, outcomes)), (1 - p, outcomes)])
    return outcomes


def _apply(name: str, arguments: dict[str, Any], outcomes: Outcomes) -> Outcomes:
    """The outcomes after a step that is applied for certain."""
    if name == "Sequential":
        return _follow(arguments["transforms"], outcomes)
    if name == "OneOf":
        return _one_of(arguments["transforms"], outcomes)
    if name == "SomeOf":
        return _some_of(arguments, outcomes)
    if name in MOVES:
        moves = MOVES[name]
        return _mix([(1 / len(moves), _map(outcomes, move)) for move in moves])
    if name in FIXED:
        return _mix([(1.0, {(s if s is None else (s[0], (*s[1], name))): p}) for s, p in outcomes.items()])
    return {None: 1.0}


def _one_of(transforms: list[Any], outcomes: Outcomes) -> Outcomes:
    """One is chosen, by their p as weights, and applied for certain."""
    parsed = [parse_step(step, "policy") for step in transforms]
    weights = [_p(*step) for step in parsed]
    total = sum(weights)
    if total == 0:
        return outcomes
    return _mix([(weight / total, _apply(*step, outcomes)) for weight, step in zip(weights, parsed, strict=True)])


def _some_of(arguments: dict[str, Any], outcomes: Outcomes) -> Outcomes:
    """`n` are chosen, all equally likely, and applied in their order, each with its own p."""
    steps = arguments["transforms"]
    places, n = range(len(steps)), arguments.get("n", 1)
    choices: Iterable[tuple[int, ...]] = combinations(places, n)
    if arguments.get("replace", False):
        choices = (tuple(sorted(choice)) for choice in product(places, repeat=n))
    chosen = Counter(choices)
    total = sum(chosen.values())
    return _mix(
        [(count / total, _follow([steps[place] for place in choice], outcomes)) for choice, count in chosen.items()]
    )


def _p(name: str, arguments: dict[str, Any]) -> float:
    return min(1.0, max(0.0, float(arguments.get("p", default_p(name)))))


def _map(outcomes: Outcomes, move: Callable[[np.ndarray], np.ndarray]) -> Outcomes:
    moved: Outcomes = {}
    for state, p in outcomes.items():
        new = state if state is None else (_as_picture(move(np.array(state[0]))), state[1])
        moved[new] = moved.get(new, 0.0) + p
    return moved


def _mix(parts: list[tuple[float, Outcomes]]) -> Outcomes:
    mixed: Outcomes = {}
    for share, outcomes in parts:
        for state, p in outcomes.items():
            if share * p > 0:
                mixed[state] = mixed.get(state, 0.0) + share * p
    return mixed
