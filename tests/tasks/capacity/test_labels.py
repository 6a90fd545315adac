"""How many variants of each class are expected: by hand, and against draws."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.augment.expand import expand_source
from tasks.capacity import labels
from tasks.capacity.labels import expected_by_source, expected_labels, label_chances
from tasks.pixels.encode import encode
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.params import AugmentParams
from tasks.variants.policy import Policy, build_transforms
from tasks.variants.recipe import Recipes
from tasks.variants.relabelling import final_label
from tasks.variants.sources import Source
from tests.tasks.variants.test_relabelling import MAPS, TURN, arrow, one


def chances(policy: list[Any], label: str = "right") -> dict[str, float]:
    return label_chances(label, build_transforms(policy), MAPS)


HALF = {"p": 0.5}
FLIP, UPSIDE = {"HorizontalFlip": HALF}, {"VerticalFlip": HALF}
BOTH = [one("HorizontalFlip"), {"Transpose": HALF}]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ([], {"right": 1}),
        (["RandomBrightnessContrast"], {"right": 1}),
        ([{"HorizontalFlip": {"p": 0.3}}], {"right": 0.7, "left": 0.3}),
        ([FLIP, {"HorizontalFlip": {"p": 0.25}}], {"right": 0.5, "left": 0.5}),
        ([one("RandomRotate90")], dict.fromkeys(TURN, 1 / 4)),
        ([{"D4": {"p": 0.8}}], {"right": 0.4, "left": 0.2, "up": 0.2, "down": 0.2}),
        # a OneOf applies what it chooses, with the shares of p as weights
        (
            [{"OneOf": {"transforms": [{"HorizontalFlip": {"p": 0.2}}, {"Blur": {"p": 0.6}}]}}],
            {"right": 1 - 0.5 / 4, "left": 0.5 / 4},
        ),
        # transposed, an arrow to the left points up, one to the right down
        ([{"Sequential": {"transforms": BOTH, **HALF}}], {"right": 0.5, "left": 0.25, "up": 0.25}),
        # one of two, in their order: a flip, or a transposition at p 0.5
        ([one("SomeOf", transforms=BOTH)], {"left": 0.5, "right": 0.25, "down": 0.25}),
        # two with replacement: one kind twice or one of each; each is applied at p 0.5
        (
            [one("SomeOf", transforms=[FLIP, UPSIDE], n=2, replace=True)],
            {"left": 1 / 4 * 1 / 2 + 1 / 2 * 1 / 2, "right": 5 / 8},
        ),
    ],
)
def test_chances_by_hand(policy: list[Any], expected: dict[str, float]) -> None:
    found = chances(policy)
    assert found == pytest.approx(expected)
    assert sum(found.values()) == pytest.approx(1)


def test_a_symmetry_that_has_some_elements_alone_is_one_of_them() -> None:
    some = chances([one("D4", elements=["e", "h", "hvt"])])
    assert some == pytest.approx({"right": 1 / 3, "left": 1 / 3, "up": 1 / 3})


@pytest.mark.parametrize("draws", [2_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_chances_are_those_of_draws(draws: int) -> None:
    symmetry = {"OneOf": {"transforms": [{"D4": {"p": 0.2}}, {"Transpose": {"p": 0.6}}], "p": 0.7}}
    nested = {"Sequential": {"transforms": [FLIP, {"RandomRotate90": {"p": 0.3}}], "p": 0.6}}
    some = {"SomeOf": {"transforms": [symmetry, nested, UPSIDE], "n": 2, "p": 0.9}}
    again = {"SomeOf": {"transforms": [FLIP, "Transpose", UPSIDE], "n": 3, "replace": True}}
    steps = [{"HorizontalFlip": {"p": 0.2}}, some, again]
    policy, image = Policy(steps), arrow("right")
    seen = Counter(
        final_label("right", policy.apply(image, seed).operations, MAPS) for seed in range(draws)
    )
    expected = chances(steps)
    assert len({round(p, 3) for p in expected.values()}) == 4
    for label, p in expected.items():
        assert abs(seen[label] / draws - p) < 4 * (p * (1 - p) / draws) ** 0.5


def recipes_of(policy: list[Any], distinct: bool = True, **block: Any) -> Recipes:
    """Those of left and right, which MAPS relabel, and of other, which they do not."""
    rule = {"classes": ["left", "right"], "relabel": MAPS}
    params = AugmentParams(
        variants_per_image=1, policy=policy, labels=[rule], distinct=distinct, **block
    )
    return Recipes.from_params(params, AS_DECODED, [*TURN, "other"])


def expected(policy: list[Any], planned: int, **block: Any) -> dict[str, float]:
    found = expected_labels(pd.Series(["right"]), pd.Series([planned]), recipes_of(policy, **block))
    return {label: number for label, number in found.items() if number}


def test_without_distinct_expected_numbers_are_chances() -> None:
    rows = pd.Series(["left", "left", "right", "other", "other"])
    planned = pd.Series([4, 6, 4, 7, 0])
    recipes = recipes_of([{"HorizontalFlip": {"p": 0.25}}], distinct=False)
    assert expected_by_source(rows, planned, recipes) == {
        "left": pytest.approx({"left": 7.5, "right": 2.5}),
        "right": pytest.approx({"right": 3, "left": 1}),
        "other": {"other": 7},
    }
    total = expected_labels(rows, planned, recipes)
    assert total == pytest.approx({"left": 8.5, "right": 5.5, "other": 7})


def test_what_was_seen_is_drawn_again() -> None:
    # the image as it is equals the source
    assert expected([{"HorizontalFlip": {"p": 0.5}}], 1, max_attempts=60) == pytest.approx(
        {"left": 1}
    )
    # one attempt, and it is as likely as not
    assert expected([FLIP], 1, max_attempts=1) == {"left": 0.5}
    # there is no second one
    assert expected([FLIP], 3, max_attempts=60) == pytest.approx({"left": 1})
    # nor is what nothing more was done to
    assert expected(["NoOp", FLIP], 3, max_attempts=60) == pytest.approx({"left": 1})
    # flipped alone, turned a little, or both, all equally likely; flipped alone it is new once
    both = [FLIP, {"Rotate": {"limit": 8, "p": 0.5}}]
    flipped = [2 / 3, 1 / 3 * 1 / 2 + 2 / 3 * 2 / 3]
    found = expected(both, 2, max_attempts=60)
    assert found == pytest.approx({"left": sum(flipped), "right": 2 - sum(flipped)})
    # of seven other symmetries one each
    assert expected([one("D4")], 7, max_attempts=500) == pytest.approx(
        {"left": 2, "up": 2, "down": 2, "right": 1}
    )


def test_many_variants_are_followed_until_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    after = labels._after_variant
    monkeypatch.setattr(labels, "_after_variant", lambda *args: calls.append(1) or after(*args))
    found = expected([FLIP, {"Rotate": {"limit": 8, "p": 0.5}}], 1_000_000)
    # once the flip alone was seen, half of all draws were: ten of them are all drawn in vain
    assert sum(found.values()) == pytest.approx(1_000_000 * (1 - 0.5**10))
    assert found["left"] / found["right"] == pytest.approx(1, abs=1e-4) and len(calls) < 100


def test_variants_that_are_made_have_these_labels(tmp_path: Any) -> None:
    steps = [FLIP, {"RandomRotate90": {"p": 0.3}}, {"RandomBrightnessContrast": {"p": 0.3}}]
    recipes, number, each = recipes_of(steps), 60, 5
    seen: Counter[str] = Counter()
    for place in range(number):
        noise = np.random.default_rng(place).integers(0, 40, (9, 9), dtype=np.uint8)
        data = encode(arrow("right") // 2 + noise, "png")
        path = tmp_path / f"{place}.png"
        path.write_bytes(data)
        name = sha256(data)
        source = Source(
            str(path), None, len(data), name[:16], name, "right", "PNG", 9, 9, 1, 8, each
        )
        for row, _ in expand_source(source, recipes.of("right")):
            seen[recipes.final_label("right", row["operations"])] += 1
    found = expected_labels(pd.Series(["right"] * number), pd.Series([each] * number), recipes)
    alone = label_chances("right", build_transforms(steps), MAPS)
    assert max(abs(found[label] - 300 * p) for label, p in alone.items()) > 15
    for label, count in found.items():
        assert abs(seen[label] - count) < 4 * (count * (1 - count / 300)) ** 0.5
