"""Rules about areas: what of a picture is cut off, covered by holes, or from beyond the image."""

import random
from collections.abc import Callable, Sequence
from itertools import dropwhile, islice, takewhile
from typing import Any

import numpy as np
import pandas as pd

from tasks.capacity.steps import TO_SIZE
from tasks.lint.findings import Finding
from tasks.lint.order import WHOLE_PIXELS, Placed, placed_leaves
from tasks.lint.policy_rules import REFLECT, has_constant_border
from tasks.lint.step_rules import HOLES_AS_SHARES
from tasks.variants.fused.canvas import draw
from tasks.variants.fused.geometry import Geometry, Size, border, moved, untouched
from tasks.variants.fused.motions import motion_of

SEED = 0
DRAWS = 16  # of a step, for an image of each size
SIZES = 8  # of images that are drawn for
MOST_BORDER = 0.02  # of a picture, on average
LEAST_KEPT = 1 / 3  # of the area of an image
MOST_COVERED = 0.5  # of it, on average


def constant_borders(
    transforms: list[Any],
    rows: pd.DataFrame,
    location: str,
    on_background: Callable[[Any], bool] = lambda step: False,
) -> list[Finding]:
    """Steps that fill a part of the picture with one colour: the expected share, by drawing it.

    Args:
        transforms: of the policy.
        rows: height and width of each image.
        location: of the policy in params.yaml.
        on_background: whether the images have the colour of a step at their edges anyway.
    """
    findings = []
    for placed in placed_leaves(transforms, location):
        if rows.empty or not has_constant_border(placed.leaf):
            continue
        crops = crops_after(placed.leaf, transforms)
        shares = border_shares(placed.leaf, example_sizes(rows), crops)
        mean = float(np.mean(shares)) if shares else 0.0
        if mean > MOST_BORDER and not on_background(placed.leaf):
            why = (
                f"fills {mean:.0%} of a picture with one colour on average, and up to "
                f"{max(shares):.0%}, where a network can see how an image was moved"
            )
            findings.append(Finding("constant_border", placed.place, why, f"set {REFLECT}"))
    return findings


def example_sizes(rows: pd.DataFrame) -> list[Size]:
    """Up to SIZES sizes of images, from the smallest area to the largest, as often as they come."""
    sizes = rows[["height", "width"]].to_numpy(np.int64)
    order = np.argsort(sizes.prod(axis=1), kind="stable")
    chosen = order[evenly_spaced(len(order), SIZES)]
    return [(height, width) for height, width in sizes[chosen].tolist()]


def evenly_spaced(number: int, most: int) -> np.ndarray:
    """At most `most` places in a row of `number`, from the first to the last."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(np.int64)


def crops_after(step: Any, transforms: list[Any]) -> list[Any]:
    """The crops that certainly follow a step of a policy, and cut off some of what it filled."""
    later = dropwhile(lambda each: each is not step, transforms)
    run = takewhile(lambda each: type(each).__name__ in WHOLE_PIXELS, islice(later, 1, None))
    crops = [each for each in run if type(each).__name__ in ("CenterCrop", "RandomCrop")]
    return [crop for crop in crops if crop.p == 1]


def border_shares(step: Any, sizes: list[Size], crops: Sequence[Any] = ()) -> list[float]:
    """The shares of a picture that lie beyond the image, in DRAWS draws for each size.

    No image is needed: what such a step draws depends on its size alone. Empty where a step moves
    pixels by no matrix. `crops`: what follows; a crop that does not fit is left out.
    """
    for each in (step, *crops):
        each.set_random_state(np.random.default_rng(SEED), random.Random(SEED))
    shares = []
    for size in sizes:
        for _ in range(DRAWS):
            geometry = _after_step(untouched(size), step)
            for crop in crops:
                if crop.height <= geometry.size[0] and crop.width <= geometry.size[1]:
                    geometry = _after_step(geometry, crop)
            if geometry.visible is None:
                return []
            shares.append(border(geometry) or 0.0)
    return shares


def _after_step(geometry: Geometry, step: Any) -> Geometry:
    """Where pixels lie after one more step, by what it draws for an image of that size."""
    stand_in = np.broadcast_to(np.uint8(0), geometry.size)
    motion = motion_of(step, draw(step, stand_in), geometry.size)
    matrix, size = (None, geometry.size) if motion is None else (motion.matrix, motion.size)
    return moved(geometry, matrix, size)


def small_crops(transforms: list[Any], rows: pd.DataFrame, location: str) -> list[Finding]:
    """Crops to a part of the image that may leave out what its label is about.

    Args:
        transforms: of the policy.
        rows: height and width of each image.
        location: of the policy in params.yaml.
    """
    findings = []
    height, width = (rows[side].to_numpy(np.float64) for side in ("height", "width"))
    for placed in placed_leaves(transforms, location):
        keeps = KEEPS.get(placed.name)
        if keeps is None or rows.empty or (_resized(placed) and placed.name in IN_PIXELS):
            continue
        kept = np.broadcast_to(keeps(placed.leaf, height, width), height.shape)
        concerned = int((kept < LEAST_KEPT).sum())
        if concerned:
            why = (
                f"may keep as little as {kept.min():.1%} of an image, of {concerned:,} of "
                f"{len(rows):,} training images less than a third, and what its label says may be "
                "in the rest"
            )
            findings.append(Finding("small_crop", placed.place, why, _larger_crop(placed)))
    return findings


def _resized(placed: Placed) -> bool:
    """Whether a step may get images of other sizes than the policy gets."""
    return any(earlier.name in (*TO_SIZE, *KEEPS) for earlier in placed.before)


def _of_size(crop_height: Any, crop_width: Any, height: np.ndarray, width: np.ndarray) -> Any:
    """The share that a crop of so many pixels has of images."""
    return np.minimum(crop_height, height) * np.minimum(crop_width, width) / (height * width)


# The least share of the area of images that a crop keeps.
KEEPS: dict[str, Callable[[Any, np.ndarray, np.ndarray], Any]] = {
    "CenterCrop": lambda crop, *size: _of_size(crop.height, crop.width, *size),
    "Crop": lambda crop, *size: _of_size(crop.y_max - crop.y_min, crop.x_max - crop.x_min, *size),
    "RandomCrop": lambda crop, *size: _of_size(crop.height, crop.width, *size),
    "RandomCropFromBorders": lambda crop, *size: (
        max(0, 1 - crop.crop_left - crop.crop_right) * max(0, 1 - crop.crop_top - crop.crop_bottom)
    ),
    "RandomResizedCrop": lambda crop, *size: crop.scale[0],
    "RandomSizedCrop": lambda crop, *size: _of_size(
        crop.min_max_height[0], crop.min_max_height[0] * crop.w2h_ratio, *size
    ),
}
IN_PIXELS = ("CenterCrop", "Crop", "RandomCrop", "RandomSizedCrop")


def _larger_crop(placed: Placed) -> str:
    leaf = placed.leaf
    if placed.name == "RandomResizedCrop":
        return f"set scale: [0.35, {max(0.35, leaf.scale[1]):g}]"
    if placed.name == "RandomCropFromBorders":
        return "set crop_left, crop_right, crop_top and crop_bottom to 0.2"
    if placed.name == "RandomSizedCrop":
        size = list(leaf.size)
    elif placed.name == "Crop":
        size = [leaf.y_max - leaf.y_min, leaf.x_max - leaf.x_min]
    else:
        size = [leaf.height, leaf.width]
    return f"use RandomResizedCrop: {{size: {size}, scale: [0.35, 1.0]}}"


def large_holes(transforms: list[Any], rows: pd.DataFrame, location: str) -> list[Finding]:
    """Holes that cover most of an image, because they are in pixels and it is small.

    Args:
        transforms: of the policy.
        rows: height and width of each image.
        location: of the policy in params.yaml.
    """
    findings = []
    height, width = (rows[side].to_numpy(np.float64) for side in ("height", "width"))
    for placed in placed_leaves(transforms, location):
        if placed.name != "CoarseDropout" or rows.empty or _resized(placed):
            continue
        share = covered_share(placed.leaf, height, width)
        concerned = int((share > MOST_COVERED).sum())
        if concerned:
            why = (
                f"its holes cover {share.max():.0%} of an image on average, of {concerned:,} of "
                f"{len(rows):,} training images more than half"
            )
            findings.append(Finding("large_holes", placed.place, why, HOLES_AS_SHARES))
    return findings


def covered_share(holes: Any, height: np.ndarray, width: np.ndarray) -> np.ndarray:
    """The share of images that CoarseDropout covers on average, as far as holes do not overlap."""
    sides = []
    pixels = holes.hole_height_range[1] >= 1  # Albumentations takes both for shares else
    for limits, side in ((holes.hole_height_range, height), (holes.hole_width_range, width)):
        shares = [np.minimum(limit / side if pixels else limit, 1.0) for limit in limits]
        sides.append(sum(shares) / 2)
    return np.minimum(sides[0] * sides[1] * sum(holes.num_holes_range) / 2, 1.0)
