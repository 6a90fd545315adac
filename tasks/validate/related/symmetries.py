"""Symmetries of the square: pictures mirrored and turned, and their perceptual hashes.

A flip changes the sign of the odd coefficients of a picture's cosine transform, and a transposition
swaps rows and columns of them, so one transform gives the hashes of all eight, as in PDQ (Facebook,
"The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019).
"""

from typing import Literal, NamedTuple

import numpy as np
import scipy.fft

from tasks.validate.measure import THUMBNAIL

Kind = Literal["near", "mirrored", "turned"]
LOW = 8  # frequencies a side, as in ImageHash's phash
GREY = np.array([19595, 38470, 7471])  # Pillow's weights of R, G and B, of 65,536


class Symmetry(NamedTuple):
    """Swap rows and columns, or not; then reverse the rows, the columns, both or none."""

    kind: Kind
    transpose: bool
    reverse_rows: bool
    reverse_columns: bool

    def apply(self, pictures: np.ndarray) -> np.ndarray:
        """The pictures, (n, height, width, ...), mirrored or turned: a view."""
        if self.transpose:
            pictures = pictures.swapaxes(1, 2)
        return pictures[:, :: -1 if self.reverse_rows else 1, :: -1 if self.reverse_columns else 1]


IDENTITY = Symmetry("near", False, False, False)
# Two pictures of which one is the other turned back are found as the other turned: of the quarter
# turns one is enough. The others are their own inverses.
OTHERS = (
    Symmetry("mirrored", False, False, True),  # left and right
    Symmetry("mirrored", False, True, False),  # upside down
    Symmetry("mirrored", True, False, False),  # along one diagonal
    Symmetry("mirrored", True, True, True),  # along the other
    Symmetry("turned", False, True, True),  # by half a turn
    Symmetry("turned", True, True, False),  # by a quarter
)


def low_frequencies(thumbnails: np.ndarray) -> np.ndarray:
    """The lowest coefficients of the cosine transform of their grey levels, float64 (n, 8, 8).

    Args:
        thumbnails: uint8 (n, 3072).
    """
    colours = thumbnails.reshape(-1, THUMBNAIL, THUMBNAIL, 3)
    grey = (colours @ GREY + 0x8000) >> 16
    by_row = scipy.fft.dct(grey.astype(float), axis=1)[:, :LOW]
    return scipy.fft.dct(by_row, axis=2)[:, :, :LOW]


def hash_pictures(frequencies: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """The perceptual hashes of the pictures mirrored or turned, uint64 (n,).

    Args:
        frequencies: of the pictures as they are, see low_frequencies().
        symmetry: what is done to them.
    """
    signs = np.where(np.arange(LOW) % 2, -1, 1)
    turned = frequencies.swapaxes(1, 2) if symmetry.transpose else frequencies
    if symmetry.reverse_rows:
        turned = turned * signs[:, None]
    if symmetry.reverse_columns:
        turned = turned * signs
    turned = turned.reshape(-1, LOW * LOW)
    bits = turned > np.median(turned, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)
