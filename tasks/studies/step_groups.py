"""Groups of steps by what they change in an image: geometry, light and colour, ..."""

from typing import Any

from tasks.variants.policy import COMPOSITES, LOCATION, parse_step
from tasks.variants.published_policies import PUBLISHED
from tasks.variants.transforms import KINDS

PUBLISHED_GROUP = "published policies"
GROUPS = (*KINDS, PUBLISHED_GROUP)  # in the order of docs/policies.md
GROUP_OF = dict.fromkeys(PUBLISHED, PUBLISHED_GROUP)
for _kind, _names in KINDS.items():
    GROUP_OF |= dict.fromkeys(_names, _kind)


def groups_of(steps: list[Any]) -> dict[str, list[Any]]:
    """The steps of a policy by their groups' names, each group in the policy's order.

    A composite is in the group of its steps; where these are of several, in one of its own, as
    `OneOf of geometry, blur and noise`.
    """
    groups: dict[str, list[Any]] = {}
    for step in steps:
        groups.setdefault(group_of(step), []).append(step)
    return groups


def group_of(step: Any) -> str:
    """The name of the group of a step of params.yaml."""
    name, _ = parse_step(step, LOCATION)
    within = _groups_within(step)
    if len(within) == 1:
        return next(iter(within))
    return f"{name} of {', '.join(group for group in GROUPS if group in within)}"


def _groups_within(step: Any) -> set[str]:
    """The groups of a step alone, or of those in a composite."""
    name, arguments = parse_step(step, LOCATION)
    if name not in COMPOSITES:
        return {GROUP_OF[name]}
    return set().union(*map(_groups_within, arguments["transforms"]))
