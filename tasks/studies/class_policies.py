"""Policies of the augment block, the general one and those of single classes, as one."""

from collections.abc import Callable
from typing import Any

from tasks.variants.params import AugmentParams

Steps = list[Any]


def policies_of(params: AugmentParams) -> list[Steps]:
    """The general policy, and those of single classes."""
    own = (plan.policy for plan in params.per_class.values())
    return [params.policy, *(policy for policy in own if policy is not None)]


def with_steps(params: AugmentParams, change: Callable[[Steps], Steps]) -> AugmentParams:
    """The parameters with each policy changed, the general one and those of single classes."""
    per_class = {
        label: plan
        if plan.policy is None
        else plan.model_copy(update={"policy": change(plan.policy)})
        for label, plan in params.per_class.items()
    }
    return params.model_copy(update={"policy": change(params.policy), "per_class": per_class})


def for_all_classes(params: AugmentParams, steps: Steps) -> AugmentParams:
    """The parameters with one policy for all classes."""
    per_class = {
        label: plan.model_copy(update={"policy": None})
        for label, plan in params.per_class.items()
        if plan.has_number
    }
    return params.model_copy(update={"policy": steps, "per_class": per_class})
