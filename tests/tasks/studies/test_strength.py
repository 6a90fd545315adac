"""Weaker policies: exact steps, and what holds for every step that a policy may have."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tasks.studies.identities import identity_of
from tasks.studies.strength import AMOUNTS, NO_STRENGTH, weakened
from tasks.variants.policy import Policy, parse_step, transform_class
from tasks.variants.published_policies import PUBLISHED
from tasks.variants.step_ranges import step_ranges
from tasks.variants.transforms import NEED_COLOUR, TRANSFORMS
from tests.tasks.variants.test_policy import NEEDED

IMAGE = np.random.default_rng(5).integers(0, 256, (32, 24, 3), np.uint8)
STEPS = [{name: NEEDED[name]} if name in NEEDED else name for name in (*TRANSFORMS, *PUBLISHED)]
FLIP = {"HorizontalFlip": {"p": 0.6}}
ROTATE = {"Rotate": {"limit": 30, "p": 0.8}}


def halved(step: Any) -> Any:
    return weakened([step], 0.5)[0]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"Affine": {"scale": [0.8, 1.2]}}, {"Affine": {"scale": [0.9, 1.1]}}),
        (ROTATE, {"Rotate": {"limit": [-15, 15], "p": 0.8}}),
        ({"Rotate": {"limit": [10, 50]}}, {"Rotate": {"limit": [5, 25]}}),
        ({"Affine": {"translate_px": [-5, 5]}}, {"Affine": {"translate_px": [-2, 2]}}),
        (
            {"Affine": {"translate_percent": {"x": [0, 0.2], "y": 0.1}, "border_mode": 4}},
            {
                "Affine": {
                    "translate_percent": {"x": [0, 0.1], "y": [0.05, 0.05]},
                    "border_mode": 4,
                }
            },
        ),
        (
            {"ShiftScaleRotate": {"shift_limit": 0.1, "scale_limit": 0, "rotate_limit": 0}},
            {
                "ShiftScaleRotate": {
                    "shift_limit_x": [-0.05, 0.05],
                    "shift_limit_y": [-0.05, 0.05],
                    "scale_limit": 0,
                    "rotate_limit": 0,
                }
            },
        ),
        (
            {"RandomBrightnessContrast": {"brightness_limit": 0.3, "contrast_limit": 0.1}},
            {
                "RandomBrightnessContrast": {
                    "brightness_limit": [-0.15, 0.15],
                    "contrast_limit": [-0.05, 0.05],
                }
            },
        ),
        (
            {"ColorJitter": {"hue": 0.75, "brightness": 0, "contrast": 0, "saturation": 0}},
            {
                "ColorJitter": {
                    "hue": [-0.375, 0.375],
                    "brightness": 0,
                    "contrast": 0,
                    "saturation": 0,
                }
            },
        ),
        ({"GaussNoise": {"std_range": [0.1, 0.2]}}, {"GaussNoise": {"std_range": [0.05, 0.1]}}),
        (
            {"ImageCompression": {"quality_range": [60, 90]}},
            {"ImageCompression": {"quality_range": [80, 95], "p": 0.25}},
        ),
        ({"Posterize": {"num_bits": [3, 5]}}, {"Posterize": {"num_bits": [6, 6]}}),
        ({"Blur": {"blur_limit": [3, 9]}}, {"Blur": {"blur_limit": [3, 5], "p": 0.25}}),
        (
            {"CoarseDropout": {"hole_height_range": [4, 10], "hole_width_range": [1, 3]}},
            {"CoarseDropout": {"hole_height_range": [2, 5], "hole_width_range": [0, 2]}},
        ),
        (
            {"GaussianBlur": {"blur_limit": [3, 7], "sigma_limit": [0, 2]}},
            {"GaussianBlur": {"blur_limit": [3, 7], "sigma_limit": [0, 1], "p": 0.25}},
        ),
        ({"ElasticTransform": {"alpha": 300}}, {"ElasticTransform": {"alpha": 150}}),
        ({"randaugment": {"n": 2, "m": 9}}, {"randaugment": {"n": 2, "m": 4, "p": 0.5}}),
        ("trivialaugment", {"trivialaugment": {"p": 0.5}}),
        ("HorizontalFlip", {"HorizontalFlip": {"p": 0.25}}),
        ("D4", {"D4": {"p": 0.5}}),
        ("NoOp", "NoOp"),
    ],
)
def test_half_of_a_step_by_hand(step: Any, expected: Any) -> None:
    assert halved(step) == expected


def test_steps_within_composites() -> None:
    flip = {"HorizontalFlip": {"p": 0.3}}
    rotate = {"Rotate": {"limit": [-15, 15], "p": 0.8}}
    for name, more in (("Sequential", {}), ("SomeOf", {"n": 2})):
        assert halved({name: {"transforms": [FLIP, ROTATE], **more}}) == {
            name: {"transforms": [flip, rotate], **more}
        }


def test_within_one_of_weights_stay_what_they_are() -> None:
    seldom = {"Sequential": {"transforms": [{"HorizontalFlip": {"p": 0.5}}], "p": 0.6}}
    rotate = {"Rotate": {"limit": [-15, 15], "p": 0.8}}
    mixed = {"OneOf": {"transforms": [FLIP, ROTATE], "p": 0.9}}
    assert halved(mixed) == {"OneOf": {"transforms": [seldom, rotate], "p": 0.9}}
    flips = ["HorizontalFlip", {"VerticalFlip": {"p": 0.2}}]
    assert halved({"OneOf": {"transforms": flips}}) == {"OneOf": {"transforms": flips, "p": 0.25}}


def test_few_digits() -> None:
    third = weakened([{"Affine": {"scale": [0.9, 1.1], "rotate": [-10, 10]}}, "Transpose"], 1 / 3)
    affine = {"scale": [0.9667, 1.0333], "rotate": [-3.33, 3.33]}
    assert third == [{"Affine": affine}, {"Transpose": {"p": 0.167}}]


def test_at_full_strength_steps_are_as_they_stand() -> None:
    composite = {"OneOf": {"transforms": STEPS, "p": 0.5}}
    assert weakened([*STEPS, composite], 1) == [*STEPS, composite]


def test_at_no_strength_no_pixel_changes() -> None:
    """By any step, alone or in a composite, of colour or grey."""
    for step in STEPS:
        grey = () if parse_step(step, "")[0] in NEED_COLOUR else (IMAGE[:, :, 0].copy(),)
        for policy in ([step], [{"OneOf": {"transforms": [step, ROTATE], "p": 1}}]):
            built = Policy(weakened(policy, 0))
            for image in (IMAGE, *grey):
                made = [built.apply(image, seed).pixels for seed in range(2)]
                assert all(np.array_equal(pixels, image) for pixels in made), step


def test_weaker_steps_reach_less_far() -> None:
    """Each end of each range, each amount and each probability, as the strength falls."""
    strengths = (1, 0.6, 0.1, 0)
    for step in STEPS:
        weaker_steps = [weakened([step], strength)[0] for strength in strengths]
        reaches = list(map(_reach, weaker_steps))
        Policy(weaker_steps)  # takes them
        for stronger, weaker in pairwise(reaches):
            assert stronger.keys() == weaker.keys()
            assert all(weaker[key] <= stronger[key] + 1e-9 for key in stronger), step


def _reach(step: Any) -> dict[str, float]:
    """How far from the identity a step reaches, by argument; its probability."""
    name, arguments = parse_step(step, "policy")
    reach = {"p": arguments.get("p", 1)}
    for argument, its in step_ranges(name, arguments).items():
        if argument not in NO_STRENGTH.get(name, ()):
            spans = list(its.values()) if isinstance(its, dict) else [its]
            identity = identity_of(name, argument)
            reach[argument] = float(np.abs(np.array(spans) - identity).max())
    for argument in AMOUNTS.get(name, ()):
        reach[argument] = arguments.get(argument, float("inf"))
    return reach


def test_arguments_in_the_tables_are_ones() -> None:
    for table in (NO_STRENGTH, AMOUNTS):
        for name, arguments in table.items():
            assert set(arguments) <= transform_class(name).InitSchema.model_fields.keys(), name


def test_the_steps_given_stay_as_they_are() -> None:
    steps = [{"OneOf": {"transforms": [dict(ROTATE), dict(FLIP)]}}]
    weakened(steps, 0.5)
    assert steps == [{"OneOf": {"transforms": [ROTATE, FLIP]}}]
