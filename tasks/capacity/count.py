"""Capacity: how many different images can a policy make of an image of one size?

A policy is followed through the states that it can lead to (tasks/capacity/states.py), with their probabilities. States
of the source's own pixels are counted exactly; what other steps make of them is bounded by the number of their draws.
"""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tasks.capacity.states import MOST_COUNTED, State
from tasks.capacity.steps import SIZED, results
from tasks.common.errors import UserError
from tasks.variants.params import AugmentParams
from tasks.variants.policy import built, leaves

Outcomes: TypeAlias = dict[State, float]


@dataclass(frozen=True)
class Capacity:
    """`count`: different images, the untouched one included where it can result; None without bound.

    `exact`: False where `count` is an upper bound. `untouched`: the probability that nothing changes. `failing`: the
    probability that a step cannot be applied to an image of this size. `outcomes`: for each result that can be told
    apart its probability and the number of equally likely images it stands for: infinite where it is continuous.
    """

    count: int | None
    exact: bool
    untouched: float
    outcomes: tuple[tuple[float, float], ...]
    failing: float = 0.0

    def new(self) -> int | None:
        """How many of them differ from the source."""
        return None if self.count is None else self.count - (self.untouched > 0)

    def expected_distinct(self, draws: float) -> float:
        """Of `draws` images, how many are expected to differ: the sum of ways x (1 - (1 - p / ways)^n)."""
        return sum(_distinct(p, ways, draws) for p, ways in self.outcomes)

    def expected_new(self, draws: float) -> float:
        """How many of these are expected to differ from the source too."""
        return self.expected_distinct(draws) - _distinct(self.untouched, 1, draws)


def capacity(policy: list[Any], height: int, width: int) -> Capacity:
    """The capacity of a policy for images of (height, width), all of whose pixels differ."""
    return _capacity(built(policy), height, width)


def by_source(rows: pd.DataFrame, policy: list[Any]) -> tuple[np.ndarray, list[Capacity]]:
    """The capacities for the images of `rows` (height, width): for each row a place in the list."""
    transforms = built(policy)
    sizes = rows[["height", "width"]].to_numpy(np.int64)
    if not any(type(leaf).__name__ in SIZED for leaf in leaves(transforms)):
        sizes = np.minimum(sizes, 2)  # flips and turns only see whether a side is one pixel
    keys, places = np.unique(sizes[:, 0] << 32 | sizes[:, 1], return_inverse=True)
    return places, [_capacity(transforms, int(key >> 32), int(key & 0xFFFFFFFF)) for key in keys]


def check_capacity(rows: pd.DataFrame, counts: pd.Series, params: AugmentParams) -> None:
    """Raise a UserError where distinct variants are asked for and are known not to exist."""
    if params.distinct:
        check_enough(rows, counts, *by_source(rows, params.policy))


def check_enough(
    rows: pd.DataFrame, counts: pd.Series, places: np.ndarray, capacities: list[Capacity]
) -> None:
    """The same for capacities that `by_source` has found."""
    most = np.zeros(len(capacities), np.int64)
    np.maximum.at(most, places, counts.to_numpy(np.int64))
    for place, found in enumerate(capacities):
        planned, new = int(most[place]), found.new()
        if found.exact and new is not None and planned > new:
            example = rows.iloc[int(np.argmax((places == place) & (counts.to_numpy() == planned)))]
            raise UserError(
                f"params.yaml augment.policy: {planned} distinct variants are asked for, and it makes {new} of an "
                f"image of {example['width']} x {example['height']} ({example['file_name']}); ask for fewer, widen "
                "the policy or set augment.distinct: false"
            )


def _distinct(p: float, ways: float, draws: float) -> float:
    if ways > MOST_COUNTED:
        return draws * p
    if p >= ways:  # one way for certain, or none at all
        return min(ways, draws)
    return -ways * math.expm1(draws * math.log1p(-p / ways))


def _capacity(transforms: list[Any], height: int, width: int) -> Capacity:
    start = State((height, width))
    outcomes = {start: 1.0}
    for transform in transforms:
        outcomes = _follow(transform, outcomes)
    count = sum(state.images for state in outcomes)
    failing = sum(p for state, p in outcomes.items() if not state.pictures)
    bounded = count <= MOST_COUNTED
    return Capacity(
        count=int(count) if bounded else None,
        exact=not bounded or _all_differ(outcomes),
        untouched=outcomes.get(start, 0.0),
        outcomes=tuple((p, state.images) for state, p in outcomes.items()),
        failing=failing,
    )


def _all_differ(outcomes: Outcomes) -> bool:
    """Whether the images counted are known to differ: one image, or moved windows of the source that do not overlap."""
    if [state.images for state in outcomes] == [1]:
        return True
    if any(state.origin is not None for state in outcomes):
        return False
    return len({(state.size, state.transposed, state.flipped) for state in outcomes}) == len(
        outcomes
    )


def _follow(transform: Any, outcomes: Outcomes, forced: bool = False) -> Outcomes:
    """The outcomes after a step; `forced`: by OneOf, whatever its p."""
    name = type(transform).__name__
    p = (
        1.0 if forced and name != "SomeOf" else getattr(transform, "p", 1.0)
    )  # SomeOf asks its p all the same
    if p == 0:
        return outcomes
    return _mix([(p, _applied(name, transform, outcomes)), (1 - p, outcomes)])


def _applied(name: str, transform: Any, outcomes: Outcomes) -> Outcomes:
    if name == "Sequential":
        for step in transform.transforms:
            outcomes = _follow(step, outcomes)
        return outcomes
    if name == "OneOf":
        weighed = zip(transform.transforms_ps, transform.transforms, strict=True)
        return _mix([(weight, _follow(step, outcomes, forced=True)) for weight, step in weighed])
    if name == "SomeOf":
        return _some_of(transform, outcomes)
    return _mix(
        [
            (p * share, {new: 1.0})
            for state, p in outcomes.items()
            for share, new in results(transform, state)
        ]
    )


def _some_of(transform: Any, outcomes: Outcomes) -> Outcomes:
    """`n` are chosen, all equally likely, and applied in their order, each with its own p."""
    by_left = {transform.n: outcomes}  # the outcomes by how many are still to be chosen
    for place, step in enumerate(transform.transforms):
        parts: dict[int, list[tuple[float, Outcomes]]] = {}
        for left, reached in by_left.items():
            for times, share in enumerate(
                _chances(left, len(transform.transforms) - place, transform.replace)
            ):
                parts.setdefault(left - times, []).append((share, reached))
                reached = _follow(step, reached)
        by_left = {left: _mix(mixed) for left, mixed in parts.items()}
    return by_left[0]


def _chances(left: int, steps: int, replace: bool) -> list[float]:
    """The probabilities that the first of `steps` is chosen 0, 1, ... times where `left` are chosen of them."""
    if not replace:
        return [1 - left / steps, left / steps]
    return [
        math.comb(left, k) * (1 / steps) ** k * (1 - 1 / steps) ** (left - k)
        for k in range(left + 1)
    ]


def _mix(parts: list[tuple[float, Outcomes]]) -> Outcomes:
    mixed: Outcomes = {}
    for share, outcomes in parts:
        for state, p in outcomes.items():
            if share * p > 0:
                mixed[state] = mixed.get(state, 0.0) + share * p
    return mixed
