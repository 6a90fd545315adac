"""Where a variant's pixels come from: the matrix from its source, and what it shows of it.

Coordinates are those of OpenCV: (x, y), a pixel's centre at whole numbers, so an image of
(height, width) reaches from -0.5 to width - 0.5 and height - 0.5. A step that moves pixels by no
matrix, as ElasticTransform does, leaves the geometry unknown.
"""

from typing import NamedTuple

import numpy as np

Size = tuple[int, int]  # height, width, in pixels


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
    return Geometry(size, size, np.eye(3), rectangle(size))


def rectangle(size: Size) -> np.ndarray:
    """The corners of an image, float64 (4, 2)."""
    height, width = size
    right, bottom = width - 0.5, height - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
