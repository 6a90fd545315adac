"""Tone: pointwise steps as one table, each as Albumentations applies it to one grey level."""

import os
import random
import subprocess
import sys
from functools import reduce
from typing import Any

import numpy as np
import pytest

from tasks.variants.fused.canvas import draw
from tasks.variants.fused.tone import CURVES, curve, is_pointwise, look_up, ramp
from tasks.variants.policy import Policy, build_step
from tasks.variants.transforms import TAKE_16_BITS
from tests.test_reproducible import OLDER_PROCESSORS

ALONE = {"contrast": [1, 1], "saturation": [1, 1], "hue": [0, 0]}
POINTWISE = [
    ("AdditiveNoise", {"noise_params": {"ranges": [[-0.2, 0.2]]}}),
    ("AdditiveNoise", {"noise_type": "beta", "noise_params": {
        "alpha_range": [0.5, 1.5], "beta_range": [0.5, 1.5], "scale_range": [0.1, 0.3]}}),
    ("ChannelDropout", {"channel_drop_range": [1, 2], "fill": 77}),
    ("ColorJitter", {"brightness": [0, 2], **ALONE}),
    ("HueSaturationValue", {}),
    ("InvertImg", {}),
    ("MultiplicativeNoise", {"multiplier": [0.1, 3]}),
    ("MultiplicativeNoise", {"per_channel": True}),
    ("PlanckianJitter", {}),
    ("PlanckianJitter", {"mode": "cied", "sampling_method": "gaussian"}),
    ("Posterize", {"num_bits": [1, 7]}),
    ("Posterize", {"num_bits": [[1, 3], [2, 5], [7, 7]]}),
    ("RandomBrightnessContrast", {}),
    ("RandomBrightnessContrast", {"brightness_limit": 1, "contrast_limit": 2}),
    ("RandomBrightnessContrast", {"ensure_safe_range": True}),
    ("RandomGamma", {}),
    ("RandomGamma", {"gamma_limit": [1, 1000]}),
    ("RandomToneCurve", {}),
    ("RandomToneCurve", {"per_channel": True, "scale": 1}),
    ("RGBShift", {}),
    ("RGBShift", {"r_shift_limit": 200, "g_shift_limit": [0.1, 0.5]}),
    ("Solarize", {"threshold_range": [0, 1]}),
]  # fmt: skip
LOOKS_FURTHER = [
    ("RandomBrightnessContrast", {"brightness_by_max": False}, (1, 3)),  # at the image's mean
    ("ColorJitter", {}, (1, 3)),
    ("ColorJitter", {**ALONE, "contrast": [0.9, 1]}, (1, 3)),
    ("ColorJitter", {**ALONE, "saturation": [0.9, 1]}, (3,)),  # at the other channels
    ("ColorJitter", {**ALONE, "hue": [0, 0.1]}, (3,)),
    ("HueSaturationValue", {}, (3,)),
    ("ToSepia", {}, (3,)),
    ("AdditiveNoise", {"spatial_mode": "shared", "noise_params": {"ranges": [[0, 1]]}}, (1, 3)),
    ("MultiplicativeNoise", {"elementwise": True}, (1, 3)),
    ("AutoContrast", {}, (1, 3)),
    ("Equalize", {}, (1, 3)),
    ("CLAHE", {}, (1, 3)),
    ("HorizontalFlip", {}, (1, 3)),
    ("PlanckianJitter", {}, (1,)),  # they fail on grey images
    ("ChannelDropout", {}, (1,)),
    ("Posterize", {"num_bits": [[1, 3], [2, 5], [7, 7]]}, (1,)),
]


def built(name: str, **arguments: Any) -> Any:
    return build_step({name: {**arguments, "p": 1}}, "params.yaml augment.policy[0]")


def drawn(step: Any, image: np.ndarray, seed: int) -> dict[str, Any]:
    step.set_random_state(np.random.default_rng(seed), random.Random(seed))
    return draw(step, image)


def levels_of(name: str, levels: list[float], top: int = 255, **params: Any) -> list[float]:
    """What a step of that name makes of levels, with these draws."""
    step = type(name, (), {})()
    return curve(step, params, np.array(levels)[:, None], top)[:, 0].tolist()


def test_every_curve_is_held_against_albumentations() -> None:
    assert {name for name, _ in POINTWISE} == set(CURVES)


def images_for(name: str, step: Any) -> list[np.ndarray]:
    """Grey and in colour, of 8 and of 16 bits, of which the step is pointwise."""
    random_levels = np.random.default_rng(3).integers
    kinds = (np.uint8, np.uint16) if name in TAKE_16_BITS else (np.uint8,)
    images = [random_levels(0, np.iinfo(kind).max + 1, (24, 32, 3), kind) for kind in kinds]
    grey = [image[:, :, 0] for image in images]
    return [*(images if is_pointwise(step, 3) else []), *(grey if is_pointwise(step, 1) else [])]


@pytest.mark.parametrize(("name", "arguments"), POINTWISE)
def test_a_step_alone_gives_what_albumentations_gives(name: str, arguments: dict) -> None:
    """To one grey level: Albumentations cuts fractions off where a table rounds."""
    step = built(name, **arguments)
    images = images_for(name, step)
    assert images
    for image in images:
        for seed in range(40):
            params = drawn(step, image, seed)
            theirs = step.apply_with_params(params, image=image.copy())["image"]
            levels = curve(step, params, ramp(image), np.iinfo(image.dtype).max)
            ours = look_up(image, levels)
            assert (ours.dtype, ours.shape) == (image.dtype, image.shape)
            assert np.abs(ours.astype(int) - theirs).max() <= 1, params


@pytest.mark.parametrize(("name", "arguments", "channels"), LOOKS_FURTHER)
def test_a_step_that_looks_at_more_than_a_value_is_none_of_them(
    name: str, arguments: dict, channels: tuple[int, ...]
) -> None:
    assert not any(is_pointwise(built(name, **arguments), number) for number in channels)


def test_draws_of_a_pointwise_step_depend_on_no_pixels() -> None:
    """So they can be made while the pixels still wait for the steps before."""
    for name, arguments in POINTWISE:
        step = built(name, **arguments)
        shape = (4, 4, 3) if is_pointwise(step, 3) else (4, 4)
        black, white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
        assert str(drawn(step, black, 5)) == str(drawn(step, white, 5)), name


def test_a_ramp_through_ten_steps_keeps_its_levels() -> None:
    step = built("RandomBrightnessContrast")
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    step.set_random_state(np.random.default_rng(0), random.Random(4198))
    draws = [draw(step, image) for _ in range(10)]
    stepwise = reduce(lambda last, params: step.apply(last, **params), draws, image)
    levels = reduce(lambda last, params: curve(step, params, last, 255), draws, ramp(image))
    assert len(np.unique(stepwise)) == 127
    assert len(np.unique(look_up(image, levels))) >= 240


def test_what_one_step_takes_beyond_white_another_brings_back() -> None:
    image = np.array([[0, 100, 200, 255]], np.uint8)
    levels = ramp(image)
    for beta in (100.4, -100.0):
        step = built("RandomBrightnessContrast")
        levels = curve(step, {"alpha": 1.0, "beta": beta}, levels, 255)
    assert look_up(image, levels).tolist() == [[0, 100, 200, 255]]  # 0.4 is rounded away


def test_levels_by_hand() -> None:
    assert levels_of("InvertImg", [0, 10.25, 300]) == [255, 244.75, -45]
    assert levels_of("InvertImg", [0.5], top=65_535) == [65_534.5]
    assert levels_of("Solarize", [127, 127.5, 200], threshold=0.5) == [127, 127.5, 55]
    assert levels_of("RandomGamma", [-3, 0, 127.5, 510], gamma=2) == [0, 0, 63.75, 1020]
    # whole levels first: 63.6 is 64, of which the upper two bits are kept
    assert levels_of("Posterize", [-9, 63.4, 63.6, 255.5], num_bits=2) == [0, 0, 64, 192]
    assert levels_of("Posterize", [65_535], top=65_535, num_bits=1) == [32_768]
    # 3/8 of low and of high, and 1/8
    assert levels_of("RandomToneCurve", [-5, 127.5, 300], low_y=0, high_y=1) == [0, 127.5, 255]
    assert levels_of("RandomBrightnessContrast", [100, 300], alpha=1.5, beta=-0.25) == [
        149.75, 449.75]  # fmt: skip


def test_levels_are_rounded_to_the_nearest_and_clipped() -> None:
    image = np.array([[0, 1, 2, 3]], np.uint8)
    levels = ramp(image)
    levels[:4, 0] = [-0.6, 1.49, 1.51, 255.7]
    assert look_up(image, levels).tolist() == [[0, 1, 2, 255]]
    assert look_up(image[:, :, None], levels).tolist() == [[[0], [1], [2], [255]]]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_channels_have_tables_of_their_own(kind: type) -> None:
    image = np.array([[[0, 1, 2], [2, 1, 0]]], kind)
    levels = ramp(image) + np.array([10, 20, 30])
    assert look_up(image, levels).tolist() == [[[10, 21, 32], [12, 21, 30]]]


COLOURS = np.random.default_rng(7).integers(0, 256, (24, 32, 3), np.uint8)
BRIGHTER = {"RandomBrightnessContrast": {"brightness_limit": [0.5, 0.5], "contrast_limit": 0}}
DARKER = {"RandomBrightnessContrast": {"brightness_limit": [-0.5, -0.5], "contrast_limit": 0}}


def certain(*steps: Any) -> list[Any]:
    """A policy of steps that are applied for certain."""
    named = [(step, {}) if isinstance(step, str) else next(iter(step.items())) for step in steps]
    return [{name: {**own, "p": 1}} for name, own in named]


def made(policy: list[Any], image: np.ndarray = COLOURS, fuse: bool = True) -> np.ndarray:
    return Policy(policy, fuse=fuse).apply(image, seed=1).pixels


def test_a_factor_for_each_channel_is_one_of_a_single_pixel_too() -> None:
    pixel = COLOURS[:1, :1]
    policy = certain({"MultiplicativeNoise": {"multiplier": [0.2, 0.9], "per_channel": True}})
    assert np.abs(made(policy, pixel).astype(int) - made(policy, pixel, fuse=False)).max() <= 1


@pytest.mark.parametrize("image", [COLOURS, COLOURS[:, :, 0], COLOURS.astype(np.uint16) * 257])
def test_a_run_is_rounded_and_clipped_once(image: np.ndarray) -> None:
    untouched = image.copy()
    run = certain(BRIGHTER, "InvertImg", BRIGHTER, "InvertImg")
    assert np.array_equal(made(run, image), image)
    assert not np.array_equal(made(run, image, fuse=False), image)
    assert np.array_equal(image, untouched)


@pytest.mark.parametrize(
    "step",
    [
        "Transpose",
        {"Affine": {"rotate": [30, 30]}},
        "AutoContrast",
        {
            "RandomBrightnessContrast": {
                "brightness_by_max": False,
                "brightness_limit": [0.3, 0.3],
                "contrast_limit": 0,
            }
        },
    ],
)
def test_a_step_of_another_kind_ends_a_run_and_sees_what_it_made(step: Any) -> None:
    alone = COLOURS
    for each in (BRIGHTER, step, DARKER):
        alone = made(certain(each), alone)
    assert np.array_equal(made(certain(BRIGHTER, step, DARKER)), alone)


TABLES = """
import hashlib
import numpy as np
from tasks.variants.fused.tone import curve, look_up, ramp
names = {name: type(name, (), {})() for name in ("RandomGamma", "RandomToneCurve", "Solarize")}
digest = hashlib.sha256()
for kind in (np.uint8, np.uint16):
    image = np.arange(np.iinfo(kind).max + 1).astype(kind)[None]
    for gamma in np.linspace(0.3, 3, 60):
        levels = curve(names["RandomGamma"], {"gamma": gamma}, ramp(image), image.max())
        draws = {"low_y": gamma / 4, "high_y": 0.9}
        levels = curve(names["RandomToneCurve"], draws, levels, image.max())
        levels = curve(names["Solarize"], {"threshold": 0.5}, levels, image.max())
        digest.update(look_up(image, levels).tobytes())  # of 65,536 levels some differ by 1e-9
print(digest.hexdigest())
"""


def test_tables_are_equal_on_older_processors() -> None:
    found = {
        subprocess.check_output([sys.executable, "-c", TABLES], env={**os.environ, **settings})
        for settings in ({}, *OLDER_PROCESSORS.values())
    }
    assert len(found) == 1
