"""Walk through a policy over all its draws at once, as a probability distribution over states.

chain.py goes the same way with one draw; here each step is applied with its probability, and each
choice of a composite has its own.
"""

import math
from typing import Any, Generic, TypeVar

S = TypeVar("S")


class Walk(Generic[S]):
    """The states that a policy leads to. What one transform makes of a state is a subclass's."""

    def after_policy(self, transforms: list[Any], start: S) -> dict[S, float]:
        """The states after all steps, with their probabilities, which add up to 1."""
        reached = {start: 1.0}
        for step in transforms:
            reached = self.after_step(step, reached)
        return reached

    def after_step(
        self, step: Any, reached: dict[S, float], chosen: bool = False
    ) -> dict[S, float]:
        """The states after a step of the policy, which is applied with its probability p.

        `chosen`: OneOf has chosen it, and applies it whatever its p; SomeOf asks its p even then.
        """
        certain = chosen and type(step).__name__ != "SomeOf"
        p = 1.0 if certain else getattr(step, "p", 1.0)
        if p == 0:
            return reached
        return self.mixed([(p, self._after_applied(step, reached)), (1 - p, reached)])

    def after_transform(self, transform: Any, reached: dict[S, float]) -> dict[S, float]:
        """The states after a transform, no composite, that is applied for certain."""
        raise NotImplementedError

    def mixed(self, parts: list[tuple[float, dict[S, float]]]) -> dict[S, float]:
        """The mixture of distributions, each with its weight."""
        mixed: dict[S, float] = {}
        for weight, states in parts:
            for state, p in states.items():
                if weight * p > 0:
                    mixed[state] = mixed.get(state, 0.0) + weight * p
        return mixed

    def _after_applied(self, step: Any, reached: dict[S, float]) -> dict[S, float]:
        match type(step).__name__:
            case "Sequential":
                for inner in step.transforms:
                    reached = self.after_step(inner, reached)
                return reached
            case "OneOf":
                weighed = zip(step.transforms_ps, step.transforms, strict=True)
                return self.mixed(
                    [(p, self.after_step(inner, reached, chosen=True)) for p, inner in weighed]
                )
            case "SomeOf":
                return self._after_some_of(step, reached)
        return self.after_transform(step, reached)

    def _after_some_of(self, step: Any, reached: dict[S, float]) -> dict[S, float]:
        """SomeOf chooses `n` steps, all equally likely, and applies them in order, with their p."""
        by_left = {step.n: reached}  # the states, by how many steps are still to be chosen
        for index, inner in enumerate(step.transforms):
            steps_left = len(step.transforms) - index
            parts: dict[int, list[tuple[float, dict[S, float]]]] = {}
            for left, states in by_left.items():
                chances = _chances(left, steps_left, step.replace)
                for times, p in enumerate(chances):
                    if times:
                        states = self.after_step(inner, states)
                    parts.setdefault(left - times, []).append((p, states))
            by_left = {left: self.mixed(mixed) for left, mixed in parts.items()}
        return by_left[0]


def _chances(left: int, steps: int, replace: bool) -> list[float]:
    """The probabilities that the first of `steps` is among `left` choices 0, 1, ... times."""
    if not replace:
        return [1 - left / steps, left / steps][: left + 1]
    p = 1 / steps
    return [math.comb(left, k) * p**k * (1 - p) ** (left - k) for k in range(left + 1)]
