"""Arguments in pixels against transforms that are applied: which size they need."""

import inspect
from typing import Any

import numpy as np
import pytest

from tasks.capacity.count import capacity
from tasks.capacity.pixel_arguments import REACHES, largest, needed_size, reach
from tasks.variants.policy import Policy, build_transforms, transform_class


def fails(step: Any, height: int, width: int) -> bool:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    policy = Policy([step])
    try:
        for seed in range(5):
            policy.apply(image, seed)
    except Exception:
        return True
    return False


@pytest.mark.parametrize(
    ("name", "arguments", "needed"),
    [
        ("GridDistortion", {}, (5, 5)),
        ("GridDistortion", {"num_steps": 20}, (20, 20)),
        ("GridDropout", {"unit_size_range": [5, 20]}, (20, 20)),
        ("GlassBlur", {"max_delta": 5, "iterations": 1}, (9, 9)),
        ("RandomRain", {"drop_length": 20}, (21, 1)),
        (
            "XYMasking",
            {"num_masks_x": 1, "mask_x_length": [2, 9], "num_masks_y": 1, "mask_y_length": 12},
            (12, 9),
        ),
        ("XYMasking", {"num_masks_y": 1, "mask_y_length": [1, 2], "mask_x_length": 7}, (2, 7)),
        ("GridDropout", {"holes_number_xy": [20, 20]}, (1, 1)),
    ],
)
def test_steps_fail_on_images_smaller_than_they_need(
    name: str, arguments: dict, needed: tuple[int, int]
) -> None:
    step = {name: {**arguments, "p": 1.0}}
    [transform] = build_transforms([step])
    assert needed_size(transform) == needed
    height, width = needed
    assert not fails(step, max(height, 2), max(width, 2))
    assert capacity([step], max(height, 2), max(width, 2)).failing == 0
    for smaller in ((height - 1, width), (height, width - 1)):
        if min(smaller) > 1:
            shape = tuple(side if side == max(smaller) else min(smaller) for side in smaller)
            assert capacity([step], *shape).failing == 1 and fails(step, *shape)


def test_reach_is_the_largest_number_of_an_argument_in_pixels() -> None:
    for step, pixels in (
        ({"Affine": {"translate_px": {"x": [-12, 3]}}}, 12),
        ({"Affine": {"translate_percent": [0.5, 0.6]}}, 0),
        ({"Blur": {"blur_limit": [3, 31]}}, 31),
        ({"CropAndPad": {"px": [[1, 2], 3, 44, 5]}}, 44),
        ({"CropAndPad": {"percent": 0.5}}, 0),
        ({"Pad": {"padding": [4, 5]}}, 5),
        ("HorizontalFlip", 0),
    ):
        assert reach(build_transforms([step])[0]) == pixels


def test_an_argument_without_a_number_reaches_no_pixel() -> None:
    arguments = [None, "auto", [], {}, [None, "auto"], -7.9, {"x": (-12, 3), "y": 4}, [[1], [2, 5]]]
    assert list(map(largest, arguments)) == [0, 0, 0, 0, 0, 7, 12, 5]


@pytest.mark.parametrize(("name", "argument"), REACHES.items())
def test_every_argument_in_pixels_is_there(name: str, argument: str) -> None:
    assert argument in inspect.signature(transform_class(name).__init__).parameters
