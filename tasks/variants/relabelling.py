"""Relabelling: which class a variant shows after the steps that were applied to its source.

A left arrow that is flipped is a right arrow: `augment.labels` says so by a map for each step. The
maps compose in the order in which the steps were applied. That of RandomRotate90 is for one quarter
turn counter-clockwise, and counts as often as the image was turned. D4 and SquareSymmetry count as
the flip, the transposition or the quarter turns that they did. The map of any other step, Rotate
and Affine among them, counts once wherever the step was applied, by however little.
"""

import json
from collections.abc import Iterable
from typing import Any, TypeAlias
from unicodedata import normalize

from tasks.variants.params import LabelRule
from tasks.variants.transforms import OF_ELEMENTS

# By the name of a step: which class becomes which.
Maps: TypeAlias = dict[str, dict[str, str]]
Moves: TypeAlias = tuple[str, ...]  # names of steps whose maps count, in order

TURN = "RandomRotate90"
# What D4 and SquareSymmetry do, by Albumentations' names of the elements of the group.
MOVES: dict[str, Moves] = {
    "e": (),
    "r90": (TURN,),
    "r180": (TURN, TURN),
    "r270": (TURN, TURN, TURN),
    "v": ("VerticalFlip",),
    "hvt": ("Transpose", TURN, TURN),
    "h": ("HorizontalFlip",),
    "t": ("Transpose",),
}


def maps_by_class(
    rules: list[LabelRule], named: dict[str, tuple[int, ...]], spelled: dict[str, str]
) -> dict[str, Maps]:
    """The maps for sources of each class that a rule relabels.

    They are those of the rules for the class, and for what a variant has become on the way, those
    of the rules for that class. Classes of the same rules share them.

    Args:
        rules: of augment.labels.
        named: the numbers of the rules for each class that has some.
        spelled: how the dataset spells its classes. Both by names in Unicode's composed form.
    """
    alike = dict.fromkeys(named.values())
    by_rules = {its: maps_of(map(rules.__getitem__, its), spelled) for its in alike}
    own: Maps = {}  # of what shows a class, by the rules for that class
    for label, its in named.items():
        name = spelled[label]
        for step, pairs in by_rules[its].items():
            if name in pairs:
                own.setdefault(step, {})[name] = pairs[name]
    joined = {its: _joined(own, maps) for its, maps in by_rules.items() if maps}
    return {label: joined[its] for label, its in named.items() if its in joined}


def _joined(first: Maps, second: Maps) -> Maps:
    """Both, of which the second wins."""
    return {step: {**first.get(step, {}), **second.get(step, {})} for step in {**first, **second}}


def maps_of(rules: Iterable[LabelRule], spelled: dict[str, str]) -> Maps:
    """The maps of some rules; `spelled`: see maps_by_class()."""
    maps: Maps = {}
    for rule in rules:
        for step, pairs in rule.relabel.items():
            its = {_spelled(old, spelled): _spelled(new, spelled) for old, new in pairs.items()}
            maps.setdefault(step, {}).update(its)
    return maps


def _spelled(label: str, spelled: dict[str, str]) -> str:
    return spelled.get(normalize("NFC", label), label)


def final_label(label: str, operations: list[dict[str, Any]], maps: Maps) -> str:
    """The class of a variant.

    Args:
        label: of its source.
        operations: those that were applied, in order; see Applied.
        maps: of the source's class.
    """
    for operation in operations:
        label = moved(label, _moves_of(operation), maps)
    return label


def final_label_of_row(label: str, operations: str, maps: Maps) -> str:
    """final_label() from the text of the ledger, which is parsed only where it names such a step.

    Of a million rows most of the time is parsing.
    """
    if not any(step in operations for step in (*maps, *OF_ELEMENTS)):
        return label
    return final_label(label, json.loads(operations), maps)


def _moves_of(operation: dict[str, Any]) -> Moves:
    """What an operation counts as."""
    name = operation["name"]
    if name in OF_ELEMENTS:
        return MOVES[operation["group_element"]]
    return (name,) * operation["factor"] if name == TURN else (name,)


def moved(label: str, moves: Moves, maps: Maps) -> str:
    """The class of an image of class `label` after some moves."""
    for step in moves:
        label = maps.get(step, {}).get(label, label)
    return label
