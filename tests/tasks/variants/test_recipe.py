import re

import pandas as pd
import pytest
from pydantic import ValidationError

from tasks.common.errors import UserError
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.variants.params import AugmentParams, ClassPlan, Encoding
from tasks.variants.policy import canonical_json
from tasks.variants.recipe import (
    Recipe,
    Recipes,
    check_policies,
    overall_hash,
    policies,
    rows_of_policies,
)

ROTATE = [{"Rotate": {"limit": 20, "p": 1.0}}]


def recipe(policy: list | None = None, **changes: object) -> Recipe:
    settings = {"seed": 42, "encoding": Encoding(), "distinct": True, "max_attempts": 5, **changes}
    return Recipe(policy=canonical_json(ROTATE if policy is None else policy), **settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"policy": []},
        {"distinct": False},
        {"max_attempts": 6},
        {"encoding": Encoding(quality=90)},
        {"fuse": False},
        {"preprocessing": Preprocessing(range="image")},
        {"preprocessing": Preprocessing(preprocess=["grey"])},
    ],
)
def test_whatever_decides_bytes_changes_the_recipes_name(changes: dict) -> None:
    assert recipe(**changes).hash != recipe().hash
    assert recipe().hash == recipe().hash


def test_the_libraries_are_part_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe().hash
    monkeypatch.setattr("tasks.variants.recipe.library_versions", lambda: {"numpy": "0"})
    assert recipe().hash != before


def test_a_recipe_fuses_as_params_say() -> None:
    for fuse in (True, False):
        own = {"cat": {"policy": "VerticalFlip"}}
        params = AugmentParams(variants_per_image=1, policy=ROTATE, per_class=own, fuse=fuse)
        recipes = Recipes.from_params(params, AS_DECODED)
        assert recipes.general.build_policy().fuse is fuse
        assert recipes.of("cat").build_policy().fuse is fuse
    assert AugmentParams(variants_per_image=1, policy=ROTATE).fuse


def test_a_class_with_a_policy_of_its_own_has_a_recipe_of_its_own() -> None:
    own = {"cat": {"policy": "VerticalFlip"}, "dog": {"variants_per_image": 3}}
    params = AugmentParams(variants_per_image=1, policy=ROTATE, per_class=own)
    recipes = Recipes.from_params(params, AS_DECODED)
    assert recipes.of("cat").policy == '["VerticalFlip"]'
    assert recipes.of("dog") == recipes.of("cow") == recipes.general
    same = {"cat": {"policy": ROTATE}}
    params = AugmentParams(variants_per_image=1, policy=ROTATE, per_class=same)
    recipes = Recipes.from_params(params, AS_DECODED)
    assert recipes.of("cat").hash == recipes.general.hash


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"  # one name to people, two to file systems


def test_a_class_has_its_policy_however_its_name_is_composed() -> None:
    for written in (COMPOSED, DECOMPOSED):
        own = {written: {"policy": "VerticalFlip"}, "dog": {"policy": "Transpose"}}
        params = AugmentParams(variants_per_image=1, policy=ROTATE, per_class=own)
        recipes = Recipes.from_params(params, AS_DECODED)
        found = [recipes.of(label).policy for label in (COMPOSED, DECOMPOSED, "dog", "cafe")]
        assert found == [*['["VerticalFlip"]'] * 2, '["Transpose"]', recipes.general.policy]
        labels = pd.Series([DECOMPOSED, "dog", "cow", COMPOSED, "cafe"])
        rows = [(policy.labels, its.tolist()) for policy, its in rows_of_policies(labels, params)]
        assert rows == [
            ((COMPOSED,), [True, False, False, True, False]),
            (("dog",), [False, True, False, False, False]),
            (None, [False, False, True, False, True]),
        ]
        of_cows = rows_of_policies(pd.Series(["cow"]), params)
        assert [policy.labels for policy, _ in of_cows] == [None]
        of_dogs = rows_of_policies(pd.Series(["dog"]), params)
        assert [policy.labels for policy, _ in of_dogs] == [("dog",)]


def test_policies_say_where_they_stand() -> None:
    own = {"cat": {"policy": "VerticalFlip"}, "dog": {"variants_per_image": 3}}
    params = AugmentParams(variants_per_image=1, policy=ROTATE, per_class=own)
    assert policies(params) == [
        (["VerticalFlip"], "params.yaml augment.per_class 'cat' policy", ("cat",), None, ()),
        (ROTATE, "params.yaml augment.policy", None, None, ()),
    ]


def test_the_hash_of_a_dataset_is_that_of_its_recipe_or_over_all() -> None:
    assert overall_hash(["a", "a"]) == "a"
    assert overall_hash(["a", "b"]) == overall_hash(["b", "a", "b"]) == sha256(b"a b")[:16]


def test_a_mistake_in_a_policy_of_a_class_is_told_with_its_place() -> None:
    own = {"cat": {"policy": ["VerticalFlip", {"Rotate": {"limits": 3}}]}}
    params = AugmentParams(variants_per_image=1, policy=ROTATE, per_class=own)
    place = "params.yaml augment.per_class 'cat' policy[1] Rotate"
    with pytest.raises(UserError, match=re.escape(f"{place}: unknown argument 'limits'; known: ")):
        check_policies(params)


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ({}, "needs variants_per_image, target_per_class or policy"),
        (
            {"variants_per_image": 1, "target_per_class": 9},
            "needs one of variants_per_image, target_per_class",
        ),
    ],
)
def test_what_a_class_gets_is_a_number_or_a_policy(own: dict, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ClassPlan(**own)
