"""Which arms a policy has; what they keep of it."""

from typing import Any

import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.studies.ablate.arms import arms_of
from tasks.studies.trainings.arm import NONE, Arm
from tasks.variants.params import AugmentParams

SHIFT: dict[str, Any] = {"Affine": {"translate_percent": [-0.1, 0.1]}}
TONE, NOISE = "RandomGamma", "GaussNoise"
FLIP = "HorizontalFlip"
SCALED = {"trivialaugment": {"scaled": True}}
PHOTOS = pd.DataFrame({"width": [800, 600], "height": [600, 80]})
SMALL = pd.DataFrame({"width": [600, 28], "height": [28, 28]})


def params(policy: Any, **others: Any) -> AugmentParams:
    return AugmentParams.model_validate({"variants_per_image": 4, "policy": policy, **others})


def steps_of(arms: list[Arm]) -> dict[str, list[Any]]:
    return {arm.name: arm.augment.policy for arm in arms if arm.augment is not None}


def test_each_group_alone_and_left_out_all_and_the_yardstick_in_the_policys_order() -> None:
    arms = arms_of(params([SHIFT, TONE, FLIP, NOISE]), 4, PHOTOS)
    assert arms[0] == NONE
    assert steps_of(arms) == {
        "geometry alone": [SHIFT, FLIP],
        "light and colour alone": [TONE],
        "blur and noise alone": [NOISE],
        "all but geometry": [TONE, NOISE],
        "all but light and colour": [SHIFT, FLIP, NOISE],
        "all but blur and noise": [SHIFT, TONE, FLIP],
        "all": [SHIFT, TONE, FLIP, NOISE],
        "trivialaugment": ["trivialaugment"],
    }
    assert {arm.variants for arm in arms[1:]} == {4}


def test_equal_arms_are_made_once() -> None:
    two = arms_of(params([SHIFT, TONE]), None, PHOTOS)
    assert [arm.name for arm in two] == [
        "none", "geometry alone", "light and colour alone", "all", "trivialaugment",
    ]  # fmt: skip
    one = arms_of(params([SHIFT, FLIP]), None, PHOTOS)
    assert [arm.name for arm in one] == ["none", "all", "trivialaugment"]


def test_a_published_policy_is_one_arm() -> None:
    one = steps_of(arms_of(params("randaugment"), 4, PHOTOS))
    assert one == {"all": ["randaugment"], "trivialaugment": ["trivialaugment"]}
    assert steps_of(arms_of(params("trivialaugment"), 4, PHOTOS)) == {"all": ["trivialaugment"]}


def test_small_images_have_the_yardstick_in_both_forms() -> None:
    arms = steps_of(arms_of(params([FLIP]), 4, SMALL))
    assert arms["trivialaugment"] == ["trivialaugment"]
    assert arms["scaled trivialaugment"] == [SCALED]


def test_policies_of_single_classes_are_cut_as_the_general_one_is() -> None:
    own = {"6": {"policy": [TONE]}, "9": {"variants_per_image": 2}}
    arms: dict[str, Any] = {
        arm.name: arm.augment for arm in arms_of(params([SHIFT], per_class=own), 4, PHOTOS)
    }
    cut = ["geometry alone", "light and colour alone", "all"]
    assert list(arms) == ["none", *cut, "trivialaugment"]
    of_six = {name: arms[name].per_class["6"].policy for name in cut}
    assert of_six == {"geometry alone": [], "light and colour alone": [TONE], "all": [TONE]}
    # TrivialAugment has one policy for all; a number of a class stays
    trivial = arms["trivialaugment"]
    assert list(trivial.per_class) == ["9"] and trivial.per_class["9"].policy is None


def test_gates_and_rules_stay() -> None:
    rules = [{"classes": ["6"], "forbid": [FLIP]}]
    given = params([SHIFT, FLIP, TONE], labels=rules, gates={"border": {"max": 0.5}})
    for arm in arms_of(given, 4, PHOTOS)[1:]:
        assert arm.augment is not None
        assert (arm.augment.labels, arm.augment.gates) == (given.labels, given.gates)


def test_without_a_step_or_a_variant_there_is_nothing_to_try() -> None:
    with pytest.raises(UserError) as error:
        arms_of(params([]), 4, PHOTOS)
    assert str(error.value) == "params.yaml augment.policy: needs a step to try, found none"
    with pytest.raises(UserError) as error:
        arms_of(params([SHIFT]), 0, PHOTOS)
    assert str(error.value) == (
        "params.yaml augment: needs variants to try with train.augmentation: offline, "
        "found none in its plan"
    )
