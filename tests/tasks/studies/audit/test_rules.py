"""The rules that follow from what moved, exactly as they are to be pasted."""

from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from tasks.common import yaml_names
from tasks.studies.audit.rules import Tried, as_yaml, rules_from
from tasks.studies.audit.settings import HALF_TURN, settings_of
from tasks.studies.audit.verdicts import Finding
from tasks.variants.label_checks import check_label_rules, check_rules
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import policies


class Move(NamedTuple):
    """What became of a class by a step: which other, from which magnitude on, at which share."""

    step: str
    label: str
    to: str
    low: float | None = None
    argument: str | None = None
    share: float = 0.9


def suggested(policy: list[Any], classes: str, *moves: Move, **more: Any) -> str:
    """The rules as YAML; they are accepted, and take nothing more than they say."""
    params = AugmentParams(policy=policy, variants_per_image=1, **more)
    labels = classes.split()
    tried: list[Tried] = []
    for setting in settings_of(policies(params, labels), labels):
        for label in setting.classes:
            own = [move for move in moves if (move.step, move.label) == (setting.step, label)]
            its = [
                move
                for move in own
                if move.argument in (None, setting.argument)
                and (setting.low is None or move.low is None or setting.low >= move.low)
            ]
            verdict, to, share = ("moves", its[0].to, its[0].share) if its else ("keeps", None, 0.0)
            found = Finding(*setting[:4], label, verdict, to, share, 0, 1, 0, 40)  # type: ignore[arg-type]
            tried.append(Tried(setting, found))
    rules = rules_from(tried)
    pasted = AugmentParams(policy=policy, variants_per_image=1, labels=rules, **more)
    check_rules(pasted)
    check_label_rules(pasted, labels)
    text = as_yaml(rules)
    assert yaml_names.load(text) == {"augment": {"labels": rules}} == YAML(typ="safe").load(text)
    return text.removeprefix("augment:\n  labels:\n")


def both(step: str, one: str, other: str, **more: Any) -> tuple[Move, Move]:
    return Move(step, one, other, **more), Move(step, other, one, **more)


def test_both_classes_get_the_rule_where_one_moves_to_the_other() -> None:
    found = suggested(["VerticalFlip"], "2 5 8", Move("VerticalFlip", "2", "5", share=0.3))
    assert found == "    - classes: ['2', '5']\n      forbid: [VerticalFlip]\n"


def test_classes_that_a_step_exchanges_are_relabelled() -> None:
    moves = both("HorizontalFlip", "left", "right")
    assert suggested(["HorizontalFlip"], "left right up", *moves) == (
        "    - classes: [left, right]\n"
        "      relabel: {HorizontalFlip: {left: right, right: left}}\n"
    )


@pytest.mark.parametrize(
    "moves",
    [
        [Move("Transpose", "a", "b"), Move("Transpose", "b", "a", share=0.79)],
        [Move("Transpose", "a", "b")],  # and b stays
        [Move("Transpose", "a", "b"), Move("Transpose", "b", "b2"), Move("Transpose", "b2", "b")],
    ],
)
def test_what_is_not_one_to_one_is_forbidden(moves: list[Move]) -> None:
    found = suggested(["Transpose"], "a b b2", *moves)
    assert "classes: [a" in found and "forbid: [Transpose]" in found


def test_classes_that_move_in_a_circle_are_relabelled() -> None:
    circle = [Move("InvertImg", "a", "b"), Move("InvertImg", "b", "c"), Move("InvertImg", "c", "a")]
    assert suggested(["InvertImg"], "a b c d", *circle) == (
        "    - classes: [a, b, c]\n      relabel: {InvertImg: {a: b, b: c, c: a}}\n"
    )


def test_a_range_is_bounded_where_smaller_magnitudes_keep() -> None:
    six = Move("Rotate", "6", "9", low=54)
    assert suggested([{"Rotate": {"limit": 90}}], "6 9 0", six) == (
        "    - classes: ['6', '9']\n      bound: {Rotate: {limit: [-54, 54]}}\n"
    )
    one_side = [{"Rotate": {"limit": [-10, 40]}}]
    assert suggested(one_side, "6 9", Move("Rotate", "6", "9", low=16)) == (
        "    - classes: ['6', '9']\n      bound: {Rotate: {limit: [-10, 16]}}\n"
    )


def test_a_bound_is_written_as_the_argument_wants_it() -> None:
    affine = [{"Affine": {"scale": [0.5, 1.5], "translate_percent": {"x": [0, 0.5], "y": 0}}}]
    moves = [
        Move("Affine", "a", "b", argument="scale", low=0.2),
        Move("Affine", "a", "b", argument="translate_percent.x", low=0.3),
    ]
    assert suggested(affine, "a b", *moves) == (
        "    - classes: [a, b]\n"
        "      bound: {Affine: {scale: [0.8, 1.2], translate_percent: {x: [0, 0.3]}}}\n"
    )


def test_the_smallest_crops_are_farthest_from_the_identity() -> None:
    crop = [{"RandomResizedCrop": {"size": [8, 8], "scale": [0.5, 1], "ratio": [1, 1]}}]
    params = AugmentParams(policy=crop, variants_per_image=1)
    tried = [
        Tried(setting, Finding(*setting[:4], "a", verdict, "b", 0.5, 0.4, 0.6, 0, 40))
        for setting in settings_of(policies(params, ["a"]), ["a"])
        for verdict in ["moves" if setting.high == 0.7 else "keeps"]
    ]
    assert rules_from(tried) == [
        {"classes": ["a"], "bound": {"RandomResizedCrop": {"scale": [0.7, 1]}}}
    ]


def test_whole_numbers_are_bounded_by_the_last_that_keeps() -> None:
    blur = [{"Blur": {"blur_limit": [3, 7]}}]
    assert suggested(blur, "a b", Move("Blur", "a", "b", low=5)) == (
        "    - classes: [a, b]\n      bound: {Blur: {blur_limit: [3, 3]}}\n"
    )


def test_where_the_smallest_magnitude_moves_the_step_is_forbidden() -> None:
    moves = [
        Move("RandomGamma", "a", "b", low=0),
        Move("Rotate", "a", "b", low=0),
        Move("Rotate", "a", "b", low=6),
    ]
    steps: list[Any] = [{"Rotate": {"limit": 30}}, "RandomGamma"]
    assert suggested(steps, "a b c", *moves) == (
        "    - classes: [a, b]\n      forbid: [Rotate, RandomGamma]\n"
    )


def test_the_nearest_of_several_such_steps_bounds_all() -> None:
    steps: list[Any] = [{"Rotate": {"limit": 90}}, {"Rotate": {"limit": 30}}]
    assert suggested(steps, "a b", Move("Rotate", "a", "b", low=24)) == (
        "    - classes: [a, b]\n      bound: {Rotate: {limit: [-24, 24]}}\n"
    )


def test_elements_of_d4_are_known_by_the_step_that_does_the_same() -> None:
    moves = [
        *both("D4", "left", "right", argument="h"),
        Move("D4", "up", "down", argument="v", share=0.5),
        Move("D4", "left", "up", argument="hvt", share=0.5),
    ]
    assert suggested(["D4"], "left right up down", *moves) == (
        "    - classes: [down]\n"
        "      forbid: [VerticalFlip]\n"
        "    - classes: [left, right]\n"
        "      forbid: [Transpose]\n"
        "      relabel: {HorizontalFlip: {left: right, right: left}}\n"
        "    - classes: [up]\n"
        "      forbid: [VerticalFlip, Transpose]\n"
    )


ROUND = {"right": "up", "up": "left", "left": "down", "down": "right"}


def turned(turns: int, label: str) -> str:
    for _ in range(turns):
        label = ROUND[label]
    return label


def test_quarter_turns_are_relabelled_where_two_and_three_move_accordingly() -> None:
    moves = [
        Move("RandomRotate90", label, turned(turns, label), argument=element)
        for turns, element in enumerate(["r90", "r180", "r270"], 1)
        for label in ROUND
    ]
    relabelled = (
        "    - classes: [down, left, right, up]\n"
        "      relabel: {RandomRotate90: {down: right, left: down, right: up, up: left}}\n"
    )
    assert suggested(["RandomRotate90"], "left right up down", *moves) == relabelled
    moves[4] = moves[4]._replace(share=0.5)  # of one class by r180
    assert suggested(["RandomRotate90"], "left right up down", *moves) == (
        "    - classes: [down, left, right, up]\n      forbid: [RandomRotate90]\n"
    )


def test_half_a_turn_alone_forbids_all_turns() -> None:
    moves = both("RandomRotate90", "6", "9", argument="r180")
    assert suggested(["RandomRotate90"], "6 9", *moves) == (
        "    - classes: ['6', '9']\n      forbid: [RandomRotate90]\n"
    )


def test_classes_that_become_each_other_share_all_that_is_said_of_them() -> None:
    """A left arrow that was turned up must not be flipped upside down without its label."""
    steps: list[Any] = ["InvertImg", "VerticalFlip", {"Rotate": {"limit": 30}}, {"Blur": {}}]
    moves = [
        *both("InvertImg", "a", "b"),
        *both("VerticalFlip", "b", "c"),
        Move("Rotate", "a", "d", low=12),
        Move("Rotate", "c", "e", low=18),
    ]
    assert suggested(steps, "a b c d e", *moves) == (
        "    - classes: [a, b, c]\n"
        "      bound: {Rotate: {limit: [-12, 12]}}\n"
        "      relabel: {InvertImg: {a: b, b: a}, VerticalFlip: {b: c, c: b}}\n"
        "    - classes: [d]\n"
        "      bound: {Rotate: {limit: [-12, 12]}}\n"
        "    - classes: [e]\n"
        "      bound: {Rotate: {limit: [-18, 18]}}\n"
    )


def test_half_a_turn_by_two_flips_forbids_one_of_them() -> None:
    flips = ["HorizontalFlip", "VerticalFlip"]
    move = both(HALF_TURN, "6", "9")[0]
    assert suggested(flips, "6 8 9", move) == (
        "    - classes: ['6', '9']\n      forbid: [VerticalFlip]\n"
    )


def test_half_a_turn_needs_no_rule_where_its_flips_have_one() -> None:
    flips = ["HorizontalFlip", "VerticalFlip"]
    exchanged = both("HorizontalFlip", "l", "r", share=0.9)
    alone = suggested(flips, "l r", *exchanged)
    assert suggested(flips, "l r", *exchanged, *both(HALF_TURN, "l", "r", share=0.9)) == alone


def test_a_class_without_the_step_needs_no_rule() -> None:
    own = {"b": {"policy": ["Transpose"]}}
    found = suggested(["VerticalFlip"], "a b", Move("VerticalFlip", "a", "b"), per_class=own)
    assert found == "    - classes: [a]\n      forbid: [VerticalFlip]\n"


def test_a_step_with_and_without_a_range_has_no_map() -> None:
    """A map would count for the small turns too."""
    steps: list[Any] = [{"Rotate": {"limit": [180, 180]}}, {"Rotate": {"limit": 10}}]
    params = AugmentParams(policy=steps, variants_per_image=1)
    tried = [
        Tried(setting, Finding(*setting[:4], label, verdict, to, 0.9, 0.8, 1, 0, 40))
        for setting in settings_of(policies(params, "69"), "69")
        for verdict in ["keeps" if setting.argument else "moves"]
        for label, to in (("6", "9"), ("9", "6"))
    ]
    assert rules_from(tried) == [{"classes": ["6", "9"], "forbid": ["Rotate"]}]


def test_names_that_yaml_would_take_for_something_else_are_quoted() -> None:
    moves = both("Transpose", "null", "1e3", share=0.5)
    assert suggested(["Transpose"], "null 1e3 *", *moves, *both("Transpose", "*", "null")) == (
        "    - classes: ['*', '1e3', 'null']\n      forbid: [Transpose]\n"
    )


def test_nothing_follows_from_the_whole_policy() -> None:
    assert suggested(["Transpose"], "a b", Move("policy", "a", "b")) == "augment:\n  labels: []\n"
