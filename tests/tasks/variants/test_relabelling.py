"""What a variant shows after its steps: drawn arrows, maps by hand, and chances against draws."""

import json
from typing import Any

import numpy as np
import pytest

from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.params import AugmentParams, LabelRule
from tasks.variants.policy import Policy
from tasks.variants.recipe import Recipes
from tasks.variants.relabelling import (
    final_label,
    final_label_of_row,
    maps_of,
)

TURN = {"right": "up", "up": "left", "left": "down", "down": "right"}  # counter-clockwise
SWAP = {"left": "right", "right": "left"}
MAPS = {
    "HorizontalFlip": SWAP,
    "VerticalFlip": {"up": "down", "down": "up"},
    "Transpose": {"left": "up", "up": "left", "right": "down", "down": "right"},
    "RandomRotate90": TURN,
}


def arrow(direction: str) -> np.ndarray:
    """An arrow of 9 x 9 pixels, the same in each direction, but for where it points."""
    right = np.zeros((9, 9), np.uint8)
    right[4, 1:8] = right[3, 6] = right[5, 6] = right[2, 5] = right[6, 5] = 255
    return np.rot90(right, ["right", "up", "left", "down"].index(direction))


def one(step: str, **arguments: Any) -> dict[str, Any]:
    return {step: {"p": 1.0, **arguments}}


@pytest.mark.parametrize("step", ["D4", "SquareSymmetry", *MAPS])
@pytest.mark.parametrize("direction", TURN)
def test_the_label_is_where_the_arrow_points(step: str, direction: str) -> None:
    policy, seen = Policy([one(step)]), set()
    for seed in range(64):
        applied = policy.apply(arrow(direction), seed)
        label = final_label(direction, applied.operations, MAPS)
        assert np.array_equal(applied.pixels, arrow(label))
        seen.add(str(applied.operations))
    assert len(seen) == {"D4": 8, "SquareSymmetry": 8, "RandomRotate90": 4}.get(step, 1)


def test_so_it_is_after_many_steps_in_composites() -> None:
    inner = ["D4", {"OneOf": {"transforms": ["Transpose", "VerticalFlip"], "p": 0.8}}]
    inner.append({"Sequential": {"transforms": ["RandomRotate90", "HorizontalFlip"], "p": 0.7}})
    policy = Policy(["HorizontalFlip", {"SomeOf": {"transforms": inner, "n": 2, "p": 1.0}}])
    several = 0
    for seed in range(200):
        applied = policy.apply(arrow("up"), seed)
        label = final_label("up", applied.operations, MAPS)
        assert np.array_equal(applied.pixels, arrow(label))
        several += len(applied.operations) > 2
    assert several > 50


def test_maps_compose_in_the_order_of_application() -> None:
    maps = {"HorizontalFlip": {"a": "b"}, "Transpose": {"b": "c", "a": "d"}}
    flip, transpose = {"name": "HorizontalFlip"}, {"name": "Transpose"}
    assert final_label("a", [flip, transpose], maps) == "c"
    assert final_label("a", [transpose, flip], maps) == "d"
    assert final_label("a", [{"name": "Blur"}], maps) == final_label("a", [], maps) == "a"
    turns = [{"name": "RandomRotate90", "factor": factor} for factor in range(4)]
    found = [final_label("right", [turn], MAPS) for turn in turns]
    assert found == ["right", "up", "left", "down"]


def test_another_steps_map_counts_once_wherever_it_was_applied() -> None:
    maps = {"Rotate": {"up": "tilted"}}
    for angle in (-90.0, 0.1):
        assert final_label("up", [{"name": "Rotate", "angle": angle}], maps) == "tilted"


def test_the_ledgers_text_gives_the_same() -> None:
    policy = Policy(["D4", "HorizontalFlip", "RandomBrightnessContrast", "RandomRotate90"])
    for seed in range(50):
        operations = policy.apply(arrow("left"), seed).operations
        text = json.dumps(operations)
        assert final_label_of_row("left", text, MAPS) == final_label("left", operations, MAPS)
    assert final_label_of_row("left", "[]", MAPS) == "left"


def test_names_are_those_of_the_dataset_however_they_are_composed() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    rule = {"classes": ["tea", composed], "relabel": {"HorizontalFlip": {"tea": composed}}}
    params = AugmentParams(variants_per_image=1, policy=["HorizontalFlip"], labels=[rule])
    recipes = Recipes.from_params(params, AS_DECODED, [decomposed, "tea", "water"])
    flip = [{"name": "HorizontalFlip"}]
    assert recipes.final_label("tea", flip) == decomposed
    assert recipes.final_label("water", flip) == "water"
    assert [bool(recipes.maps_of(label)) for label in ("tea", composed, "water")] == [
        True,
        True,
        False,
    ]


def test_labels_are_no_part_of_a_recipe() -> None:
    rule = {"classes": ["left", "right"], "relabel": {"HorizontalFlip": SWAP}}
    block = {"variants_per_image": 1, "policy": ["HorizontalFlip"]}
    both = [AugmentParams(**block, labels=labels) for labels in ([], [rule])]
    plain, relabelling = (Recipes.from_params(each, AS_DECODED, SWAP) for each in both)
    assert plain.of("left").hash == relabelling.of("left").hash
    assert (plain.maps, relabelling.maps["left"]) == ({}, {"HorizontalFlip": SWAP})


def test_the_maps_of_several_rules_are_joined() -> None:
    first = LabelRule(classes=["*"], relabel={"Transpose": {"a": "b"}})
    second = LabelRule(classes=["a"], relabel={"Transpose": {"b": "a"}, "Rotate": {"a": "c"}})
    assert maps_of([first, second], {}) == {
        "Transpose": {"a": "b", "b": "a"},
        "Rotate": {"a": "c"},
    }


def test_what_a_variant_became_is_relabelled_by_the_rules_for_that_class() -> None:
    rules = [
        {"classes": ["left", "right"], "relabel": {"HorizontalFlip": SWAP}},
        {"classes": ["*"], "relabel": {"Transpose": MAPS["Transpose"]}},
        {"classes": ["up"], "relabel": {"Rotate": {"left": "right"}}},
    ]
    policy = ["Transpose", "HorizontalFlip", "Rotate"]
    params = AugmentParams(variants_per_image=1, policy=policy, labels=rules)
    recipes = Recipes.from_params(params, AS_DECODED, TURN)
    steps = [{"name": "Transpose"}, {"name": "HorizontalFlip"}]
    assert recipes.final_label("up", steps) == "right"  # by way of left
    assert recipes.final_label("up", steps[1:]) == "up"
    # a rule for a class that says what becomes of another is for its own images alone
    assert recipes.final_label("up", [steps[0], {"name": "Rotate"}]) == "right"
    assert recipes.final_label("left", [{"name": "Rotate"}]) == "left"
    assert recipes.maps_of("left") is recipes.maps_of("right")
