"""Where a variant's pixels come from: the matrix from its source, and what it shows of it.

Coordinates are those of OpenCV: (x, y), a pixel's centre at whole numbers, so an image of
(height, width) reaches from -0.5 to width - 0.5 and height - 0.5. A step that moves pixels by no
matrix, as ElasticTransform does, leaves the geometry unknown.
"""

import math
from typing import NamedTuple

import numpy as np

Size = tuple[int, int]  # height, width, in pixels
Point = tuple[float, float, float]  # x, y and w: homogeneous coordinates
IDENTITY = np.eye(3)
IDENTITY.flags.writeable = False
NEAREST = 1e-6  # w of what is seen; a perspective puts points with less at infinity or behind


class Geometry(NamedTuple):
    """How a source became a variant.

    `source`, `size`: of the source and of the variant. `matrix`: float64 (3, 3), from coordinates
    of the source to those of the variant, up to a factor; None where it is unknown. `visible`:
    float64 (n, 2), the convex polygon of the variant that shows the source; nothing beyond it
    does, whatever fills it. None where it is unknown, (0, 2) where nothing is left to see.
    """

    source: Size
    size: Size
    matrix: np.ndarray | None
    visible: np.ndarray | None


def untouched(size: Size) -> Geometry:
    """The geometry of a source itself."""
    return Geometry(size, size, IDENTITY, rectangle(size))


def moved(geometry: Geometry, matrix: np.ndarray | None, size: Size) -> Geometry:
    """The geometry after one more step.

    Args:
        geometry: before it.
        matrix: float64 (3, 3), from coordinates before the step to those after it; None where
            the step moves pixels by no matrix.
        size: of the image after it, which cuts off what lies beyond.
    """
    if matrix is None or geometry.matrix is None or geometry.visible is None:
        return geometry._replace(size=size, matrix=None, visible=None)
    visible = clipped(transformed(geometry.visible, matrix), size)
    if reaches_behind(geometry.visible, matrix):  # OpenCV shows what lies there as well
        behind = clipped(transformed(geometry.visible, -matrix), size)
        if area(behind) > area(visible):
            matrix, visible = -matrix, behind
    if geometry.matrix is not IDENTITY:
        matrix = product(matrix, geometry.matrix)
    return Geometry(geometry.source, size, matrix, visible)


def product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The matrix that does `other` and then `one`.

    NumPy's own takes sums in another order on other processors.
    """
    return (one[:, :, None] * other).sum(axis=1)


def reaches_behind(polygon: np.ndarray, matrix: np.ndarray) -> bool:
    """Whether a perspective puts a corner of a polygon behind the viewer."""
    g, h, i = matrix[2].tolist()
    return any(g * x + h * y + i < NEAREST for x, y in polygon.tolist())


def transformed(polygon: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A convex polygon moved by a matrix, without what a perspective puts behind the viewer."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    points = [
        (a * x + b * y + c, d * x + e * y + f, g * x + h * y + i) for x, y in polygon.tolist()
    ]
    if g or h:
        points = _cut(points, (0.0, 0.0, 1.0), -NEAREST)
    return _as_polygon([(x / w, y / w) for x, y, w in points])


def clipped(polygon: np.ndarray, size: Size) -> np.ndarray:
    """The part of a convex polygon that lies within an image."""
    points = [(x, y, 1.0) for x, y in polygon.tolist()]
    height, width = size
    points = _cut(points, (1.0, 0.0, 0.5))
    points = _cut(points, (-1.0, 0.0, width - 0.5))
    points = _cut(points, (0.0, 1.0, 0.5))
    points = _cut(points, (0.0, -1.0, height - 0.5))
    return _as_polygon([(x, y) for x, y, _ in points])


def _cut(points: list[Point], side: Point, offset: float = 0.0) -> list[Point]:
    """The part of a convex polygon where ax + by + cw + offset is not negative, side by side.

    By Sutherland and Hodgman: a corner that is inside stays, and an edge that crosses the line
    leaves the point where it does.
    """
    a, b, c = side
    heights = [a * x + b * y + c * w + offset for x, y, w in points]
    if not heights or min(heights) >= 0:
        return points
    found = []
    last, last_height = points[-1], heights[-1]
    for point, height in zip(points, heights, strict=True):
        if (height < 0) != (last_height < 0):
            share = last_height / (last_height - height)
            x, y, w = (p + share * (q - p) for p, q in zip(last, point, strict=True))
            found.append((x, y, w))
        if height >= 0:
            found.append(point)
        last, last_height = point, height
    return found


def _as_polygon(points: list[tuple[float, float]]) -> np.ndarray:
    return np.array(points, np.float64).reshape(-1, 2)


def rectangle(size: Size) -> np.ndarray:
    """The corners of an image, float64 (4, 2)."""
    height, width = size
    right, bottom = width - 0.5, height - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])


def area(polygon: np.ndarray) -> float:
    """The area of a polygon, in pixels."""
    points = polygon.tolist()
    pairs = zip(points[-1:] + points[:-1], points, strict=True)
    return abs(sum(x * v - u * y for (x, y), (u, v) in pairs)) / 2


def border(geometry: Geometry) -> float | None:
    """The share of a variant's pixels that lie outside its source; None where it is unknown."""
    if geometry.visible is None:
        return None
    height, width = geometry.size
    return 1 - area(geometry.visible) / (height * width)


def inverse(geometry: Geometry) -> np.ndarray | None:
    """The matrix from coordinates of the variant to those of its source; None if unknown."""
    return None if geometry.matrix is None else inverted(geometry.matrix)


def inverted(matrix: np.ndarray) -> np.ndarray | None:
    """The matrix that leads back, by cofactors; None where none does.

    NumPy's own differs in the last digits from one processor to the next.
    """
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    cofactors = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    return np.array(cofactors) / determinant if determinant else None


def shown(geometry: Geometry) -> np.ndarray | None:
    """The polygon of the source that its variant shows; None where it is unknown."""
    back = inverse(geometry)
    if back is None or geometry.visible is None:
        return None
    return transformed(geometry.visible, back)


def scale(geometry: Geometry, part: np.ndarray | None) -> float:
    """How many pixels of the variant a pixel of the source takes along a side; 1 if unknown.

    A perspective has another scale at each point: this is the mean of what is shown.

    Args:
        geometry: of the variant.
        part: what it shows, see shown().
    """
    if part is None or geometry.visible is None or not area(part):
        return 1.0
    return math.sqrt(area(geometry.visible) / area(part)) or 1.0


def resized(source: Size, size: Size) -> Geometry:
    """The geometry of an image that was resized."""
    y, x = (new / old for new, old in zip(size, source, strict=True))
    matrix = np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])
    return Geometry(source, size, matrix, rectangle(size))
