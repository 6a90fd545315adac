"""Convert pixel arrays: 16 bits to 8, grey to RGB, another size."""

import cv2
import numpy as np


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Pixels as uint8: of 16 bits the upper 8, as decode() gives them."""
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def to_rgb(pixels: np.ndarray) -> np.ndarray:
    """Pixels as (height, width, 3), grey repeated three times."""
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize to (height, width), in pixels.

    Along a side that shrinks, pixels are averages over areas; along one that grows, linear
    interpolations. OpenCV's area method only averages where neither side grows.
    """
    smaller = min(height, pixels.shape[0]), min(width, pixels.shape[1])
    if smaller != pixels.shape[:2]:
        pixels = cv2.resize(pixels, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return pixels
