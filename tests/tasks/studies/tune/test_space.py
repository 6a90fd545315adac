"""What a trial may choose, what its trainings show, and what it writes into params.yaml."""

from typing import Any

import pytest
from optuna.trial import FixedTrial

from tasks.studies.trainings.arm import NONE
from tasks.studies.trainings.presentations import Presentations
from tasks.studies.tune.space import ONLINE, Space, arm_of, block_of, choose, parameters_of
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams
from tests.tasks.studies.tune.fake import ROTATE, space_of

PUBLISHED = ["trivialaugment", "trivialaugment_scaled", "randaugment"]
BALANCED = {
    "target_per_class": 90,
    "at_least": True,
    "policy": [ROTATE],
    "per_class": {"a": {"policy": ["HorizontalFlip"]}, "b": {"variants_per_image": 2}},
    "labels": [{"classes": "a", "forbid": "HorizontalFlip"}],
}


def balanced(variants: int | None = 3, **train: Any) -> Space:
    augment = AugmentParams.model_validate(BALANCED)
    params = TrainParams.model_validate(train)
    return Space(augment, params, Presentations(variants, 30))


def test_own_policy_and_published_ones_are_on_offer_with_several_numbers_of_variants() -> None:
    space = space_of(ROTATE, variants=3)
    assert space.kinds == ["strength", *PUBLISHED]
    assert space.variants == [1, 2, 3, 4, 8, ONLINE]
    assert space.first == [("none", {}), ("present", {}), ("trivialaugment", {"variants": 3})]


def test_on_the_fly_is_how_variants_are_shown_first_where_they_are_now() -> None:
    space = space_of(ROTATE, variants=None, augmentation="online")
    assert space.variants == [1, 2, 4, 8, ONLINE]
    assert space.first[-1] == ("trivialaugment", {"variants": ONLINE})


def test_no_more_variants_than_epochs_would_show() -> None:
    assert space_of(ROTATE, epochs=4).variants == [1, 2, ONLINE]


def test_no_more_variants_than_an_image_may_have() -> None:
    block = {"variants_per_image": 2, "max_per_image": 3, "policy": [ROTATE]}
    space = Space(AugmentParams.model_validate(block), TrainParams(), Presentations(2, 30))
    assert space.variants == [1, 2, ONLINE]


def test_a_plan_that_balances_classes_is_kept() -> None:
    assert balanced().variants == [3, ONLINE]
    block = block_of("strength", {"strength": 0.5, "variants": 3}, balanced())
    assert "target_per_class" not in block["augment"]
    assert "variants_per_image" not in block["augment"]


@pytest.mark.parametrize("space", [space_of(), space_of(ROTATE, variants=0)])
def test_present_that_is_none_is_tried_once(space: Space) -> None:
    assert space.present_is_none
    assert [kind for kind, _ in space.first] == ["none", "trivialaugment"]


def test_policy_without_a_strength_is_not_made_weaker() -> None:
    assert space_of("NoOp").kinds == PUBLISHED


@pytest.mark.parametrize(
    ("chosen", "kind", "choice"),
    [
        (
            {"kind": "strength", "strength": 0.15, "variants": 8},
            "strength",
            {"strength": 0.15, "variants": 8},
        ),
        (
            {"kind": "randaugment", "n": 3, "m": 7, "variants": ONLINE},
            "randaugment",
            {"n": 3, "m": 7, "variants": ONLINE},
        ),
        ({"kind": "trivialaugment", "variants": 1}, "trivialaugment", {"variants": 1}),
    ],
)
def test_what_is_asked_depends_on_the_kind(
    chosen: dict[str, Any], kind: str, choice: dict[str, Any]
) -> None:
    asked = FixedTrial(chosen)
    assert choose(asked, space_of(ROTATE)) == (kind, choice)
    assert set(asked.distributions) == {"kind", *choice}


@pytest.mark.parametrize(
    ("kind", "choice", "name", "steps", "variants"),
    [
        (
            "strength",
            {"strength": 0.25, "variants": 1},
            "strength 0.25, 1 variant",
            [{"Rotate": {"limit": [-10, 10]}}],
            1,
        ),
        (
            "randaugment",
            {"n": 2, "m": 9, "variants": 8},
            "randaugment n=2 m=9, 8 variants",
            [{"randaugment": {"n": 2, "m": 9}}],
            8,
        ),
        (
            "trivialaugment_scaled",
            {"variants": ONLINE},
            "scaled trivialaugment, online",
            [{"trivialaugment": {"scaled": True}}],
            None,
        ),
        ("present", {}, "present policy", [ROTATE], 4),
    ],
)
def test_arms(
    kind: str, choice: dict[str, Any], name: str, steps: list[Any], variants: int | None
) -> None:
    arm = arm_of(kind, choice, space_of(ROTATE))
    assert (arm.name, arm.augment and arm.augment.policy) == (name, steps)
    assert arm.variants == variants


def test_the_sampler_knows_the_present_policy_as_strength_1_and_none_not_at_all() -> None:
    strength_1 = {"kind": "strength", "strength": 1.0, "variants": 4}
    assert parameters_of("present", {}, space_of(ROTATE)) == strength_1
    assert parameters_of("present", {}, space_of("NoOp")) == {}
    assert parameters_of("none", {}, space_of(ROTATE)) == {}


def test_arm_of_none_shows_originals() -> None:
    assert arm_of("none", {}, space_of(ROTATE)) is NONE


def test_policies_of_classes_get_weaker_too() -> None:
    arm = arm_of("strength", {"strength": 0.5, "variants": 3}, balanced())
    assert arm.augment is not None
    assert arm.augment.per_class["a"].policy == [{"HorizontalFlip": {"p": 0.25}}]
    assert arm.augment.labels == AugmentParams.model_validate(BALANCED).labels


def test_a_published_policy_is_that_of_all_classes() -> None:
    arm = arm_of("trivialaugment", {"variants": 3}, balanced())
    assert arm.augment is not None
    assert list(arm.augment.per_class) == ["b"]
    assert arm.augment.labels == []


@pytest.mark.parametrize(
    ("kind", "choice", "block"),
    [
        ("present", {}, {}),
        (
            "none",
            {},
            {
                "augment": {"policy": [], "variants_per_image": 0},
                "train": {"augmentation": "offline", "epochs": 30},
            },
        ),
        (
            "strength",
            {"strength": 0.25, "variants": ONLINE},
            {
                "augment": {"policy": [{"Rotate": {"limit": [-10, 10]}}]},
                "train": {"augmentation": "online", "epochs": 30},
            },
        ),
        (
            "trivialaugment",
            {"variants": 2},
            {
                "augment": {"policy": ["trivialaugment"], "variants_per_image": 2},
                "train": {"augmentation": "offline", "epochs": 10},
            },
        ),
    ],
)
def test_what_is_written_shows_as_many_images_as_the_study_did(
    kind: str, choice: dict[str, Any], block: dict[str, Any]
) -> None:
    assert block_of(kind, choice, space_of(ROTATE)) == block


def test_nothing_is_written_where_none_is_there_already() -> None:
    assert block_of("none", {}, space_of()) == {}


def test_none_removes_what_a_plan_without_variants_must_not_have() -> None:
    assert block_of("none", {}, balanced())["augment"] == {
        "policy": [],
        "variants_per_image": 0,
        "target_per_class": None,
        "at_least": None,
        "per_class": None,
        "labels": None,
    }


def test_a_published_policy_removes_rules_about_steps_that_are_gone() -> None:
    assert block_of("trivialaugment", {"variants": 3}, balanced())["augment"] == {
        "policy": ["trivialaugment"],
        "per_class": {"b": {"variants_per_image": 2}},
        "labels": None,
    }


def test_device_stays_where_the_own_policy_stays_and_mixing_goes_where_it_does_not() -> None:
    space = space_of(ROTATE, variants=None, augmentation="device", mixup=0.2)
    weaker = block_of("strength", {"strength": 0.5, "variants": ONLINE}, space)
    assert weaker["train"] == {"augmentation": "device", "epochs": 30}
    published = block_of("trivialaugment", {"variants": ONLINE}, space)
    assert published["train"] == {"augmentation": "online", "epochs": 30, "mixup": None}
