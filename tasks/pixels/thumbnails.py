"""Thumbnails, and `data:` URIs: images inside an HTML page instead of beside it."""

import base64
from typing import Literal

import numpy as np
from PIL import Image

from tasks.pixels.convert import to_8_bits, to_rgb
from tasks.pixels.decode import BACKGROUND
from tasks.pixels.encode import Format, encode
from tasks.pixels.preprocess import AS_DECODED, Preprocessing


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """Pixels as a uint8 array of (side, side, 3), for people to look at: fitted(), on white."""
    small = fitted(pixels, side)
    height, width = small.shape[:2]
    canvas = np.full((side, side, 3), BACKGROUND, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = small
    return canvas


def fitted(pixels: np.ndarray, side: int) -> np.ndarray:
    """Pixels as a uint8 array of (height, width, 3), of which the longer side is `side`.

    The aspect ratio is kept. Tiny images are enlarged without smoothing.
    """
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    # both compute with integers: the same on every machine
    filter = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(to_rgb(to_8_bits(pixels))).resize(inner[::-1], filter))


def data_uri(data: bytes, format: Format | Literal["svg+xml"]) -> str:
    """Encoded image bytes as a `data:` URI."""
    return f"data:image/{format};base64,{base64.b64encode(data).decode()}"


def picture(data: bytes, side: int, preprocessing: Preprocessing = AS_DECODED) -> str:
    """A thumbnail of an encoded image as a `data:` URI: PNG or JPEG, whichever is smaller.

    Raises:
        UndecodableError: see decode().
    """
    return picture_of(preprocessing.read(data), side)


def picture_of(pixels: np.ndarray, side: int) -> str:
    """A thumbnail of pixels as a `data:` URI: PNG or JPEG, whichever is smaller."""
    return data_uri(*smaller_file(thumbnail(pixels, side)))


def smaller_file(pixels: np.ndarray) -> tuple[bytes, Format]:
    """Pixels of 8 bits as PNG or JPEG, whichever is smaller."""
    png, jpeg = encode(pixels, "png"), encode(pixels, "jpeg", 85)
    return (png, "png") if len(png) <= len(jpeg) else (jpeg, "jpeg")
