"""Decode image files into pixel arrays: upright, sRGB, alpha laid on white."""

import io
import re
import struct
import warnings
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageFile

from tasks.pixels.colour_profiles import Conversion, conversion_of, convert, may_be_transparent
from tasks.pixels.convert import to_8_bits

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
SIGNED = (
    "JPEG",
    "PNG",
    "GIF",
    "JPEG2000",
    "PSD",
    "QOI",
    "TIFF",
    "WEBP",
)  # no other file begins as these do

Image.MAX_IMAGE_PIXELS = (
    MAX_PIXELS // 2
)  # Pillow refuses twice that, of the images within a file as well

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
            raise UndecodableError(
                "corrupt", f"its header cannot be read, though it begins as {signed} does"
            ) from None
        raise UndecodableError("not_an_image", "no decoder knows this format") from None
    except (
        Exception
    ) as error:  # decoders raise OSError, ValueError, TypeError, SyntaxError, struct.error, ...
        if _lacks_memory(error):
            raise MemoryError(str(error)) from error
        words = re.sub(
            r"0x[0-9a-f]+", "0x", f"{type(error).__name__}: {error}"
        )  # addresses differ per run
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
    if (
        pixels is None
        or pixels.dtype != np.uint16
        or pixels.ndim != 3
        or pixels.shape[2] != channels
    ):
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


MOST_FRAMES = 10_000  # counted no further: a file can hold millions


def note_of_frames(image: Image.Image, data: bytes) -> str | None:
    """The note of a file with several images. A PSD file's are layers: what it shows is made of all of them."""
    if image.format == "PSD":
        return None
    count = {"GIF": _gif_frames, "TIFF": _tiff_frames}.get(image.format or "")
    frames = count(data) if count else getattr(image, "n_frames", 1)
    if frames <= 1:
        return None
    return (
        f"first of {frames} frames"
        if frames <= MOST_FRAMES
        else f"first of over {MOST_FRAMES:,} frames"
    )


def _gif_frames(data: bytes) -> int:
    """Pillow's count asks for minutes where a file has millions of frames."""
    frames, place = 0, 13 + _palette_bytes(data[10])
    end = len(data)
    while place < end and frames <= MOST_FRAMES:
        block = data[place]
        if block == 0x3B:  # the end
            break
        if (
            block == 0x2C and place + 10 < end
        ):  # an image: its place and size, a palette, the bits of a code
            frames += 1
            place += 11 + _palette_bytes(data[place + 9])
        elif block == 0x21:  # an extension and its kind
            place += 2
        else:
            place += 1
            continue
        while place < end and data[place]:
            place += 1 + data[place]
        place += 1
    return frames


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 128 else 0


def _tiff_frames(data: bytes) -> int:
    """Pillow's count takes time that grows with the square of it, and reads every tag."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count, entry, link = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}I")
    seen: set[int] = set()
    with suppress(struct.error):  # beyond the end
        (place,) = struct.unpack_from(link, data, 8 if big else 4)
        while place and place not in seen and len(seen) <= MOST_FRAMES:
            (entries,) = struct.unpack_from(count, data, place)
            seen.add(place)
            (place,) = struct.unpack_from(
                link, data, place + struct.calcsize(count) + entry * entries
            )
    return len(seen)
