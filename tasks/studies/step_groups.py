"""Groups of steps by what they change in an image: geometry, tone, noise and blur, erasing, ..."""

from typing import Any


def groups_of(steps: list[Any]) -> dict[str, list[Any]]:
    """The steps of a policy by their groups' names, each group in the policy's order."""
    raise NotImplementedError
