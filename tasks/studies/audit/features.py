"""Features: what images are compared by, small contrast-normalised pixels or HOG and PCA.

Small images are their grey levels on a small square; photos are histograms of oriented gradients
(HOG: N. Dalal, B. Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005),
projected onto the principal components of the originals.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np
from scipy.linalg import eigh

from tasks.pixels.convert import resize

LARGEST_SMALL = 64  # pixels, of the longer side
# Of a square, in pixels. Smaller, trousers upside down look like dresses; larger, equal shapes a
# pixel apart look unlike.
PIXELS_SIDE = 20
HOG_SIDE = 64
FLAT = 1e-5  # of the highest level: smaller differences are rounding errors of the resize
CELL, BLOCK, BINS = 8, 16, 9  # of HOG; pixels, pixels, directions
BLANK = 2.0  # pixels of any two images are at most that far apart; those of nothing are farther
HOG_LEVELS = 255  # an entry of HOG is 0 to 1
MOST_DIMENSIONS = 1024  # compared as they are: PCA of small pixels loses fine differences
COMPONENTS = 64


class Form(NamedTuple):
    """How images become features: `kind`, and the `side` of the square they are resized to."""

    kind: Literal["pixels", "hog"]
    side: int


def choose_form(widths: Sequence[int], heights: Sequence[int]) -> Form:
    """The form for images of these sizes in pixels: pixels for small ones, HOG for photos.

    What is small is decided by the median of their longer sides.
    """
    longer = float(np.median(np.maximum(widths, heights)))
    if longer > LARGEST_SMALL:
        return Form("hog", HOG_SIDE)
    return Form("pixels", min(round(longer), PIXELS_SIDE))


def extract(pixels: np.ndarray, form: Form) -> np.ndarray:
    """The features of an image, before they are projected.

    An image that is no square is squeezed into one, as training does by default; so a quarter turn
    or a crop of a photo changes its shape here as it does there.

    Args:
        pixels: uint8 or uint16, (height, width) or (height, width, 3).
        form: see choose_form().

    Returns:
        `pixels`: float16 (side * side + 1,), grey levels with mean 0 and norm 1, then 0. Where they
        are all one, zeros, then BLANK. `hog`: uint8 (dimensions,), 255 for 1; zeros where levels
        are all one.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels
    # As fractions, or an image of little contrast would be rounded to few levels.
    square = resize(grey.astype(np.float32), form.side, form.side)
    blank = bool(np.ptp(square) <= FLAT * square.max())
    if blank:
        square = np.zeros_like(square)
    if form.kind == "pixels":
        return np.append(_normalised(square.ravel()), BLANK * blank).astype(np.float16)
    return np.rint(HOG_LEVELS * _gradients(square)).astype(np.uint8)


def _normalised(levels: np.ndarray) -> np.ndarray:
    """Levels with mean 0 and norm 1, so that brightness and contrast make no difference."""
    centred = levels - levels.mean()
    return centred / (np.linalg.norm(centred) or 1)


def _gradients(square: np.ndarray) -> np.ndarray:
    """The histograms of oriented gradients of a square, float32, 0 to 1."""
    levels = cv2.normalize(square, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)  # type: ignore[call-overload]
    stride = (CELL, CELL)
    hog = cv2.HOGDescriptor(square.shape, (BLOCK, BLOCK), stride, (CELL, CELL), BINS)
    return np.asarray(hog.compute(levels)).ravel()


class Projection(NamedTuple):
    """A change of features to fewer dimensions: those in which originals differ most.

    `mean`: float32 (dimensions,). `axes`: float32 (dimensions, components), orthonormal; None
    where features are few enough to be compared as they are.
    """

    mean: np.ndarray
    axes: np.ndarray | None

    @classmethod
    def fit(cls, originals: np.ndarray) -> "Projection":
        """The principal components of originals.

        Args:
            originals: what extract() made of each, (images, dimensions).
        """
        rows = originals.astype(np.float64)
        mean = rows.mean(axis=0)
        if rows.shape[1] <= MOST_DIMENSIONS:
            return cls(mean.astype(np.float32), None)
        # By the covariances: no randomness, and the order of the images is nothing but an order of
        # summation. Of the eigenvectors, which come with the smallest first, those that are needed.
        count = len(mean)
        last = [count - min(COMPONENTS, len(rows)), count - 1]
        axes = eigh((rows - mean).T @ (rows - mean), subset_by_index=last)[1][:, ::-1]
        largest = np.abs(axes).argmax(axis=0)
        signs = np.sign(axes[largest, np.arange(axes.shape[1])])  # else free: fixed, for files
        return cls(mean.astype(np.float32), (axes * signs).astype(np.float32))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Features in the new dimensions: float32 (images, components)."""
        rows = features.astype(np.float32)
        return rows if self.axes is None else (rows - self.mean) @ self.axes
