"""Encode pixel arrays as JPEG, PNG or WebP, with equal bytes on every x86-64 processor."""

from typing import Literal

import cv2
import numpy as np

Format = Literal["jpeg", "png", "webp"]
EXTENSIONS: dict[Format, str] = {"jpeg": "jpg", "png": "png", "webp": "webp"}


def encode(pixels: np.ndarray, format: Format, quality: int = 95, lossless: bool = False) -> bytes:
    """Encode pixels: uint8, for PNG uint16 as well.

    OpenCV's encoders give the same bytes whatever instructions a processor has; Pillow's PNG
    encoder (zlib-ng) does not.

    Args:
        pixels: (height, width) for grey, (height, width, 3) for RGB.
        format: JPEG is written with full colour resolution (4:4:4).
        quality: 1..100, of JPEG and WebP.
        lossless: of WebP; `quality` is ignored then.

    Raises:
        ValueError: where the format does not take such pixels.
    """
    webp_quality = 101 if lossless else quality  # above 100 means lossless to OpenCV
    options = {
        "jpeg": [
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
        "png": [],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, webp_quality],
    }[format]
    if pixels.dtype != np.uint8 and (format, pixels.dtype) != ("png", np.uint16):
        raise ValueError(f"{format} does not take {pixels.dtype} pixels")
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(f".{EXTENSIONS[format]}", bgr, options)
    if not done:
        raise ValueError(f"cannot encode {pixels.shape} as {format}")
    return data.tobytes()
