"""Settings: which variants an audit makes of a policy, exactly."""

from typing import Any

import numpy as np
import pytest

from tasks.studies.audit.settings import (
    HALF_TURN,
    SYMMETRIES,
    Setting,
    settings_of,
    settings_of_step,
    spans_of,
)
from tasks.studies.identities import IDENTITIES
from tasks.variants.params import AugmentParams
from tasks.variants.policy import Policy, transform_class
from tasks.variants.recipe import policies

PIXELS = np.arange(6, dtype=np.uint8).reshape(2, 3)


def settings(policy: list[Any], classes: str = "a b", **more: Any) -> list[Setting]:
    params = AugmentParams(policy=policy, variants_per_image=1, **more)
    return settings_of(policies(params, classes.split()), classes.split())


def magnitudes(policy: list[Any]) -> list[tuple[Any, ...]]:
    return [setting[:4] for setting in settings(policy)[:-1]]


def arguments(policy: list[Any], number: int) -> list[dict[str, Any]]:
    """Of the policies of one setting."""
    chosen = settings(policy)[number]
    return [steps[0][chosen.step] for steps in chosen.policies]


def test_each_step_is_tried_alone_then_the_whole_policy() -> None:
    steps: list[Any] = [
        {"OneOf": {"transforms": ["Transpose", {"Equalize": {"p": 0.1}}], "p": 0.5}},
        {"Sequential": {"transforms": [{"SomeOf": {"n": 1, "transforms": ["InvertImg"]}}]}},
        "Transpose",  # once more
        {"trivialaugment": {"p": 0.3}},
        {"ToGray": {"p": 0}},  # which is never applied
    ]
    both = ("a", "b")
    assert settings(steps) == [
        Setting("Transpose", None, None, None, ([{"Transpose": {"p": 1}}],), both),
        Setting("Equalize", None, None, None, ([{"Equalize": {"p": 1}}],), both),
        Setting("InvertImg", None, None, None, ([{"InvertImg": {"p": 1}}],), both),
        Setting("trivialaugment", None, None, None, ([{"trivialaugment": {"p": 1}}],), both),
        Setting("policy", None, None, None, (steps,), both),
    ]


@pytest.mark.parametrize(
    ("policy", "together"),
    [
        (["HorizontalFlip", "VerticalFlip"], True),
        (
            ["HorizontalFlip", {"SomeOf": {"n": 1, "transforms": ["VerticalFlip", "Equalize"]}}],
            True,
        ),
        ([{"OneOf": {"transforms": ["HorizontalFlip", "VerticalFlip"]}}], False),
        ([{"OneOf": {"transforms": ["HorizontalFlip", "VerticalFlip"]}}, "VerticalFlip"], True),
        (["VerticalFlip", "VerticalFlip"], False),
        (["VerticalFlip", {"HorizontalFlip": {"p": 0}}], False),
    ],
)
def test_two_flips_that_come_together_are_tried_together(policy: list[Any], together: bool) -> None:
    tried = [setting for setting in settings(policy) if setting.step == HALF_TURN]
    flips = [{"HorizontalFlip": {"p": 1}}, {"VerticalFlip": {"p": 1}}]
    expected = Setting(HALF_TURN, None, None, None, (flips,), ("a", "b"))
    assert tried == ([expected] if together else [])
    assert Policy(flips).apply(PIXELS, 0).pixels.tolist() == PIXELS[::-1, ::-1].tolist()


def test_a_range_around_the_identity_is_tried_by_its_distance_on_both_sides() -> None:
    assert settings([{"Rotate": {"limit": 30, "p": 0.2}}])[:-1] == [
        Setting(
            *("Rotate", "limit", low, low + 6),
            ([{"Rotate": {"limit": below, "p": 1}}], [{"Rotate": {"limit": above, "p": 1}}]),
            ("a", "b"),
        )
        for low, below, above in (
            (0, [-6, 0], [0, 6]),
            (6, [-12, -6], [6, 12]),
            (12, [-18, -12], [12, 18]),
            (18, [-24, -18], [18, 24]),
            (24, [-30, -24], [24, 30]),
        )
    ]


def test_what_reaches_farther_on_one_side_is_tried_there() -> None:
    farther = [{"Rotate": {"limit": [-10, 40]}}]
    assert magnitudes(farther) == [("Rotate", "limit", low, low + 8) for low in range(0, 40, 8)]
    assert [one["limit"] for one in arguments(farther, 1)] == [[-10, -8], [8, 16]]
    assert [one["limit"] for one in arguments(farther, 2)] == [[16, 24]]


def test_other_ranges_are_at_the_identity_or_as_near_as_they_come() -> None:
    affine = {"Affine": {"scale": [0.9, 1.1], "rotate": [5, 20], "border_mode": 4}}
    rest = {"border_mode": 4, "p": 1}
    assert magnitudes([affine])[::5] == [
        ("Affine", "scale", 0, 0.02),
        ("Affine", "rotate", 5, 8),
    ]
    assert arguments([affine], 1) == [
        {"scale": [0.96, 0.98], "rotate": [5, 5], **rest},
        {"scale": [1.02, 1.04], "rotate": [5, 5], **rest},
    ]
    assert arguments([affine], 9) == [{"scale": [1, 1], "rotate": [17, 20], **rest}]


def test_axes_with_ranges_of_their_own_are_tried_for_themselves() -> None:
    shift = {"Affine": {"translate_percent": {"x": [0, 0.5], "y": 0.1}}}
    assert magnitudes([shift])[4:] == [("Affine", "translate_percent.x", 0.4, 0.5)]
    assert arguments([shift], 4)[0]["translate_percent"] == {"x": [0.4, 0.5], "y": [0.1, 0.1]}


def test_values_on_one_side_of_the_identity_are_the_magnitude() -> None:
    crop = [{"RandomResizedCrop": {"size": [8, 8], "scale": [0.5, 1]}}]
    assert magnitudes(crop)[:5] == [
        ("RandomResizedCrop", "scale", low, high)
        for low, high in ((0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1))
    ]
    assert arguments(crop, 0) == [
        {"size": [8, 8], "scale": [0.5, 0.6], "ratio": [1, 1], "p": 1},
    ]


@pytest.mark.parametrize(
    ("step", "bins"),
    [
        ({"Blur": {"blur_limit": [3, 7]}}, [(3, 3), (5, 5), (7, 7)]),  # a kernel has a centre
        ({"Blur": {"blur_limit": [3, 15]}}, [(3, 5), (7, 9), (11, 11), (13, 13), (15, 15)]),
        ({"RandomShadow": {"num_shadows_limit": [1, 2]}}, [(1, 1), (2, 2)]),
        (
            {"ImageCompression": {"quality_range": [91, 100]}},
            [(91, 92), (93, 94), (95, 96), (97, 98), (99, 100)],
        ),
    ],
)
def test_whole_numbers_stay_whole(step: dict[str, Any], bins: list[tuple[int, int]]) -> None:
    assert [one[2:] for one in magnitudes([step])] == bins


@pytest.mark.parametrize(("step", "elements"), SYMMETRIES.items())
def test_symmetries_of_the_square_are_tried_one_by_one(
    step: str, elements: tuple[str, ...]
) -> None:
    assert settings([step], "a")[:-1] == [
        Setting(step, element, None, None, ([{"D4": {"elements": [element], "p": 1}}],), ("a",))
        for element in elements
    ]


def test_classes_that_have_a_step_alike_share_its_settings() -> None:
    own = {"b": {"policy": ["VerticalFlip", "Transpose"]}, "gone": {"policy": ["ToGray"]}}
    found = settings(["Transpose"], "c b a", per_class=own)
    assert [(one.step, one.classes) for one in found] == [
        ("Transpose", ("a", "b", "c")),
        ("VerticalFlip", ("b",)),
        ("policy", ("a", "c")),
        ("policy", ("b",)),
    ]


def test_a_range_that_is_taken_whole_alone_is_one_bin() -> None:
    jitter = [{"PlanckianJitter": {"temperature_limit": [4000, 7000]}}]
    assert magnitudes(jitter) == [("PlanckianJitter", "temperature_limit", 0, 2500)]
    assert arguments(jitter, 0) == [{"temperature_limit": [4000, 7000], "p": 1}]


def test_without_a_step_there_is_nothing_to_try() -> None:
    assert settings([]) == []


def test_identities_leave_images_as_they_are() -> None:
    """Of the steps in the table, where one value of one argument can be all that they do."""
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for step in ("Affine", "ColorJitter", "MultiplicativeNoise", "RandomGamma", "Downscale"):
        kept = {argument: [value, value] for argument, value in IDENTITIES[step].items()}
        others = {place: [0, 0] for place in spans_of(step, {}) if place not in kept}
        policy = Policy([{step: {**others, **kept, "p": 1}}])
        assert np.array_equal(policy.apply(image, 3).pixels, image), step


def test_every_argument_in_the_table_of_identities_is_one() -> None:
    for step, values in IDENTITIES.items():
        assert values.keys() <= transform_class(step).InitSchema.model_fields.keys(), step


@pytest.mark.parametrize("step", ["AdvancedBlur", "ColorJitter", "MotionBlur", "CoarseDropout"])
def test_what_is_tried_of_a_step_is_taken_by_it(step: str) -> None:
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for setting in settings_of_step(step, {}):
        for policy in setting.policies:
            assert Policy(policy).apply(image, 3).pixels.shape == image.shape
