"""The matrix of each geometric step is the one by which its own pixels moved."""

from collections.abc import Iterator
from typing import Any

import albumentations
import cv2
import numpy as np
import pytest

from tasks.variants.fused.canvas import draw
from tasks.variants.fused.motions import BY_NO_MATRIX, MOTIONS, motion_of
from tasks.variants.fused.warp import EDGES, warp
from tasks.variants.policy import build_step, scale_fill
from tasks.variants.transforms import TRANSFORMS

CONSTANT = cv2.BORDER_CONSTANT
# Each with the arguments that change how it moves pixels.
STEPS: list[tuple[str, dict[str, Any]]] = [
    ("Affine", {"rotate": [-40, 40], "scale": [0.7, 1.4], "shear": [-15, 15]}),
    ("Affine", {"rotate": [-40, 40], "translate_percent": 0.1, "fit_output": True}),
    ("Affine", {"scale": [0.8, 1.2], "keep_ratio": True, "translate_px": [-9, 9], "fill": 80}),
    ("Affine", {"scale": {"x": [0.8, 1.2], "y": 1}, "balanced_scale": True, "interpolation": 2}),
    ("Affine", {"rotate": 0}),
    ("Affine", {"rotate": 0, "fit_output": True}),
    ("CenterCrop", {"height": 31, "width": 40}),
    ("CenterCrop", {"height": 90, "width": 20, "pad_if_needed": True}),
    ("Crop", {"x_min": 3, "y_min": 5, "x_max": 40, "y_max": 41}),
    ("Crop", {"x_max": 99, "y_max": 90, "pad_if_needed": True, "pad_position": "random"}),
    ("CropAndPad", {"px": [-6, 6]}),
    ("CropAndPad", {"px": [-6, 6], "keep_size": False}),
    ("CropAndPad", {"percent": [-0.2, 0.2], "sample_independently": False, "fill": 90}),
    ("D4", {}),
    ("HorizontalFlip", {}),
    ("LongestMaxSize", {"max_size": [50, 130]}),
    ("LongestMaxSize", {"max_size": 40, "area_for_downscale": "image"}),
    ("NoOp", {}),
    ("Pad", {"padding": [3, 4, 5, 9]}),
    ("Pad", {"padding": [0, 2], "border_mode": CONSTANT, "fill": [10, 200, 90]}),
    ("PadIfNeeded", {"min_height": 90, "min_width": 30, "position": "random"}),
    ("PadIfNeeded", {"min_height": None, "min_width": None, "pad_height_divisor": 16,
                     "pad_width_divisor": 16}),
    ("Perspective", {"scale": [0.05, 0.2]}),
    ("Perspective", {"scale": [0.05, 0.2], "keep_size": False}),
    ("Perspective", {"scale": [0.05, 0.2], "fit_output": True, "fill": 120.0}),
    ("Perspective", {"scale": [0.05, 0.2], "fit_output": True, "keep_size": False}),
    ("RandomCrop", {"height": 31, "width": 40}),
    ("RandomCrop", {"height": 40, "width": 90, "pad_if_needed": True}),
    ("RandomCropFromBorders", {}),
    ("RandomResizedCrop", {"size": [45, 60]}),
    ("RandomResizedCrop", {"size": [45, 60], "area_for_downscale": "image_mask"}),
    ("RandomRotate90", {}),
    ("RandomScale", {"scale_limit": [-0.3, 0.5]}),
    ("RandomScale", {"scale_limit": [-0.3, 0.5], "area_for_downscale": "image"}),
    ("RandomSizedCrop", {"min_max_height": [20, 50], "size": [45, 60], "w2h_ratio": 1.2}),
    ("Resize", {"height": 77, "width": 50}),
    ("Resize", {"height": 77, "width": 80, "interpolation": cv2.INTER_LINEAR_EXACT}),
    ("Resize", {"height": 77, "width": 80, "interpolation": cv2.INTER_LANCZOS4}),
    ("Rotate", {"limit": 60}),
    ("Rotate", {"limit": 60, "crop_border": True}),
    ("Rotate", {"limit": [90, 90], "border_mode": CONSTANT, "fill": 200}),
    ("SafeRotate", {"limit": 60, "border_mode": CONSTANT}),
    ("ShiftScaleRotate", {"border_mode": cv2.BORDER_REPLICATE}),
    ("SmallestMaxSize", {"max_size": 70}),
    ("SmallestMaxSize", {"max_size_hw": [70, 90]}),
    ("SquareSymmetry", {}),
    ("Transpose", {}),
    ("VerticalFlip", {}),
]  # fmt: skip
SIZES = ((64, 48), (57, 71), (51, 50))
PIXELS_OF_WARPS = ("Affine", "Perspective", "Rotate", "SafeRotate", "ShiftScaleRotate")


def photo(size: tuple[int, int], dtype: Any = np.uint8, channels: int = 3) -> np.ndarray:
    """A random image, blurred: half a pixel to the side it differs by 3.4 levels on average."""
    noise = np.random.default_rng(7).integers(0, 256, (*size, 3)).astype(np.float64)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    pixels = np.rint(smooth * np.iinfo(dtype).max).astype(dtype)
    return pixels if channels == 3 else np.ascontiguousarray(pixels[:, :, 0])


def images() -> Iterator[np.ndarray]:
    yield from (photo(size) for size in SIZES)
    yield photo((57, 71), channels=1)
    yield photo((64, 48), np.uint16)
    yield photo((64, 49), np.uint16, channels=1)


def test_every_transform_moves_pixels_by_a_matrix_or_by_none_or_leaves_them() -> None:
    assert set(MOTIONS) | set(BY_NO_MATRIX) < set(TRANSFORMS)
    assert not set(MOTIONS) & set(BY_NO_MATRIX)
    assert {name for name, _ in STEPS} == set(MOTIONS)
    geometric = {
        name
        for name in TRANSFORMS
        if "geometric" in getattr(albumentations, name).__module__
        or "crops" in getattr(albumentations, name).__module__
    }
    assert geometric - {"Morphological"} == set(MOTIONS) - {"NoOp"} | set(BY_NO_MATRIX)


@pytest.mark.parametrize(("name", "arguments"), STEPS, ids=lambda value: str(value)[:60])
def test_a_matrix_moves_pixels_as_the_step_does(name: str, arguments: dict[str, Any]) -> None:
    for image in images():
        step = build_step({name: {**arguments, "p": 1.0}}, "")
        if image.dtype == np.uint16:
            scale_fill(step)
        level = np.iinfo(image.dtype).max / 255
        for seed in range(4):
            step.set_random_seed(seed)
            params = draw(step, image)
            motion = motion_of(step, params, image.shape)
            new = step.apply_with_params(params, image=image)["image"]
            assert motion is not None and new.shape[:2] == motion.size
            kind = cv2.INTER_LINEAR if motion.alone else motion.interpolation
            ours = warp(image, motion.matrix, motion.size, kind, motion.border or EDGES, False)
            difference = np.abs(ours.astype(float) - new) / level
            if motion.interpolation is None:
                assert difference.max() == 0
            # a resize ends at its edges, where a warp goes on
            assert np.quantile(difference, 0.8) <= (3 if motion.alone else 1.5)
            assert difference.mean() < (2 if motion.alone else 0.9)
