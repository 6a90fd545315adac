"""How alike a variant and its source are: the correlation of their thumbnails, moved alike."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from tasks.variants.fused import geometry as geometries
from tasks.variants.fused.geometry import Geometry, product

THUMBNAIL = 32  # cells a side, at most
COARSEST, FINEST = 5, 10  # log2 of the cells a side of a source's thumbnails
ROWS_TAKEN = 2  # of a cell, at least, where it has as many
OFF_TIES = 0.0037  # cells: where a place is halfway between two, last bits would decide
FIXED_POINT = 10  # bits after the point in OpenCV's polygons


class Cells:
    """An image of few cells, each the mean of `step` pixels; what remains of it is left out.

    Of high cells only some rows are taken, which takes a fraction of the time.

    Attributes:
        means: of the image's type, (rows, columns), at most `most` of each.
        step: height and width of a cell, in pixels.
    """

    def __init__(self, pixels: np.ndarray, most: int) -> None:
        height, width = (-(-side // most) for side in pixels.shape[:2])
        every = 2 ** max(int(math.log2(height / ROWS_TAKEN)), 0)
        height = -(-height // every) * every
        rows, columns = pixels.shape[0] // height, pixels.shape[1] // width
        self.step = height, width
        part = pixels[every // 2 : rows * height : every, : columns * width]
        self.means = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)


def cells_within(polygon: np.ndarray, step: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """Which cells lie within a polygon, or on its edge: uint8 (rows, columns), 0 or 255.

    Args:
        polygon: float64 (n, 2), in pixels.
        step: height and width of a cell, in pixels.
        shape: how many rows and columns.
    """
    mask = np.zeros(shape[:2], np.uint8)
    if len(polygon):
        cells = (polygon + 0.5) / step[::-1] - 0.5 + OFF_TIES
        corners = np.round(cells * 2**FIXED_POINT).astype(np.int32)
        cv2.fillConvexPoly(mask, corners, 255, shift=FIXED_POINT)
    return mask


class Thumbnails:
    """The thumbnails of a source, each made once; `grey`: its grey levels."""

    def __init__(self, grey: np.ndarray) -> None:
        self.grey = grey
        self._by_cells: dict[int, Cells] = {}

    def with_cells_of(self, pixels: float) -> Cells:
        """The one whose cells have about so many pixels a side."""
        doublings = round(math.log2(max(max(self.grey.shape) / pixels, 1)))
        cells = 2 ** min(max(doublings, COARSEST), FINEST)
        if cells not in self._by_cells:
            self._by_cells[cells] = Cells(self.grey, cells)
        return self._by_cells[cells]


def similarity(
    grey: np.ndarray, geometry: Geometry, scale: float, source: Thumbnails
) -> float | None:
    """The correlation of a variant's thumbnail with that of its source, moved as it was.

    Both are of grey levels, which take a third of the time of colours.

    Only cells that show the source are compared, so that a flip or a crop takes nothing away.
    Where the geometry is unknown, the two are compared as they lie.
    """
    to_source = geometries.inverse(geometry)
    if to_source is None or geometry.visible is None:
        known = geometries.resized(geometry.source, geometry.size)
        return similarity(grey, known, geometries.scale(known, geometries.shown(known)), source)
    small = Cells(grey, THUMBNAIL)
    moved = moved_thumbnail(source, small, to_source, scale)
    within = cells_within(geometry.visible, small.step, small.means.shape)
    # those on the edge of the polygon show something else too
    within = cv2.erode(within, np.ones((3, 3), np.uint8))
    return correlation(small.means, moved, within)


def moved_thumbnail(
    source: Thumbnails, small: Cells, to_source: np.ndarray, scale: float
) -> np.ndarray:
    """What a source shows where the cells of its variant's thumbnail are.

    Each cell is the mean of four points, taken from a thumbnail of twice as many cells.

    Args:
        source: the source.
        small: the thumbnail of its variant.
        to_source: float64 (3, 3), from coordinates of the variant to those of the source.
        scale: of the variant, see geometry.scale().
    """
    base = source.with_cells_of(math.sqrt(small.step[0] * small.step[1]) / 2 / scale)
    rows, columns = small.means.shape
    matrix = product(scaled(1 / base.step[0], 1 / base.step[1], OFF_TIES), to_source)
    matrix = product(matrix, scaled(small.step[0] / 2, small.step[1] / 2))
    points = cv2.warpPerspective(
        base.means,
        matrix,
        (2 * columns, 2 * rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(points, (columns, rows), interpolation=cv2.INTER_AREA)


def scaled(y: float, x: float, shift: float = 0.0) -> np.ndarray:
    """The matrix to coordinates of an image whose sides are so many times as long."""
    return np.array([[x, 0, x / 2 - 0.5 + shift], [0, y, y / 2 - 0.5 + shift], [0, 0, 1]])


def correlation(left: np.ndarray, right: np.ndarray, mask: np.ndarray) -> float | None:
    """Pearson's correlation of two thumbnails; None where all samples of one are equal.

    `mask`: which cells are compared, uint8 (rows, columns).
    """
    a, b = (cv2.bitwise_and(image, image, mask=mask) for image in (left, right))
    count = cv2.countNonZero(mask)
    (of_a, squares_a), (of_b, squares_b) = sums(a), sums(b)
    products = (squares_a + squares_b - round(cv2.norm(a, b, cv2.NORM_L2SQR))) // 2
    variances = (count * squares_a - of_a**2) * (count * squares_b - of_b**2)
    return (count * products - of_a * of_b) / math.sqrt(variances) if variances else None


def sums(numbers: np.ndarray) -> tuple[int, int]:
    """The sum of whole numbers and that of their squares; OpenCV's are exact once rounded."""
    return round(sum(cv2.sumElems(numbers))), round(cv2.norm(numbers, cv2.NORM_L2SQR))
