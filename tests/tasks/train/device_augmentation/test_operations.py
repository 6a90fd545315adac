"""What is done with pixels: by hand on tiny images, and as Albumentations does it."""

from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from tasks.train.device_augmentation.draws import draw_steps
from tasks.train.device_augmentation.operations import (
    apply_operations,
    operations_of,
    rounded,
)
from tasks.train.device_augmentation.philox import source_keys
from tasks.train.device_augmentation.policy import device_steps
from tasks.variants.policy import build_step
from tasks.variants.transforms import ELEMENTS


def applied(policy: list[Any], images: np.ndarray, epoch: int = 1) -> np.ndarray:
    """The policy's images, of uint8 (images, height, width, 3) as those."""
    steps = device_steps(policy, "policy")
    batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    drawn = draw_steps(steps, source_keys(1, map(str, range(len(batch)))), epoch, batch.shape[3])
    made = rounded(apply_operations(batch, operations_of(steps, drawn)))
    return made.permute(0, 2, 3, 1).numpy()


def grey(*rows: list[int]) -> np.ndarray:
    return np.array([rows], np.uint8)[..., None].repeat(3, axis=3)


NINE = grey([10, 20, 30], [40, 50, 60], [70, 80, 90])


@pytest.mark.parametrize(
    ("step", "rows"),
    [
        ({"HorizontalFlip": {"p": 1}}, [[30, 20, 10], [60, 50, 40], [90, 80, 70]]),
        ({"VerticalFlip": {"p": 1}}, [[70, 80, 90], [40, 50, 60], [10, 20, 30]]),
        ({"Transpose": {"p": 1}}, [[10, 40, 70], [20, 50, 80], [30, 60, 90]]),
        # counter-clockwise
        ({"D4": {"elements": ["r90"]}}, [[30, 60, 90], [20, 50, 80], [10, 40, 70]]),
        # to the right by one: the border is mirrored, without the outermost pixel
        (
            {"Affine": {"translate_px": {"x": [1, 1], "y": [0, 0]}, "p": 1}},
            [[20, 10, 20], [50, 40, 50], [80, 70, 80]],
        ),
        # of 0.4 of 3 pixels, a whole one
        (
            {
                "Affine": {
                    "translate_percent": {"x": [0, 0], "y": [-0.4, -0.4]},
                    "border_mode": 0,
                    "fill": 7,
                    "p": 1,
                }
            },
            [[40, 50, 60], [70, 80, 90], [7, 7, 7]],
        ),
        # twice as large about the middle: between the pixels
        ({"Affine": {"scale": [2, 2], "p": 1}}, [[30, 35, 40], [45, 50, 55], [60, 65, 70]]),
        # 1.5 times the level, then 0.1 of white, and no more than white
        (
            {
                "RandomBrightnessContrast": {
                    "brightness_limit": [0.1, 0.1],
                    "contrast_limit": [0.5, 0.5],
                    "p": 1,
                }
            },
            [[40, 56, 70], [86, 100, 116], [130, 146, 160]],
        ),
        # towards their mean, of 50
        (
            {
                "ColorJitter": {
                    "brightness": 0,
                    "contrast": [0.5, 0.5],
                    "saturation": 0,
                    "hue": 0,
                    "p": 1,
                }
            },
            [[30, 35, 40], [45, 50, 55], [60, 65, 70]],
        ),
        (
            {
                "CoarseDropout": {
                    "num_holes_range": [1, 1],
                    "hole_height_range": [3, 3],
                    "hole_width_range": [3, 3],
                    "fill": 5,
                    "p": 1,
                }
            },
            [[5] * 3] * 3,
        ),
    ],
)
def test_pixels_by_hand(step: dict[str, Any], rows: list[list[int]]) -> None:
    made = applied([step], NINE)
    assert made[0, :, :, 0].tolist() == rows
    assert (made == made[..., :1]).all()


def test_saturation_by_hand() -> None:
    colour = np.full((1, 2, 2, 3), (100, 50, 200), np.uint8)
    factors = {"brightness": 0, "contrast": 0, "hue": 0, "p": 1}
    made = applied([{"ColorJitter": {**factors, "saturation": [0, 0]}}], colour)
    assert made[0, 0, 0].tolist() == [82] * 3  # 0.299 * 100 + 0.587 * 50 + 0.114 * 200
    made = applied([{"ColorJitter": {**factors, "saturation": [0.5, 0.5]}}], colour)
    assert made[0, 0, 0].tolist() == [91, 66, 141]


def test_geometry_side_by_side_is_one_interpolation() -> None:
    """Thirty degrees twelve times are a whole turn: nothing is lost on the way."""
    image = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    twelve = [{"Rotate": {"limit": [30, 30], "p": 1}}] * 12
    assert np.array_equal(applied(twelve, image), image)
    steps = device_steps(["D4", *twelve, "CoarseDropout", "D4", "Transpose"], "policy")
    drawn = draw_steps(steps, source_keys(1, ["a"]), 1, 9)
    assert len(operations_of(steps, drawn)) == 3


def test_symmetries_and_turns_compose_as_one_after_the_other() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 5, 5, 3), dtype=np.uint8)
    whole = applied(["D4", "RandomRotate90", "Transpose", {"Affine": {"p": 0}}], image)
    assert np.array_equal(whole, applied(["D4", "RandomRotate90", "Transpose"], image))
    made = {pixels.tobytes() for pixels in applied(["D4"], np.repeat(image[:1], 60, axis=0))}
    assert len(made) == 8


def photo() -> np.ndarray:
    """Smooth colours, of all levels."""
    noise = np.random.default_rng(0).normal(size=(48, 48, 3))
    smooth = gaussian_filter(noise, (3, 3, 0))
    return np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


FIXED = [
    {"Rotate": {"limit": [30, 30]}},
    {"Rotate": {"limit": [-70, -70], "border_mode": 0, "fill": [10, 200, 30]}},
    {"Rotate": {"limit": [30, 30], "border_mode": 1}},
    {"Rotate": {"limit": [30, 30], "border_mode": 2}},
    {
        "Affine": {
            "scale": {"x": [1.2, 1.2], "y": [0.8, 0.8]},
            "shear": {"x": [10, 10], "y": [-5, -5]},
            "rotate": [20, 20],
            "translate_percent": {"x": [0.1, 0.1], "y": [-0.07, -0.07]},
        }
    },
    {
        "ShiftScaleRotate": {
            "shift_limit": [0.1, 0.1],
            "scale_limit": [0.2, 0.2],
            "rotate_limit": [15, 15],
        }
    },
    {"RandomResizedCrop": {"size": [48, 48], "scale": [1, 1], "ratio": [1, 1]}},
    # no window of such a ratio has room for half the area: the middle of each is taken
    {"RandomResizedCrop": {"size": [48, 48], "scale": [0.9, 0.9], "ratio": [2, 2]}},
    {"RandomBrightnessContrast": {"brightness_limit": [0.2, 0.2], "contrast_limit": [0, 0]}},
    {
        "RandomBrightnessContrast": {
            "brightness_limit": [-0.2, -0.2],
            "contrast_limit": [0.3, 0.3],
            "brightness_by_max": False,
        }
    },
    {"ColorJitter": {"hue": 0, "brightness": [1.2, 1.2], "contrast": 0, "saturation": 0}},
    {"ColorJitter": {"hue": 0, "brightness": 0, "contrast": [1.4, 1.4], "saturation": 0}},
    {"ColorJitter": {"hue": 0, "brightness": 0, "contrast": 0, "saturation": [1.5, 1.5]}},
    *({"D4": {"elements": [element]}} for element in ELEMENTS),
]


@pytest.mark.parametrize("step", FIXED, ids=str)
def test_equal_arguments_mean_what_they_mean_to_albumentations(step: dict[str, Any]) -> None:
    """Albumentations interpolates between 32 places of a pixel, and cuts fractions of levels."""
    ((name, arguments),) = step.items()
    always = {name: {**arguments, "p": 1.0}}
    image = photo()
    expected = A.Compose([build_step(always, "policy")], seed=0)(image=image)["image"]
    difference = np.abs(expected.astype(int) - applied([always], image[None])[0])
    assert difference.mean() < 0.7 and difference.max() <= 4


def test_what_is_drawn_lies_in_the_ranges_and_fills_them() -> None:
    steps = device_steps(
        [
            {"Affine": {"scale": [0.8, 1.2], "rotate": [-30, 10], "p": 0.7}},
            {"RandomBrightnessContrast": {"brightness_limit": 0.2, "p": 0.4}},
            "RandomRotate90",
            {"CoarseDropout": {"num_holes_range": [1, 3], "p": 1.0}},
            {"RandomResizedCrop": {"size": [8, 8], "scale": [0.2, 0.6]}},
            {"Erasing": {"scale": [0.1, 0.3], "p": 1.0}},
        ],
        "policy",
    )
    keys = source_keys(3, map(str, range(4000)))
    affine, tone, turns, holes, crops, erased = draw_steps(steps, keys, 1, 50)
    assert abs(float(affine.chosen.float().mean()) - 0.7) < 0.03
    assert abs(float(tone.chosen.float().mean()) - 0.4) < 0.03
    assert torch.bincount(turns.chosen, minlength=8)[[0, 1, 2, 3]].min() > 900
    maps = affine.values[affine.chosen == 1]
    scales = 1 / maps[:, 0, :2].norm(dim=1)
    angles = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 1, 1]))
    assert 0.8 <= scales.min() < 0.81 and 1.19 < scales.max() <= 1.2000001
    assert -30.0001 <= angles.min() < -29.5 and 9.5 < angles.max() <= 10.0001
    assert (affine.values[affine.chosen == 0] == torch.eye(3)[:2]).all()
    brightness = tone.values[tone.chosen == 1, 1]
    assert -0.2 <= brightness.min() < -0.19 and 0.19 < brightness.max() <= 0.2
    left, top, right, bottom = holes.values.unbind(2)
    made = right > left
    counts = torch.bincount(made.sum(dim=1), minlength=4)
    assert counts[0] == 0 and counts[1:].min() > 1200
    sides = torch.cat([(right - left)[made], (bottom - top)[made]])
    assert set(sides.tolist()) == {5, 6, 7, 8, 9} and right.max() == bottom.max() == 50
    area = crops.values[:, 0, 0] * crops.values[:, 1, 1]
    assert 0.19 < area.min() < 0.22 and 0.58 < area.max() < 0.62
    corner = crops.values[:, :, 2].abs() + crops.values[:, [0, 1], [0, 1]] * 25
    assert corner.max() <= 25.0001
    left, top, right, bottom = erased.values[:, 0].unbind(1)
    share = (right - left) * (bottom - top) / 2500
    assert share.min() > 0.09 and share.max() < 0.31 and right.max() <= 50 and top.min() == 0
