"""Count how many different images a policy can make of an image of one size.

Examples, for an image of 8 x 8 pixels:

    HorizontalFlip (p 0.5)          2: as it was, and mirrored
    RandomCrop to 6 x 6             9: (8 - 6 + 1) x (8 - 6 + 1) windows
    both, one after the other      18
    HorizontalFlip, InvertImg       4 at most: inverted pixels are not compared with others
    Rotate by up to 15 degrees     no bound: the angle is drawn from a continuous range

How: a policy is followed step by step, as a probability distribution over states (states.py).
Flips, quarter turns and crops of the source are counted exactly. Of any other step the number of
its random draws is counted (draws.py), which bounds what it makes.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from tasks.capacity.states import MOST_COUNTED, Size, State
from tasks.capacity.steps import SIZED, states_after
from tasks.common.errors import UserError
from tasks.variants.params import AugmentParams
from tasks.variants.policy import build_transforms, leaf_transforms

Distribution: TypeAlias = dict[State, float]  # probabilities, which add up to 1
MOST_STATES = 4096  # in a distribution: composites in composites multiply them


class Outcome(NamedTuple):
    """A result with its `probability`, and of how many equally likely images it is one.

    `images` is infinite for a continuous result, and 0 for one that cannot be made.
    """

    probability: float
    images: float


@dataclass(frozen=True)
class Capacity:
    """What a policy can make of an image of one size.

    Attributes:
        count: different images, the unchanged one included where it can result; None without bound.
        exact: False where `count` is an upper bound.
        untouched: the probability that nothing changes.
        outcomes: the results that can be told apart; probabilities add up to 1.
        failing: the probability that a step cannot be applied to an image of this size.
    """

    count: int | None
    exact: bool
    untouched: float
    outcomes: tuple[Outcome, ...]
    failing: float = 0.0

    def new(self) -> int | None:
        """How many of the images differ from the source; None without bound."""
        return None if self.count is None else self.count - (self.untouched > 0)

    def expected_distinct(self, draws: float) -> float:
        """How many different images are expected among `draws` independent ones.

        Of an outcome with probability p and n images, n x (1 - (1 - p / n)^draws); the sum of all.
        """
        return sum(_distinct(*outcome, draws) for outcome in self.outcomes)

    def expected_new(self, draws: float) -> float:
        """How many of these are expected to differ from the source too."""
        return self.expected_distinct(draws) - _distinct(self.untouched, 1, draws)


def capacity(policy: list[Any], height: int, width: int) -> Capacity:
    """The capacity of a policy for images of (height, width) whose pixels all differ."""
    return _capacity(build_transforms(policy), height, width)


def capacities_by_source(
    rows: pd.DataFrame, policy: list[Any]
) -> tuple[np.ndarray, list[Capacity]]:
    """The capacities of a policy for many images, found once for each size.

    Args:
        rows: height and width of each image, in pixels.
        policy: as in params.yaml.

    Returns:
        For each row the index of its capacity, int (rows,); and the capacities.
    """
    transforms = build_transforms(policy)
    sizes = rows[["height", "width"]].to_numpy(np.int64)
    if not any(type(leaf).__name__ in SIZED for leaf in leaf_transforms(transforms)):
        sizes = np.minimum(sizes, 2)  # for flips and turns it only matters if a side is one pixel
    keys, index = np.unique(sizes[:, 0] << 32 | sizes[:, 1], return_inverse=True)
    return index, [_capacity(transforms, int(key >> 32), int(key & 0xFFFFFFFF)) for key in keys]


def checked_capacities(
    rows: pd.DataFrame, counts: pd.Series, params: AugmentParams
) -> tuple[np.ndarray, list[Capacity]]:
    """The capacities of the sources, checked: where it is asked for, variants can be distinct.

    Args:
        rows: height, width and file_name of each training source, as the policy gets it.
        counts: variants planned of each.
        params: the augment block.

    Returns:
        See capacities_by_source().

    Raises:
        UserError: where so many distinct variants are known not to exist.
    """
    capacity_index, capacities = capacities_by_source(rows, params.policy)
    if params.distinct:
        _require_enough_variants(rows, counts, capacity_index, capacities)
    return capacity_index, capacities


def _require_enough_variants(
    rows: pd.DataFrame, counts: pd.Series, capacity_index: np.ndarray, capacities: list[Capacity]
) -> None:
    planned_of_source = counts.to_numpy(np.int64)
    most = np.zeros(len(capacities), np.int64)  # planned of an image with that capacity
    np.maximum.at(most, capacity_index, planned_of_source)
    for index, found in enumerate(capacities):
        planned, new = int(most[index]), found.new()
        if found.exact and new is not None and planned > new:
            short = (capacity_index == index) & (planned_of_source == planned)
            example = rows.iloc[int(np.argmax(short))]
            raise UserError(
                f"params.yaml augment.policy: {planned} distinct variants are asked for, and it "
                f"makes {new} of an image of {example['width']} x {example['height']} "
                f"({example['file_name']}); ask for fewer, widen the policy or set "
                "augment.distinct: false"
            )


def _distinct(probability: float, images: float, draws: float) -> float:
    """How many different images of one outcome are expected among `draws`."""
    if images > MOST_COUNTED:
        return draws * probability
    if probability >= images:  # one image for certain, or none
        return min(images, draws)
    return -images * math.expm1(draws * math.log1p(-probability / images))


def _capacity(transforms: list[Any], height: int, width: int) -> Capacity:
    start = State((height, width))
    reached = {start: 1.0}
    for transform in transforms:
        reached = _after_step(transform, reached)
    count = sum(state.images for state in reached)
    bounded = count <= MOST_COUNTED
    return Capacity(
        count=int(count) if bounded else None,
        exact=not bounded or _all_differ(reached),
        untouched=reached.get(start, 0.0),
        outcomes=tuple(Outcome(p, state.images) for state, p in reached.items()),
        failing=sum(p for state, p in reached.items() if not state.pictures),
    )


def _all_differ(reached: Distribution) -> bool:
    """Whether the images counted are known to differ.

    So they are where there is one image, or where all are windows of the source and no two states
    share a size and an orientation: windows of two states could be the same.
    """
    if [state.images for state in reached] == [1]:
        return True
    if any(state.origin is not None for state in reached):
        return False
    kinds = {(state.size, state.transposed, state.flipped) for state in reached}
    return len(kinds) == len(reached)


def _after_step(transform: Any, reached: Distribution, chosen: bool = False) -> Distribution:
    """The states after a step of the policy, which is applied with its probability p.

    `chosen`: OneOf has chosen it, and applies it whatever its p; SomeOf asks its p even then.
    """
    certain = chosen and type(transform).__name__ != "SomeOf"
    p = 1.0 if certain else getattr(transform, "p", 1.0)
    if p == 0:
        return reached
    return _mix([(p, _after_transform(transform, reached)), (1 - p, reached)])


def _after_transform(transform: Any, reached: Distribution) -> Distribution:
    """The states after a transform that is applied for certain."""
    match type(transform).__name__:
        case "Sequential":
            for step in transform.transforms:
                reached = _after_step(step, reached)
            return reached
        case "OneOf":
            weighed = zip(transform.transforms_ps, transform.transforms, strict=True)
            return _mix([(p, _after_step(step, reached, chosen=True)) for p, step in weighed])
        case "SomeOf":
            return _after_some_of(transform, reached)
    parts: list[tuple[float, Distribution]] = []
    for state, p in reached.items():
        parts += [(p * share, {new: 1.0}) for share, new in states_after(transform, state)]
    return _mix(parts)


def _after_some_of(transform: Any, reached: Distribution) -> Distribution:
    """SomeOf chooses `n` steps, all equally likely, and applies them in order, each with its p."""
    by_left = {transform.n: reached}  # the states, by how many steps are still to be chosen
    for index, step in enumerate(transform.transforms):
        steps_left = len(transform.transforms) - index
        parts: dict[int, list[tuple[float, Distribution]]] = {}
        for left, states in by_left.items():
            chances = _chances(left, steps_left, transform.replace)
            for times, p in enumerate(chances):
                parts.setdefault(left - times, []).append((p, states))
                states = _after_step(step, states)
        by_left = {left: _mix(mixed) for left, mixed in parts.items()}
    return by_left[0]


def _chances(left: int, steps: int, replace: bool) -> list[float]:
    """The probabilities that the first of `steps` is among `left` choices 0, 1, ... times."""
    if not replace:
        return [1 - left / steps, left / steps]
    p = 1 / steps
    return [math.comb(left, k) * p**k * (1 - p) ** (left - k) for k in range(left + 1)]


def _mix(parts: list[tuple[float, Distribution]]) -> Distribution:
    """The mixture of distributions, each with its weight."""
    mixed: Distribution = {}
    for weight, states in parts:
        for state, p in states.items():
            if weight * p > 0:
                mixed[state] = mixed.get(state, 0.0) + weight * p
    return mixed if len(mixed) <= MOST_STATES else _merge(mixed)


def _merge(states: Distribution) -> Distribution:
    """The same with the pictures of each size in one state, whose images count as equally likely.

    Neither the number of images nor the expected number of different ones gets less by that. States
    of the source's own pixels stay, so what is exact stays exact.
    """
    merged: Distribution = {}
    by_size: dict[Size | None, Distribution] = {}
    for state, p in states.items():
        redrawn = state.origin is not None and 0 < state.pictures < math.inf
        (by_size.setdefault(state.size, {}) if redrawn else merged)[state] = p
    for size, pictures in by_size.items():
        images = sum(state.images for state in pictures)
        # an object that equals no other: what other ways lead to is counted beside it
        one = State(size, origin=object(), pictures=images if images <= MOST_COUNTED else math.inf)
        merged[one] = sum(pictures.values())
    return merged
