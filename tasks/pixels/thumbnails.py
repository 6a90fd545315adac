"""Thumbnails, and `data:` URIs for pages that carry their pictures with them."""

import base64
from typing import Literal

import numpy as np
from PIL import Image

from tasks.pixels.convert import to_8_bits, to_rgb
from tasks.pixels.decode import BACKGROUND, decode
from tasks.pixels.encode import Format, encode


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """Pixels as a (side, side, 3) picture for people: aspect ratio kept on white, tiny images enlarged in blocks."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    how = (
        Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    )  # integers: the same on every machine
    small = np.asarray(Image.fromarray(to_rgb(to_8_bits(pixels))).resize(inner[::-1], how))
    canvas = np.full((side, side, 3), BACKGROUND, np.uint8)
    top, left = (side - inner[0]) // 2, (side - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = small
    return canvas


def data_uri(data: bytes, format: Format | Literal["svg+xml"]) -> str:
    """Encoded image bytes as a `data:` URI, for pages that carry their pictures with them."""
    return f"data:image/{format};base64,{base64.b64encode(data).decode()}"


def picture(data: bytes, side: int) -> str:
    """An encoded image as a thumbnail that a page carries: a `data:` URI.

    Raises:
        UndecodableError: see decode().
    """
    pixels = thumbnail(decode(data).pixels, side)
    png, jpeg = encode(pixels, "png"), encode(pixels, "jpeg", 85)
    return data_uri(png, "png") if len(png) <= len(jpeg) else data_uri(jpeg, "jpeg")
