"""Relabelling: which class a variant shows after the steps that were applied to its source.

A left arrow that is flipped is a right arrow: `augment.labels` says so by a map for each step. The
maps compose in the order in which the steps were applied.
"""

from typing import Any, TypeAlias

from tasks.variants.params import LabelRule

# By the name of a step: which class becomes which.
Maps: TypeAlias = dict[str, dict[str, str]]


def maps_of(rules: list[LabelRule]) -> Maps:
    """The maps of all rules that name a class."""
    maps: Maps = {}
    for rule in rules:
        for step, map in rule.relabel.items():
            maps.setdefault(step, {}).update(map)
    return maps


def final_label(label: str, operations: list[dict[str, Any]], maps: Maps) -> str:
    """The class of a variant.

    Args:
        label: of its source.
        operations: those that were applied, in order; see Applied.
        maps: of the source's class.
    """
    for operation in operations:
        label = maps.get(operation["name"], {}).get(label, label)
    return label
