"""Settings: each step of a policy alone at p = 1, at each magnitude, then the whole policy."""

from typing import Any, NamedTuple

WHOLE_POLICY = "policy"  # in place of a step's name
BINS = 5


class Setting(NamedTuple):
    """What is tried: a policy that makes the variants, and what it is called.

    Attributes:
        step: the step's name, or WHOLE_POLICY.
        argument: the range of the step that is tried, others being at rest; None where the step has
            none.
        low, high: the magnitude: values of the argument, as params.yaml has them. Where the range
            lies on both sides of the identity, distances from it, and both sides are tried. None
            where there is no argument.
        policies: of which each makes half of the variants, or all; steps as params.yaml has them.
        classes: for which it is tried, sorted: a rule may forbid the step for others.
    """

    step: str
    argument: str | None
    low: float | None
    high: float | None
    policies: tuple[list[Any], ...]
    classes: tuple[str, ...]
