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

    A smaller image is made of averages over areas, a larger one by linear interpolation.
    """
    shrinks = height * width < pixels.shape[0] * pixels.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (width, height), interpolation=method)
