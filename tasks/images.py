"""Decode, encode and hash images: all pixel I/O is here.

Pixels are upright arrays, (height, width) for grey and (height, width, 3) for RGB; uint8, or uint16 where a caller asks
for the depth that a file has.
"""

import base64
import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import xxhash
from PIL import ExifTags, Image, ImageOps

MAX_PIXELS = 100_000_000
BACKGROUND = 255  # transparent pixels are laid on white
DECODING = "upright, white background, 16 bits where asked for"  # part of the recipe: what decode() does

# Pillow's names. Not among them: what calls other programs (EPS) or only names a format (stubs).
FORMATS = (
    "JPEG", "PNG",  # tried in this order: nearly all images are one of these
    "AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "IM", "JPEG2000", "MSP", "PCX", "PPM", "PSD", "QOI", "SGI",
    "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM",
)  # fmt: skip

Format = Literal["jpeg", "png", "webp"]
EXTENSIONS: dict[Format, str] = {"jpeg": "jpg", "png": "png", "webp": "webp"}

Image.MAX_IMAGE_PIXELS = None  # decode() has a bound of its own, with a reason for the manifest


class UndecodableError(Exception):
    """Bytes that give no image. `reason` is one of the manifest's reasons; the text is the decoder's own words."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


@dataclass(frozen=True)
class Decoded:
    """An image and what its file said of itself.

    `format` is Pillow's name (`JPEG`, `PNG`, ...); `bits` (8, 16) is what decode() can give of a sample.
    """

    pixels: np.ndarray
    format: str
    bits: int


def decode(data: bytes, keep_depth: bool = False) -> Decoded:
    """Decode an image file's bytes: first frame, EXIF orientation applied, alpha laid on white.

    Samples have 8 bits; with `keep_depth`, 16 where the file has 16: grey, or RGB of a PNG or TIFF file.

    Raises:
        UndecodableError: `not_an_image`, `too_large` (over MAX_PIXELS, told before decoding) or `corrupt`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow only warns of, it also decodes
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise UndecodableError("too_large", f"{width} x {height} pixels, over {MAX_PIXELS:,}")
                kind = image.format or "unknown"
                bits = _bits(image, data)
                if keep_depth and bits == 16:
                    return Decoded(_to_deep_array(image, data), kind, bits)
                return Decoded(_to_array(ImageOps.exif_transpose(image)), kind, bits)
    except UndecodableError:
        raise
    except Image.UnidentifiedImageError:
        raise UndecodableError("not_an_image", "no decoder knows this format") from None
    except Exception as error:  # decoders raise OSError, ValueError, TypeError, SyntaxError, struct.error, ...
        words = re.sub(r"0x[0-9a-f]+", "0x", f"{type(error).__name__}: {error}")  # addresses differ per run
        raise UndecodableError("corrupt", words) from None


def _bits(image: Image.Image, data: bytes) -> int:
    """16 for the files whose depth _to_deep_array() can give, else 8."""
    if image.mode.startswith("I;16"):
        return 16
    if image.mode != "RGB":
        return 8
    # Pillow gives RGB 8 bits whatever the file has; OpenCV reads 16, but knows neither orientation nor transparency
    png = image.format == "PNG" and data[24] == 16  # IHDR's bit depth
    tiff = image.format == "TIFF" and image.tag_v2.get(ExifTags.Base.BitsPerSample) == (16, 16, 16)  # type: ignore[attr-defined]
    if tiff and image.tag_v2.get(ExifTags.Base.PlanarConfiguration, 1) != 1:  # type: ignore[attr-defined]
        raise ValueError("16 bits in planes, one for each colour: no decoder here reads them right")
    plain = "transparency" not in image.info and image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    return 16 if (png or tiff) and plain else 8


def _to_deep_array(image: Image.Image, data: bytes) -> np.ndarray:
    """The pixels of an image of 16 bits, as uint16."""
    if image.mode != "RGB":
        return np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError("the samples of 16 bits cannot be read")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _to_array(image: Image.Image) -> np.ndarray:
    """Pillow's modes as uint8 grey or RGB. Deeper samples are scaled to 8 bits."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode.startswith("I;16"):
        return to_8_bits(np.asarray(image).astype(np.uint16))
    if image.mode in ("I", "F"):
        return _scale_to_8_bits(np.asarray(image))
    if "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (BACKGROUND,) * 4)
        return np.asarray(Image.alpha_composite(ground, image).convert("RGB"))
    return np.asarray(image.convert("L" if image.mode == "1" else "RGB"))


def _scale_to_8_bits(samples: np.ndarray) -> np.ndarray:
    """32-bit samples: 0..255 as they are, 0..65535 by 1/256, floats in 0..1 by 255.

    Raises:
        ValueError: for samples of another range, whose black and white are anybody's guess.
    """
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high <= 65535):
        raise ValueError(f"samples from {low:g} to {high:g}; 0 to 65535 is what can be shown")
    if samples.dtype.kind == "f" and high <= 1:
        return np.rint(samples * 255).astype(np.uint8)
    return (samples if high <= 255 else samples / 256).astype(np.uint8)


def encode(pixels: np.ndarray, format: Format, quality: int = 95, lossless: bool = False) -> bytes:
    """Encode pixels: uint8, for PNG uint16 as well.

    JPEG is 4:4:4; `quality` (1..100) serves JPEG and WebP, `lossless` WebP alone.

    Raises:
        ValueError: where the format does not take such pixels.

    OpenCV's encoders give the same bytes whatever the CPU's instruction set; Pillow's PNG (zlib-ng) does not.
    """
    options = {
        "jpeg": [
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
        "png": [],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, 101 if lossless else quality],  # above 100 is OpenCV's word for lossless
    }[format]
    if pixels.dtype != np.uint8 and (format, pixels.dtype) != ("png", np.uint16):
        raise ValueError(f"{format} does not take {pixels.dtype} pixels")
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(f".{EXTENSIONS[format]}", bgr, options)
    if not done:
        raise ValueError(f"cannot encode {pixels.shape} as {format}")
    return data.tobytes()


def sha256(data: bytes) -> str:
    """The SHA-256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def pixel_sha256(pixels: np.ndarray) -> str:
    """The SHA-256 of an image's shape and pixels: equal for what looks equal, whatever the file's format or mode."""
    if pixels.ndim == 3 and _is_grey(pixels[:1]) and _is_grey(pixels):
        pixels = pixels[:, :, 0]
    digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype} ".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def fast_pixel_hash(pixels: np.ndarray) -> int:
    """XXH3 of an image's shape and pixels as an int64: ten times as fast as SHA-256, and safe among the variants of one
    source, where nobody plants collisions and one by chance costs a second draw. Never 0.
    """
    digest = xxhash.xxh3_64(f"{pixels.shape} {pixels.dtype.char} ".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return int.from_bytes(digest.digest(), signed=True) or 1


def _is_grey(pixels: np.ndarray) -> bool:
    return bool((pixels[:, :, 0] == pixels[:, :, 1]).all() and (pixels[:, :, 0] == pixels[:, :, 2]).all())


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """uint8: of 16 bits the upper 8, as decode() gives them."""
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def to_rgb(pixels: np.ndarray) -> np.ndarray:
    """(height, width, 3), grey repeated three times."""
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize to (height, width): areas are averaged where it shrinks, pixels interpolated where it grows."""
    shrinks = height * width < pixels.shape[0] * pixels.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (width, height), interpolation=method)


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """Pixels as a (side, side, 3) picture for people: aspect ratio kept on white, tiny images enlarged in blocks."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    if scale >= 1:
        small = cv2.resize(to_rgb(pixels), inner[::-1], interpolation=cv2.INTER_NEAREST)
    else:
        small = resize(to_rgb(pixels), *inner)
    canvas = np.full((side, side, 3), BACKGROUND, np.uint8)
    top, left = (side - inner[0]) // 2, (side - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = small
    return canvas


def data_uri(data: bytes, format: Format) -> str:
    """Encoded image bytes as a `data:` URI, for pages that carry their pictures with them."""
    return f"data:image/{format};base64,{base64.b64encode(data).decode()}"
