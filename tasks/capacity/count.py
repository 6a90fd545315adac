"""Count how many different images a policy can make of an image of one size, grey or coloured.

Examples, for an image of 8 x 8 pixels:

    HorizontalFlip (p 0.5)          2: as it was, and mirrored
    RandomCrop to 6 x 6             9: (8 - 6 + 1) x (8 - 6 + 1) windows
    both, one after the other      18
    HorizontalFlip, InvertImg       4 at most: inverted pixels are not compared with others
    Rotate by up to 15 degrees     no bound: the angle is drawn from a continuous range
    ChannelShuffle                 6 at most; 1 if the image is grey: its channels are equal
    CoarseDropout, 8 to 32 pixels  1: the hole covers all of it

How: a policy is followed step by step, as a probability distribution over states (follow.py).
Flips, quarter turns and crops of the source are counted exactly, and so is what leaves a grey image
as it is (grey_images.py). Holes are counted by their places (holes.py). Of any other step the
number of its random draws is counted (draws.py), which bounds what it makes.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks.capacity import pixel_arguments
from tasks.capacity.follow import Distribution, Effect, Follower
from tasks.capacity.states import MOST_COUNTED, State
from tasks.capacity.steps import SIZED
from tasks.common.errors import UserError
from tasks.variants.params import AugmentParams
from tasks.variants.policy import build_transforms, leaf_transforms, takes_grey
from tasks.variants.recipe import ClassPolicy, rows_of_policies

ALWAYS = 0.999  # a share of what a step is applied to, but for rounding


class Outcome(NamedTuple):
    """A result with its `probability`, and of how many equally likely images it is one.

    `images` is infinite for a continuous result, and 0 for one that no variant is written of: a
    step fails, or leaves nothing but one colour.
    """

    probability: float
    images: float


@dataclass(frozen=True)
class Capacity:
    """What a policy can make of an image of one size, grey or coloured.

    Attributes:
        count: different images, the unchanged one included where it can result, and one of a single
            colour, of which no variant is written; None without bound.
        exact: False where `count` is an upper bound.
        untouched: the probability that nothing changes.
        outcomes: the results that can be told apart; probabilities add up to 1.
        failing: the probability that a step cannot be applied to an image of this size.
        covered: the probability that nothing is left of it but one colour.
        effects: what each transform does, in the order of leaf_transforms().
    """

    count: int | None
    exact: bool
    untouched: float
    outcomes: tuple[Outcome, ...]
    failing: float = 0.0
    covered: float = 0.0
    effects: tuple[Effect, ...] = ()

    def new(self) -> int | None:
        """How many of the images differ from the source; None without bound."""
        return None if self.count is None else self.count - (self.untouched > 0)

    def most_written(self) -> int | None:
        """How many different variants there can be at most: new ones, and not of one colour."""
        new = self.new()
        return None if new is None else new - (self.covered > 0)

    def expected_distinct(self, draws: float) -> float:
        """How many different images are expected among `draws` independent ones.

        Of an outcome with probability p and n images, n x (1 - (1 - p / n)^draws); the sum of all.
        """
        return sum(_distinct(*outcome, draws) for outcome in self.outcomes)

    def expected_new(self, draws: float) -> float:
        """How many of these are expected to differ from the source too."""
        return self.expected_distinct(draws) - _distinct(self.untouched, 1, draws)

    def expected_shown(self, draws: float) -> float:
        """How many different images are expected to be shown by variants made on the fly.

        The source stands in for what is rejected.
        """
        source_shown = min(self.untouched + self.failing + self.covered, 1.0)
        return self.expected_new(draws) + _distinct(source_shown, 1, draws)


def capacity(policy: list[Any], height: int, width: int, grey: int = 0) -> Capacity:
    """The capacity of a policy for images of (height, width) whose pixels all differ.

    `grey`: of how many equal channels they are, 1 or 3; 0 where they have colours.
    """
    transforms = build_transforms(policy)
    return _capacity(transforms, height, width, 3 if grey and not takes_grey(transforms) else grey)


def capacities_by_source(
    rows: pd.DataFrame, policy: list[Any]
) -> tuple[np.ndarray, list[Capacity]]:
    """The capacities of a policy for many images, found once for each size of grey and coloured.

    Args:
        rows: height and width of each image, in pixels, and `grey`, see policy_inputs().
        policy: as in params.yaml.

    Returns:
        For each row the index of its capacity, int (rows,); and the capacities.
    """
    transforms = build_transforms(policy)
    most = _largest_side_that_matters(transforms)
    kinds = rows[["height", "width"]].clip(upper=most).assign(grey=rows["grey"])
    if not takes_grey(transforms):
        kinds["grey"] = kinds["grey"].replace(1, 3)
    index = kinds.groupby(list(kinds), sort=True).ngroup().to_numpy(np.int64)
    different = kinds.drop_duplicates().sort_values(list(kinds)).to_numpy(np.int64).tolist()
    return index, [_capacity(transforms, *kind) for kind in different]


def _largest_side_that_matters(transforms: list[Any]) -> int | None:
    """Longer sides of an image count as this one; None where every length may count otherwise.

    For flips and turns it only matters whether a side is one pixel.
    """
    leaves = list(leaf_transforms(transforms))
    if any(type(leaf).__name__ in SIZED for leaf in leaves):
        return None
    reached = [
        max(
            pixel_arguments.reach(leaf) * pixel_arguments.sides_needed(leaf),
            *pixel_arguments.needed_size(leaf),
        )
        for leaf in leaves
    ]
    return max([1, *reached]) + 1


def checked_capacities(
    rows: pd.DataFrame, counts: pd.Series, params: AugmentParams
) -> tuple[np.ndarray, list[Capacity]]:
    """The capacities of the sources, checked: where it is asked for, variants can be distinct.

    Args:
        rows: height, width, grey, label and file_name of each training source, as the policy gets
            it.
        counts: variants planned of each.
        params: the augment block.

    Returns:
        See capacities_by_source().

    Raises:
        UserError: where so many distinct variants are known not to exist, of no image of a class.
    """
    capacity_index = np.zeros(len(rows), np.int64)
    capacities: list[Capacity] = []
    for policy, its in rows_of_policies(rows["label"], params):
        index, found = capacities_by_source(rows[its], policy.steps)
        if params.distinct:
            _require_enough_variants(rows[its], counts[its], policy, index, found)
        capacity_index[its] = index + len(capacities)
        capacities += found
    return capacity_index, capacities


def _require_enough_variants(
    rows: pd.DataFrame,
    counts: pd.Series,
    policy: ClassPolicy,
    capacity_index: np.ndarray,
    capacities: list[Capacity],
) -> None:
    known = [_exactly_new(capacity) for capacity in capacities]
    planned = counts.to_numpy(np.int64)
    short = pd.Series(planned > np.array(known, float)[capacity_index], rows.index)
    given = planned > 0
    of_class = short[given].groupby(rows["label"][given]).transform("all")
    hopeless = of_class.index[of_class]
    if hopeless.empty:
        return
    place = rows.index.get_loc(hopeless[0])
    example, found = rows.iloc[place], capacities[capacity_index[place]]
    why = _why(found, policy)
    kind = "a grey image" if example["grey"] and why else "an image"
    raise UserError(
        f"{policy.location}: {planned[place]} distinct variants are asked for, and it "
        f"makes {found.new()} of {kind} of {example['width']} x {example['height']} "
        f"({example['file_name']}){why}; ask for fewer, add a step to the policy or set "
        "augment.distinct: false"
    )


def _why(found: Capacity, policy: ClassPolicy) -> str:
    """The transforms that leave an image as it is, in words."""
    leaves = leaf_transforms(build_transforms(policy.steps))
    names = [type(leaf).__name__ for leaf in leaves]
    named = dict.fromkeys(
        name
        for name, effect in zip(names, found.effects, strict=True)
        if effect.unchanged > ALWAYS and name != "NoOp"
    )
    return f"; {', '.join(named)}: changes no pixel of it" if named else ""


def _exactly_new(capacity: Capacity) -> float:
    """How many new images there are, if that is known; infinite else.

    Whether one of a single colour is written depends on the pixels of its source.
    """
    new = capacity.new()
    return math.inf if new is None or not capacity.exact or capacity.covered else new


def _distinct(probability: float, images: float, draws: float) -> float:
    """How many different images of one outcome are expected among `draws`."""
    if images > MOST_COUNTED:
        return draws * probability
    if probability >= images:  # one image for certain, or none
        return min(images, draws)
    return -images * math.expm1(draws * math.log1p(-probability / images))


def _capacity(transforms: list[Any], height: int, width: int, grey: int) -> Capacity:
    start = State((height, width), grey=grey)
    follower = Follower(transforms)
    reached = _by_pixels(follower.follow(start))
    count = sum(state.images for state in reached)
    bounded = count <= MOST_COUNTED
    return Capacity(
        count=int(count) if bounded else None,
        exact=not bounded or _all_differ(reached),
        untouched=reached.get(start._replace(grey=min(grey, 1)), 0.0),
        outcomes=tuple(
            Outcome(p, 0 if state.one_colour else state.images) for state, p in reached.items()
        ),
        failing=sum(p for state, p in reached.items() if not state.pictures),
        covered=sum(p for state, p in reached.items() if state.one_colour),
        effects=tuple(follower.effects),
    )


def _by_pixels(reached: Distribution) -> Distribution:
    """The states, where one grey channel and three equal ones are the same image."""
    merged: Distribution = {}
    for state, p in reached.items():
        same = state._replace(grey=min(state.grey, 1))
        merged[same] = merged.get(same, 0.0) + p
    return merged


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
