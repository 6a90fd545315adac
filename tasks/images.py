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
from PIL import ExifTags, Image, ImageFile

from tasks.colours import Conversion, conversion_of, convert, may_be_transparent
from tasks.frames import note_of_frames

MAX_PIXELS = 100_000_000
BACKGROUND = 255  # transparent pixels are laid on white
LAID_ON_WHITE = "transparency laid on white"
DECODING = "upright, sRGB, white background, 16 bits where asked for"  # part of the recipe: what decode() does

# Pillow's names. Not among them: what calls other programs (EPS) or only names a format (stubs).
FORMATS = (
    "JPEG", "PNG",  # tried in this order: nearly all images are one of these
    "AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "IM", "JPEG2000", "MSP", "PCX", "PPM", "PSD", "QOI", "SGI",
    "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM",
)  # fmt: skip
SIGNED = ("JPEG", "PNG", "GIF", "JPEG2000", "PSD", "QOI", "TIFF", "WEBP")  # no other file begins as these do

Format = Literal["jpeg", "png", "webp"]
EXTENSIONS: dict[Format, str] = {"jpeg": "jpg", "png": "png", "webp": "webp"}

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice that, of the images within a file as well

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation


class UndecodableError(Exception):
    """Bytes that give no image. `reason` is one of the manifest's reasons; the text is the decoder's own words."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


@dataclass(frozen=True)
class Decoded:
    """An image and what its file said of itself.

    `format` is Pillow's name (`JPEG`, `PNG`, ...); `bits` (8, 16) is what decode() can give of a sample; `note` is what
    a user should know of how it was decoded, the same on every machine.
    """

    pixels: np.ndarray
    format: str
    bits: int
    note: str | None = None


def decode(data: bytes, keep_depth: bool = False) -> Decoded:
    """Decode an image file's bytes: first frame, EXIF orientation applied, colours in sRGB, alpha laid on white.

    Samples have 8 bits; with `keep_depth`, 16 where the file has 16: grey, or RGB of a PNG or TIFF file.

    An ICC profile is applied by LittleCMS, relative colorimetric with black point compensation, as image editors do.
    Grey stays grey. Left as stored: what a profile says is sRGB already, grey of 16 bits, and colours whose profile
    cannot be read or is for another colour space. What PNG's gAMA and cHRM or EXIF say of colours is not asked.

    Raises:
        UndecodableError: `not_an_image`, `too_large` (over MAX_PIXELS, told before decoding) or `corrupt`.
        MemoryError: which says nothing of the image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow only warns of, it also decodes
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decode(image, data, keep_depth)
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        many = f"{int(pixels[0]):,} pixels" if pixels else "pixels"
        raise UndecodableError("too_large", f"{many}, over {MAX_PIXELS:,}") from None
    except Image.UnidentifiedImageError:
        if signed := _signed(data):
            raise UndecodableError("corrupt", f"its header cannot be read, though it begins as {signed} does") from None
        raise UndecodableError("not_an_image", "no decoder knows this format") from None
    except Exception as error:  # decoders raise OSError, ValueError, TypeError, SyntaxError, struct.error, ...
        if _lacks_memory(error):
            raise MemoryError(str(error)) from error
        words = re.sub(r"0x[0-9a-f]+", "0x", f"{type(error).__name__}: {error}")  # addresses differ per run
        raise UndecodableError("corrupt", words) from None


def _lacks_memory(error: Exception) -> bool:
    opencv = isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem
    pillow = isinstance(error, OSError) and str(error).startswith(ImageFile.ERRORS[-9])
    return isinstance(error, MemoryError) or opencv or pillow


def _signed(data: bytes) -> str | None:
    """The format whose signature the bytes begin with."""
    for name in SIGNED:
        accept = Image.OPEN[name][1]
        if accept is not None and accept(data[:16]) is True:
            return name
    return None


def _decode(image: Image.Image, data: bytes, keep_depth: bool) -> Decoded:
    kind = image.format or "unknown"
    frames = note_of_frames(image, data)
    if image.mode == "RGB" and "transparency" in image.info and _has_16_bits(image, data):
        _key_out(image, data)
    conversion = conversion_of(image)
    bits = _bits(image, data, conversion)
    if keep_depth and bits == 16 and image.mode == "RGB":
        pixels = cv2.cvtColor(_read_deep(data, channels=3), cv2.COLOR_BGR2RGB)
        return Decoded(pixels, kind, bits, _join(frames, conversion.note))
    image, turned = _upright(image)
    if conversion.apply is not None:
        image = convert(image, conversion.apply)
    if image.mode.startswith("I;16"):
        pixels, laid = _deep_grey(image)
        pixels = pixels if keep_depth else to_8_bits(pixels)
    else:
        pixels, laid = _to_array(image)
    return Decoded(pixels, kind, bits, _join(frames, turned, conversion.note, laid))


def _join(*notes: str | None) -> str | None:
    return "; ".join(note for note in notes if note) or None


# --- orientation ---------------------------------------------------------------------------------------


def _upright(image: Image.Image) -> tuple[Image.Image, str | None]:
    image.load()  # a TIFF file's orientation is applied here
    turn, note = _turn(image)
    return (image if turn is None else image.transpose(turn)), note


def _turn(image: Image.Image) -> tuple[Image.Transpose | None, str | None]:
    """How to turn the image upright. A note where its EXIF data cannot be read: its pixels can."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1)), None
    except MemoryError:
        raise
    except Exception:  # as many kinds as decoders raise
        return None, "EXIF data ignored: unreadable"


# --- pixels -------------------------------------------------------------------------------------------------------


def _bits(image: Image.Image, data: bytes, conversion: Conversion) -> int:
    """16 for the files whose depth can be given, else 8."""
    if image.mode.startswith("I;16"):
        return 16
    if image.mode != "RGB":
        return 8
    # Pillow gives RGB 8 bits whatever the file has; OpenCV reads 16, but knows neither orientation nor profile
    if not _has_16_bits(image, data) or conversion.apply is not None:
        return 8
    return 16 if _turn(image) == (None, None) else 8


def _has_16_bits(image: Image.Image, data: bytes) -> bool:
    """Whether the file of an RGB image has 16 bits, in a format that OpenCV reads as well."""
    if image.format == "PNG":
        return data[24] == 16  # IHDR's bit depth
    tags = getattr(image, "tag_v2", {})
    if image.format != "TIFF" or tags.get(ExifTags.Base.BitsPerSample) != (16, 16, 16):
        return False
    if tags.get(ExifTags.Base.PlanarConfiguration, 1) != 1:
        raise ValueError("16 bits in planes, one for each colour: no decoder here reads them right")
    return True


def _read_deep(data: bytes, channels: int) -> np.ndarray:
    """The samples of an RGB image of 16 bits, in OpenCV's order, with alpha where 4 channels are asked for."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] != channels:
        raise ValueError("the samples of 16 bits cannot be read")
    return pixels


def _key_out(image: Image.Image, data: bytes) -> None:
    """Give an image its alpha, in place. Pillow holds a transparent colour of 16 bits against samples of 8."""
    alpha = to_8_bits(_read_deep(data, channels=4)[:, :, 3])
    image.load()
    del image.info["transparency"]
    image.putalpha(Image.fromarray(alpha))


def _deep_grey(image: Image.Image) -> tuple[np.ndarray, str | None]:
    """The pixels of a grey image of 16 bits, as uint16: what is transparent, white."""
    pixels = np.asarray(image).astype(np.uint16)
    transparent = pixels == image.info.get("transparency", -1)
    if not transparent.any():
        return pixels, None
    pixels[transparent] = 65535
    return pixels, LAID_ON_WHITE


def _to_array(image: Image.Image) -> tuple[np.ndarray, str | None]:
    """Pillow's modes as uint8 grey or RGB. Deeper samples are scaled to 8 bits."""
    if image.mode in ("I", "F"):
        return _scale_to_8_bits(np.asarray(image)), None
    if may_be_transparent(image):
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] == 255:
            return np.asarray(image.convert("RGB")), None
        ground = Image.new("RGBA", image.size, (BACKGROUND,) * 4)
        return np.asarray(Image.alpha_composite(ground, image).convert("RGB")), LAID_ON_WHITE
    if image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.asarray(image), None


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
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX  # integers: the same on every machine
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
