"""A policy made weaker: ranges scaled towards the identity, where a step changes nothing."""

from typing import Any


def weakened(steps: list[Any], strength: float) -> list[Any]:
    """The steps of a policy at a strength from 0, which changes nothing, to 1, as they stand."""
    raise NotImplementedError
