"""Warp an image once by a matrix: exactly where whole pixels move, with a prefilter to shrink it.

Linear and cubic interpolation look at the few pixels around a point. Where an image shrinks they
skip the others, and what is finer than the new pixels turns into false patterns (aliasing). So it
is blurred first, as much as the scale asks for.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from tasks.variants.fused.geometry import (
    Size,
    inverted,
    product,
    reaches_behind,
    rectangle,
    transformed,
)
from tasks.variants.fused.motions import Border

WHOLE = 1e-6  # how far a matrix may be from whole numbers to count as one of whole pixels


class Prefilter(NamedTuple):
    """A Gaussian blur before a warp: its deviation in new pixels, and the scales it is used at."""

    deviation: float
    below: float


# Of least error on photos and on noise, at scales from 0.2 to 0.95. A box of one new pixel, which
# is what a pixel shows, deviates by 0.29; linear interpolation blurs by itself.
PREFILTERS = {
    cv2.INTER_LINEAR: Prefilter(0.27, below=0.85),
    cv2.INTER_CUBIC: Prefilter(0.32, below=0.95),
    cv2.INTER_LANCZOS4: Prefilter(0.32, below=0.95),
}
HALVED_TO = 0.4  # scale up to which a large image is halved first, which is faster than a blur
LEAST_HALVED = 64  # pixels; a last one that has no neighbour to be halved with is left out
SMALLEST = 0.01  # scale; a blur for less would take long, and there is nothing left to see
REACH = 4  # pixels that an interpolation takes on each side, at most
LARGEST_SIDE = 32766  # in pixels, of what OpenCV warps
LEAST_BORDERED = 50_000  # samples of an image that a border is added to; a small one is done anyway
# What a resize does at its edges, where no step of a run says otherwise.
EDGES: Border = (cv2.BORDER_REPLICATE, ())


def warp(
    pixels: np.ndarray,
    matrix: np.ndarray,
    size: Size,
    interpolation: int | None,
    border: Border,
    prefilter: bool = True,
) -> np.ndarray:
    """The image of `size` whose pixels come from `pixels` by `matrix`.

    Args:
        pixels: uint8 or uint16, (height, width) or (height, width, 3); not written to.
        matrix: float64 (3, 3), from coordinates of `pixels` to those of the result.
        size: of the result.
        interpolation: OpenCV's number; None where the matrix moves whole pixels.
        border: what lies beyond the edges of `pixels`.
        prefilter: whether an image that shrinks is blurred first.

    Returns:
        A contiguous array, which may be `pixels`.
    """
    if matrix[2, 0] == matrix[2, 1] == 0:
        matrix = matrix / matrix[2, 2]
        whole = np.round(matrix)
        if np.abs(matrix - whole).max() < WHOLE and _is_symmetry(whole):
            return _move_whole_pixels(pixels, whole.astype(int).tolist(), size, border)
    if interpolation is None:
        raise ValueError(f"no interpolation for {matrix.tolist()}")
    if prefilter and needs_prefilter(matrix, size, interpolation):
        pixels, matrix = _prefiltered(pixels, matrix, size, interpolation, border)
    pixels, matrix = _with_border(pixels, matrix, size, border)
    if pixels.ndim == 3 or pixels.dtype != np.uint16:
        return _interpolate(pixels, matrix, size, interpolation, border)
    # OpenCV's warps of one channel of 16 bits differ between processors, of two they do not
    twice, border = cv2.merge([pixels, pixels]), (border[0], border[1] * 2)
    return cv2.extractChannel(_interpolate(twice, matrix, size, interpolation, border), 0)


def scales(matrix: np.ndarray, size: Size) -> tuple[float, float]:
    """How far a matrix stretches the axes x and y of its input, at the centre of its output."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    if g == h == 0:
        return math.hypot(a, d) / abs(i), math.hypot(b, e) / abs(i)
    x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    # of the point that the matrix leads to (x, y): by the last row of its inverse
    w = abs(determinant / ((d * h - e * g) * x + (b * g - a * h) * y + a * e - b * d))
    return math.hypot(a - g * x, d - g * y) / w, math.hypot(b - h * x, e - h * y) / w


def needs_prefilter(matrix: np.ndarray, size: Size, interpolation: int | None) -> bool:
    """Whether pixels of the input would be skipped."""
    if interpolation not in PREFILTERS:
        return False
    return min(scales(matrix, size)) < PREFILTERS[interpolation].below


# --- whole pixels


def _is_symmetry(whole: np.ndarray) -> bool:
    """Whether a matrix of whole numbers mirrors, turns and moves an image, and no more."""
    (a, b, _), (d, e, _), _ = whole.tolist()
    return (abs(a), b, d, abs(e)) == (1, 0, 0, 1) or (a, abs(b), abs(d), e) == (0, 1, 1, 0)


def _move_whole_pixels(
    pixels: np.ndarray, matrix: list[list[int]], size: Size, border: Border
) -> np.ndarray:
    """Mirror, turn, cut and pad an image by slices."""
    (a, b, x), (d, e, y), _ = matrix
    turned = a == 0
    mirrored_x, mirrored_y = a + b < 0, d + e < 0
    height, width = pixels.shape[1::-1] if turned else pixels.shape[:2]
    # where the result begins and ends in the image once it is turned and mirrored
    left = width - 1 - x if mirrored_x else -x
    top = height - 1 - y if mirrored_y else -y
    right, bottom = left + size[1], top + size[0]
    beyond = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    if not any(beyond):
        box = slice(top, bottom), slice(left, right)
        return _mirrored(pixels, turned, mirrored_x, mirrored_y, box)
    everything = slice(0, height), slice(0, width)
    upright = _mirrored(pixels, turned, mirrored_x, mirrored_y, everything)
    mode, fill = border
    padded = cv2.copyMakeBorder(upright, *beyond, borderType=mode, value=_scalar(fill))
    top, left = max(top, 0), max(left, 0)
    return np.ascontiguousarray(padded[top : top + size[0], left : left + size[1]])


def _mirrored(
    pixels: np.ndarray, turned: bool, x: bool, y: bool, box: tuple[slice, slice]
) -> np.ndarray:
    """`box` of an image that is transposed where it is `turned`, then mirrored along x and y."""
    height, width = pixels.shape[1::-1] if turned else pixels.shape[:2]
    rows, columns = box
    if y:
        rows = slice(height - rows.stop, height - rows.start)
    if x:
        columns = slice(width - columns.stop, width - columns.start)
    part = pixels[columns, rows] if turned else pixels[rows, columns]
    if turned:
        part = cv2.transpose(part)
    if x or y:
        return cv2.flip(part, -1 if x and y else int(x))
    return np.ascontiguousarray(part)


def _scalar(fill: tuple[float, ...]) -> tuple[float, ...]:
    return (*fill, 0.0, 0.0, 0.0, 0.0)[:4]


# --- interpolation


def warp_as_a_step_does(
    pixels: np.ndarray, matrix: np.ndarray, size: Size, interpolation: int, border: Border
) -> np.ndarray:
    """The bytes of OpenCV's own warp, which Albumentations' steps call; see warp()."""
    if pixels.dtype == np.uint8:  # whose weights are whole numbers, so that no origin matters
        pixels, matrix = _with_border(pixels, matrix, size, border)
    return _interpolate(pixels, matrix, size, interpolation, border)


def _interpolate(
    pixels: np.ndarray, matrix: np.ndarray, size: Size, interpolation: int, border: Border
) -> np.ndarray:
    mode, fill = border
    affine = matrix[2].tolist() == [0, 0, 1]
    return (cv2.warpAffine if affine else cv2.warpPerspective)(
        pixels,
        matrix[:2] if affine else matrix,
        size[::-1],
        flags=interpolation,
        borderMode=mode,
        borderValue=_scalar(fill),
    )


def _prefiltered(
    pixels: np.ndarray, matrix: np.ndarray, size: Size, interpolation: int, border: Border
) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that a warp reads, blurred as its scale asks for, and its matrix."""
    along = scales(matrix, size)
    halvings = _halvings(max(along), min(pixels.shape[:2]))
    block = 2**halvings
    x, y = (_deviation(scale, block, PREFILTERS[interpolation]) for scale in along)
    reach_x, reach_y = math.ceil(3 * x), math.ceil(3 * y)
    rows, columns = _read(pixels.shape[:2], matrix, size, border)
    rows = _with_margin(rows, (REACH + reach_y) * block, pixels.shape[0], block)
    columns = _with_margin(columns, (REACH + reach_x) * block, pixels.shape[1], block)
    part = pixels[rows, columns]
    for _ in range(halvings):
        height, width = part.shape[0] // 2, part.shape[1] // 2
        part = part[: 2 * height, : 2 * width]
        part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    # a deviation of 0 would be taken for one to be found from the size of the kernel
    kernel = (2 * reach_x + 1, 2 * reach_y + 1)
    part = cv2.GaussianBlur(part, kernel, sigmaX=x or 1, sigmaY=y or 1)
    centre = (block - 1) / 2
    back = [[block, 0, columns.start + centre], [0, block, rows.start + centre], [0, 0, 1]]
    return part, product(matrix, np.array(back, np.float64))


def _halvings(scale: float, shorter_side: int) -> int:
    """How often an image is halved before it is blurred and warped."""
    times = 0
    while scale * 2 <= HALVED_TO and shorter_side >= 2 * LEAST_HALVED:
        scale, shorter_side, times = scale * 2, shorter_side // 2, times + 1
    return times


def _deviation(scale: float, block: int, prefilter: Prefilter) -> float:
    """Of the blur along an axis of an image that is halved to blocks, in blocks.

    A block by itself has a variance of (block^2 - 1) / 12.
    """
    if scale >= prefilter.below:
        return 0.0
    deviation = prefilter.deviation / max(scale, SMALLEST)
    return math.sqrt(max(deviation**2 - (block**2 - 1) / 12, 0)) / block


def _read(size: Size, matrix: np.ndarray, new: Size, border: Border) -> tuple[slice, slice]:
    """Rows and columns of an image of `size` that a warp to an image of size `new` shows."""
    height, width = size
    rows, columns = _shown(matrix, new) or (slice(0, height), slice(0, width))
    inside = min(rows.start, columns.start) >= 0 and rows.stop <= height and columns.stop <= width
    if not inside and border[0] not in (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE):
        return slice(0, height), slice(0, width)  # what is mirrored may lie anywhere
    return rows, columns


def _shown(matrix: np.ndarray, new: Size) -> tuple[slice, slice] | None:
    """Rows and columns that a warp to an image of size `new` shows, those beyond the edges too.

    None where they have no bounds, as where a perspective shows what is behind the viewer as well.
    """
    back, corners = inverted(matrix), rectangle(new)
    if back is None or reaches_behind(corners, back):
        return None
    corners = transformed(corners, back)
    left, top = np.floor(corners.min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(axis=0)).astype(int).tolist()
    return slice(top, bottom + 1), slice(left, right + 1)


def _with_border(
    pixels: np.ndarray, matrix: np.ndarray, new: Size, border: Border
) -> tuple[np.ndarray, np.ndarray]:
    """An image with what its warp shows of a mirrored border, and its matrix.

    OpenCV's warps take half as long again where they look for each mirrored pixel by itself.
    """
    if border[0] == cv2.BORDER_CONSTANT or pixels.size < LEAST_BORDERED:
        return pixels, matrix
    shown = _shown(matrix, new)
    if shown is None:
        return pixels, matrix
    (rows, columns), (height, width) = shown, pixels.shape[:2]
    top, left = max(REACH - rows.start, 0), max(REACH - columns.start, 0)
    bottom = max(rows.stop + REACH - height, 0)
    right = max(columns.stop + REACH - width, 0)
    tall, wide = height + top + bottom, width + left + right
    if (tall, wide) == (height, width) or max(tall, wide) > LARGEST_SIDE:
        return pixels, matrix
    if tall * wide > 2 * new[0] * new[1]:  # to copy it would take longer
        return pixels, matrix
    padded = cv2.copyMakeBorder(pixels, top, bottom, left, right, border[0])
    return padded, product(matrix, np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]]))


def _with_margin(shown: slice, margin: int, length: int, block: int) -> slice:
    """What is to be read of an axis, in whole blocks from the first of the image."""
    start = max(shown.start - margin, 0) // block * block
    end = min(shown.stop + margin, length)
    return slice(start, end) if end - start >= block else slice(0, length)
