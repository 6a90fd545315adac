"""The matrix of each geometric step, from what it drew: one 3 x 3 homography a step.

Each follows the `apply` of Albumentations' class of that name, whose pixels it is tested against.
Matrices lead from coordinates of the step's input to those of its output, a pixel's centre at
whole numbers, as OpenCV's warps take them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np

from tasks.variants.fused.geometry import IDENTITY, Size, product

Border = tuple[int, tuple[float, ...]]  # OpenCV's mode, and the fill of each channel if constant
Params = dict[str, Any]  # what a step drew

# The exact kinds differ from these in a resize alone, by less than a grey level.
SAME_IN_A_WARP = {
    cv2.INTER_LINEAR_EXACT: cv2.INTER_LINEAR,
    cv2.INTER_NEAREST_EXACT: cv2.INTER_NEAREST,
}
SMALLEST_DETERMINANT = 1e-9  # below, an image is squeezed to a line, and no warp leads back


class Motion(NamedTuple):
    """How a step moves pixels.

    `matrix`: float64 (3, 3). `size`: of the output. `interpolation`: OpenCV's number; None where
    whole pixels move. `border`: what it shows from beyond its input; None where it shows nothing
    of it. `cuts`: whether pixels of its input may be left out. `pads`: whether it adds pixels at
    the edges of its input, which are to be filled from nothing but that. `warps`: whether OpenCV's
    warp by that matrix is all that the step does. `alone`: no warp does what it does.
    """

    matrix: np.ndarray
    size: Size
    interpolation: int | None = None
    border: Border | None = None
    cuts: bool = False
    pads: bool = False
    warps: bool = False
    alone: bool = False


def motion_of(step: Any, params: Params, shape: tuple[int, ...]) -> Motion | None:
    """How a step moves the pixels of an image of `shape`; None where that is by no matrix.

    Args:
        step: an object of one of Albumentations' classes.
        params: what it drew for the image.
        shape: (height, width) or (height, width, channels).
    """
    find = MOTIONS.get(type(step).__name__)
    if find is None:
        return None
    motion = find(step, params, shape)
    return motion if _can_be_warped(motion) else motion._replace(alone=True)


def _can_be_warped(motion: Motion) -> bool:
    if motion.interpolation is None:
        return min(motion.size) > 0
    (a, b, _), (d, e, _), _ = motion.matrix.tolist()
    flat = abs(a * e - b * d) < SMALLEST_DETERMINANT
    return motion.interpolation != cv2.INTER_AREA and min(motion.size) > 0 and not flat


def _size(shape: tuple[int, ...]) -> Size:
    return shape[0], shape[1]


# --- matrices


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def _scaling(old: Size, new: Size) -> np.ndarray:
    """Of a resize, which keeps the corners of the image, half a pixel from the centres."""
    y, x = new[0] / max(old[0], 1), new[1] / max(old[1], 1)
    return np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])


def _is_identity(matrix: np.ndarray) -> bool:
    """As Albumentations' warp_affine finds it, which then leaves the image as it is."""
    return bool((np.abs(matrix - IDENTITY) <= 1e-8 + 1e-5 * IDENTITY).all())


def border_of(mode: int, fill: Any, shape: tuple[int, ...]) -> Border:
    """What a step shows from beyond the edges of an image of `shape`."""
    if mode != cv2.BORDER_CONSTANT:
        return mode, ()
    levels = fill if isinstance(fill, list | tuple) else [fill] * 3
    return mode, tuple(map(float, levels[: shape[2] if len(shape) == 3 else 1]))


# --- whole pixels


def _nothing(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    return Motion(IDENTITY, _size(shape))


# Of Albumentations' names for the symmetries of the square: whether the image is transposed, and
# then whether x and y are mirrored.
SYMMETRIES = {
    "e": (False, False, False),
    "h": (False, True, False),
    "v": (False, False, True),
    "r180": (False, True, True),
    "t": (True, False, False),
    "r90": (True, False, True),
    "r270": (True, True, False),
    "hvt": (True, True, True),
}


def _symmetry(element: str, shape: tuple[int, ...]) -> Motion:
    turned, mirrors_x, mirrors_y = SYMMETRIES[element]
    if not (turned or mirrors_x or mirrors_y):
        return Motion(IDENTITY, _size(shape))
    height, width = (shape[1], shape[0]) if turned else _size(shape)
    x = [-1.0, width - 1.0] if mirrors_x else [1.0, 0.0]
    y = [-1.0, height - 1.0] if mirrors_y else [1.0, 0.0]
    rows = [[0, *x], [y[0], 0, y[1]]] if turned else [[x[0], 0, x[1]], [0, *y]]
    return Motion(np.array([*rows, [0, 0, 1]]), (height, width))


def _horizontal_flip(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    return _symmetry("h", shape)


def _vertical_flip(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    return _symmetry("v", shape)


def _transpose(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    return _symmetry("t", shape)


def _quarter_turns(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    return _symmetry(("e", "r90", "r180", "r270")[params["factor"]], shape)


def _any_symmetry(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    return _symmetry(str(params["group_element"]), shape)


def _crop(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    """A crop, after a pad where it is larger than the image and `pad_if_needed`."""
    padded = params.get("pad_params") or {}
    top, left = padded.get("pad_top", 0), padded.get("pad_left", 0)
    height = shape[0] + top + padded.get("pad_bottom", 0)
    width = shape[1] + left + padded.get("pad_right", 0)
    x, y, x_end, y_end = map(int, params["crop_coords"])
    return Motion(
        _shift(left - x, top - y),
        (y_end - y, x_end - x),
        border=border_of(step.border_mode, step.fill, shape) if padded else None,
        cuts=True,
        pads=bool(padded),
        # Albumentations refuses what is empty or beyond the edges
        alone=not (0 <= x < x_end <= width and 0 <= y < y_end <= height),
    )


def _pad(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    sides = [int(params[f"pad_{side}"]) for side in ("top", "bottom", "left", "right")]
    top, bottom, left, right = sides
    if not any(sides):
        return Motion(IDENTITY, _size(shape))
    return Motion(
        _shift(left, top),
        (shape[0] + top + bottom, shape[1] + left + right),
        border=border_of(step.border_mode, step.fill, shape),
        pads=True,
        alone=min(sides) < 0,
    )


# --- resizes


def _resize(step: Any, old: Size, new: Size, shrinks: bool) -> Motion:
    if old == new:
        return Motion(IDENTITY, new)
    kind = step.interpolation
    if getattr(step, "area_for_downscale", None) and shrinks:
        kind = cv2.INTER_AREA
    return Motion(_scaling(old, new), new, SAME_IN_A_WARP.get(kind, kind))


def _resize_to(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    shrinks = step.height < shape[0] or step.width < shape[1]
    return _resize(step, _size(shape), (step.height, step.width), shrinks)


def _random_scale(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    scale = params["scale"]
    new = int(shape[0] * scale), int(shape[1] * scale)
    return _resize(step, _size(shape), new, scale < 1)


def _max_size(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    scale = params["scale"]
    new = max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
    return _resize(step, _size(shape), new, scale < 1)


def _sized_crop(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    crop = _crop(step, params, shape)
    new = (step.size[0], step.size[1])
    shrinks = crop.size[0] > new[0] or crop.size[1] > new[1]
    resize = _resize(step, crop.size, new, shrinks)
    return resize._replace(matrix=product(resize.matrix, crop.matrix), cuts=True, alone=crop.alone)


def _crop_and_pad(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    x, y, x_end, y_end = params["crop_params"] or (0, 0, shape[1], shape[0])
    top, bottom, left, right = params["pad_params"] or (0, 0, 0, 0)
    height, width = y_end - y, x_end - x
    pads = bool(params["pad_params"])
    border = border_of(step.border_mode, params["fill"], shape) if pads else None
    size = height + top + bottom, width + left + right
    matrix, kind = _shift(left - x, top - y), None
    # What a pad far from a crop mirrors is not what was cut off, unless it reaches that far.
    near = step.border_mode in (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE) or (
        step.border_mode != cv2.BORDER_WRAP
        and max(top, bottom) < height
        and max(left, right) < width
    )
    alone = pads and params["crop_params"] is not None and not near
    alone = alone or height <= 0 or width <= 0
    if step.keep_size:
        resize = _resize(step, size, _size(shape), False)
        # an edge that is enlarged would have half a pixel of the border blended into it
        alone = alone or (pads and (size[0] < shape[0] or size[1] < shape[1]))
        matrix, size, kind = product(resize.matrix, matrix), resize.size, resize.interpolation
    cuts = params["crop_params"] is not None
    return Motion(matrix, size, kind, border, cuts, pads, alone=alone)


# --- warps


def _affine(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    matrix = params["matrix"]
    if _is_identity(matrix):
        return Motion(IDENTITY, _size(shape))
    height, width = params["output_shape"][:2]
    return _warp(step, matrix, (round(height), round(width)), shape)


def _warp(step: Any, matrix: np.ndarray, size: Size, shape: tuple[int, ...]) -> Motion:
    border = border_of(step.border_mode, step.fill, shape)
    return Motion(matrix, size, step.interpolation, border, cuts=True, warps=True)


def _rotate(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    matrix, (height, width) = params["matrix"], _size(shape)
    motion = _nothing(step, params, shape)
    if not _is_identity(matrix):
        motion = _warp(step, matrix, (height, width), shape)
    if not step.crop_border:
        return motion
    x, y, x_end, y_end = (params[side] for side in ("x_min", "y_min", "x_max", "y_max"))
    return motion._replace(
        matrix=product(_shift(-x, -y), motion.matrix),
        size=(y_end - y, x_end - x),
        cuts=True,
        warps=False,
    )


def _perspective(step: Any, params: Params, shape: tuple[int, ...]) -> Motion:
    matrix, size = params["matrix"], (params["max_height"], params["max_width"])
    if step.keep_size:
        height, width = shape[:2]
        scales = [width / max(size[1], 1), height / max(size[0], 1), 1.0]
        matrix, size = product(np.diag(scales), matrix), (height, width)
    return _warp(step, matrix, size, shape)


MOTIONS: dict[str, Callable[[Any, Params, tuple[int, ...]], Motion]] = {
    "Affine": _affine,
    "CenterCrop": _crop,
    "Crop": _crop,
    "CropAndPad": _crop_and_pad,
    "D4": _any_symmetry,
    "HorizontalFlip": _horizontal_flip,
    "LongestMaxSize": _max_size,
    "NoOp": _nothing,
    "Pad": _pad,
    "PadIfNeeded": _pad,
    "Perspective": _perspective,
    "RandomCrop": _crop,
    "RandomCropFromBorders": _crop,
    "RandomResizedCrop": _sized_crop,
    "RandomRotate90": _quarter_turns,
    "RandomScale": _random_scale,
    "RandomSizedCrop": _sized_crop,
    "Resize": _resize_to,
    "Rotate": _rotate,
    "SafeRotate": _affine,
    "ShiftScaleRotate": _affine,
    "SmallestMaxSize": _max_size,
    "SquareSymmetry": _any_symmetry,
    "Transpose": _transpose,
    "VerticalFlip": _vertical_flip,
}
# Steps that move pixels by no matrix. All others that are not in MOTIONS leave them in place.
BY_NO_MATRIX = (
    "ElasticTransform",
    "GridDistortion",
    "GridElasticDeform",
    "OpticalDistortion",
    "PiecewiseAffine",
    "RandomGridShuffle",
    "ThinPlateSpline",
)
