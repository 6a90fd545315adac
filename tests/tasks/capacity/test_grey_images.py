"""What transforms do to grey images, measured for each that there is."""

import warnings
from typing import Any

import numpy as np
import pytest

from tasks.capacity.grey_images import KEEP_GREY, grey_after, leaves_as_it_is
from tasks.pixels.hashing import is_grey, pixel_sha256
from tasks.variants.policy import Policy, build_transforms
from tests.tasks.variants.test_policy import NEEDED, STEPS

# Every level, and noise of few levels on a shape that is no square.
GREY = (
    np.random.default_rng(0).permutation(512).astype(np.uint8).reshape(16, 32),
    np.random.default_rng(1).integers(20, 105, (40, 24), dtype=np.uint8),
)
OF_COLOURS = [
    {"HueSaturationValue": {"hue_shift_limit": 90, "sat_shift_limit": 90, "val_shift_limit": 0}},
    {"HueSaturationValue": {"val_shift_limit": [1, 5]}},
    {"ColorJitter": {"brightness": 0, "contrast": [1, 1], "saturation": [0, 3], "hue": 0.5}},
    {"ColorJitter": {"brightness": [0.5, 0.9], "contrast": [1, 1]}},
    {"ColorJitter": {"brightness": [1, 1], "contrast": [0.5, 0.9]}},
    *({"ToGray": {"method": name}} for name in ("weighted_average", "desaturation", "average")),
    *({"ToGray": {"method": name}} for name in ("max", "from_lab", "pca")),
    {"ToGray": {"num_output_channels": 1}},
    *("ChannelShuffle", "ToRGB", "ToSepia"),
]


def certain(step: Any) -> Any:
    """The step, applied for certain."""
    name, arguments = next(iter((step if isinstance(step, dict) else {step: None}).items()))
    return {name: {**(arguments or NEEDED.get(name, {})), "p": 1.0}}


def results(step: Any, channels: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Grey images of so many channels, each with what some draws of a step make of it."""
    policy, pairs = Policy([step]), []
    for levels in GREY:
        image = levels if channels == 1 else np.repeat(levels[..., None], 3, 2)
        pairs += [(image, policy.apply(image, seed)[0]) for seed in range(5)]
    return pairs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("step", [*STEPS, *OF_COLOURS], ids=str)
def test_what_changes_no_pixel_of_a_grey_image_is_known(step: Any, channels: int) -> None:
    """Of every transform and of every argument that takes away its effect on grey images."""
    if channels == 1 and not Policy([certain(step)]).takes_grey:
        return
    if step in ("NoOp", "RandomGravel"):  # which finds no place for gravel in images so small
        return
    [transform] = build_transforms([certain(step)])
    pairs = results(certain(step), channels)
    unchanged = all(pixel_sha256(image) == pixel_sha256(new) for image, new in pairs)
    assert leaves_as_it_is(transform, channels) == unchanged
    assert not leaves_as_it_is(transform, 0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "step",
    [
        *(name for name in STEPS if name in KEEP_GREY or name == "ToGray"),
        *OF_COLOURS,
        {"CoarseDropout": {"fill": [9, 9, 9]}},
    ],
    ids=str,
)
def test_what_keeps_images_grey_keeps_them_grey(step: Any, channels: int) -> None:
    [transform] = build_transforms([certain(step)])
    after = grey_after(transform, channels)
    if channels == 3 and step == "ToSepia":
        assert after == 0
        return
    if channels == 1 and isinstance(step, dict) and "CoarseDropout" in step:
        return  # a fill of three levels is for images of three channels
    for _, new in results(certain(step), channels):
        assert is_grey(new) and (1 if new.ndim == 2 else 3) == after


def test_steps_that_give_a_colour_are_said_to() -> None:
    for step in (
        {"CoarseDropout": {"fill": [255, 0, 0]}},
        {"CoarseDropout": {"fill": "random"}},
        {"RandomToneCurve": {"per_channel": True}},
        *("RGBShift", "ToSepia", "ChannelDropout", "GaussNoise", "CLAHE"),
    ):
        [transform] = build_transforms([certain(step)])
        assert grey_after(transform, 3) == 0
        with warnings.catch_warnings(action="ignore"):
            assert not all(is_grey(new) for _, new in results(certain(step), 3))


def test_a_coloured_image_becomes_grey_by_one_transform_alone() -> None:
    [grey], [flat], [flip] = (
        build_transforms([step])
        for step in ("ToGray", {"ToGray": {"num_output_channels": 1}}, "HorizontalFlip")
    )
    assert (grey_after(grey, 0), grey_after(flat, 0), grey_after(flip, 0)) == (3, 1, 0)
