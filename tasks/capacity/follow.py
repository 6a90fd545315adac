"""Follow a policy step by step, as a probability distribution over states."""

import math
from typing import Any, NamedTuple, TypeAlias

from tasks.capacity.pixel_arguments import reach, sides_needed
from tasks.capacity.states import MOST_COUNTED, Size, State
from tasks.capacity.steps import states_after
from tasks.variants.fused.walk import Walk
from tasks.variants.policy import leaf_transforms

Distribution: TypeAlias = dict[State, float]  # probabilities, which add up to 1
MOST_STATES = 4096  # in a distribution: composites in composites multiply them


class Effect(NamedTuple):
    """What a transform does when it is applied, as shares of its applications.

    Attributes:
        reached: how often it is reached, whatever its p; above 1 if it is several times. It weighs
            the shares.
        unchanged: the share that it leaves as it is.
        failing: the share that it cannot be applied to.
        covered: the share that it leaves nothing of but one colour.
        beyond: the share whose shorter side is too short for the pixels it reaches for, see
            sides_needed().
    """

    reached: float = 0.0
    unchanged: float = 0.0
    failing: float = 0.0
    covered: float = 0.0
    beyond: float = 0.0


class Follower(Walk[State]):
    """Follows a policy, and notes what each of its transforms does on the way.

    `effects`: of each transform, in the order of leaf_transforms().
    """

    def __init__(self, transforms: list[Any]) -> None:
        self.transforms = transforms
        self._places = {id(leaf): i for i, leaf in enumerate(leaf_transforms(transforms))}
        self.effects = [Effect()] * len(self._places)

    def follow(self, start: State) -> Distribution:
        """The states that the policy leads to."""
        return self.after_policy(self.transforms, start)

    def after_transform(self, transform: Any, reached: Distribution) -> Distribution:
        """The states after a transform that is applied for certain."""
        parts: list[tuple[float, Distribution]] = []
        for state, p in reached.items():
            followed = states_after(transform, state)
            self._note(transform, state, p, followed)
            parts += [(p * share, {new: 1.0}) for share, new in followed]
        return self.mixed(parts)

    def mixed(self, parts: list[tuple[float, Distribution]]) -> Distribution:
        """The mixture of distributions, each with its weight."""
        mixed = super().mixed(parts)
        return mixed if len(mixed) <= MOST_STATES else _merge(mixed)

    def _note(
        self, transform: Any, state: State, p: float, followed: list[tuple[float, State]]
    ) -> None:
        """Add to the effects of a transform what it makes of a state of probability `p`."""
        if not state.pictures:
            return
        place = self._places[id(transform)]
        least_side = reach(transform) * sides_needed(transform)
        reaches_beyond = state.size is not None and min(state.size) < least_side
        # images without bound are one state before and after a step that changes them
        bounded = not math.isinf(state.pictures)
        shares = (
            sum(q for q, new in followed if new is state or (bounded and new.same_pixels(state))),
            sum(q for q, new in followed if not new.pictures),
            sum(q for q, new in followed if new.one_colour and not state.one_colour),
            float(reaches_beyond),
        )
        reached, *before = self.effects[place]
        means = (
            (old * reached + new * p) / (reached + p)
            for old, new in zip(before, shares, strict=True)
        )
        self.effects[place] = Effect(reached + p, *means)


def _merge(states: Distribution) -> Distribution:
    """The same with the pictures of each size, grey ones apart, in one state.

    Its images count as equally likely.
    Neither the number of images nor the expected number of different ones gets less by that. States
    of the source's own pixels stay, so what is exact stays exact.
    """
    merged: Distribution = {}
    by_kind: dict[tuple[Size | None, int], Distribution] = {}
    for state, p in states.items():
        redrawn = state.origin is not None and 0 < state.pictures < math.inf
        (by_kind.setdefault((state.size, state.grey), {}) if redrawn else merged)[state] = p
    for (size, grey), pictures in by_kind.items():
        images = sum(state.images for state in pictures)
        # an object that equals no other: what other ways lead to is counted beside it
        bounded = images if images <= MOST_COUNTED else math.inf
        one = State(size, origin=object(), pictures=bounded, grey=grey)
        merged[one] = sum(pictures.values())
    return merged
