"""Decode image files into pixel arrays: upright, sRGB, transparency laid on white."""

import io
import re
import struct
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pi_heif
from PIL import ExifTags, Image, ImageFile

from tasks.pixels.colour_profiles import Conversion, conversion_of, convert, may_be_transparent
from tasks.pixels.convert import to_8_bits
from tasks.pixels.metadata import EXIF_IGNORED, tiff_layout, without_metadata

# What decode() does, as a part of the recipe: other words make all variants anew.
DECODING = "upright, sRGB, white background, 16 bits where asked for"
MAX_PIXELS = 100_000_000
MAX_FRAMES_COUNTED = 10_000  # a file can hold millions
BACKGROUND = 255  # transparent pixels are laid on white
LAID_ON_WHITE = "transparency laid on white"
CUT_TO_8_BITS = "more than 8 bits read as 8"

# Pillow's names. Not among them: what calls other programs (EPS) or only names a format (stubs).
FORMATS = (
    "JPEG", "PNG",  # tried in this order: nearly all images are one of these
    "AVIF", "BMP", "DDS", "DIB", "GIF", "HEIF", "ICNS", "ICO", "IM", "JPEG2000", "MSP", "PCX",
    "PPM", "PSD", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM",
)  # fmt: skip
# Formats with a signature: no other file begins as theirs do.
SIGNED_FORMATS = (
    "JPEG", "PNG", "GIF", "JPEG2000", "PSD", "QOI", "TIFF", "WEBP", "HEIF", "AVIF",
)  # fmt: skip

# HEIC photos, which Pillow lacks. libheif turns them upright, whatever their EXIF data say.
pi_heif.register_heif_opener(
    thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
)

# Pillow refuses an image of more than twice this; so also the images inside a file (of an icon).
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2

_TRANSPOSE = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UndecodableError(Exception):
    """Bytes that give no image.

    `reason` is one of the manifest's reasons; the text is the decoder's own.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Decoded:
    """An image and facts of its file.

    `pixels`: see decode(). `format`: Pillow's name (`JPEG`, `PNG`, ...). `bits`: 16 where decode()
    can give samples of 16 bits, else 8. `note`: what a user should know of how the file was
    decoded, the same on every machine; None where there is nothing to know.
    """

    pixels: np.ndarray
    format: str
    bits: int
    note: str | None = None


def decode(data: bytes, keep_depth: bool = False) -> Decoded:
    """Decode an image file's bytes: (height, width) for grey, (height, width, 3) for RGB.

    The first frame, EXIF orientation applied, colours in sRGB, transparency laid on white. Samples
    are uint8; with `keep_depth`, uint16 where the file has 16 bits: grey, or RGB of a PNG or TIFF
    file. Grey of 32 bits, up to 65,535, counts as 16.

    An ICC profile is applied by LittleCMS, relative colorimetric with black point compensation, as
    image editors do. Grey stays grey. Pixels stay as stored where the profile says that they are
    sRGB already, in grey images of 16 bits, and where the profile cannot be read or is for another
    colour space. PNG's gAMA and cHRM chunks and EXIF's colour space are ignored.

    Raises:
        UndecodableError: `not_an_image`, `too_large` (over MAX_PIXELS, known before decoding) or
            `corrupt`.
        MemoryError: where memory is short, which says nothing of the image.
    """
    try:
        return _decode_file(data, keep_depth)
    except UndecodableError:
        pruned = without_metadata(data)
        if pruned is None:
            raise
        with suppress(UndecodableError):
            decoded = _decode_file(pruned.data, keep_depth, pruned.profile)
            return replace(decoded, note=_join_notes(pruned.note, decoded.note))
        raise


def _decode_file(data: bytes, keep_depth: bool, profile: bytes | None = None) -> Decoded:
    """decode() of a file as it is; `profile`: one that it does not hold itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow only warns of, it also decodes
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if profile:
                    image.info["icc_profile"] = profile
                return _decode(image, data, keep_depth)
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        size = f"{int(pixels[0]):,} pixels" if pixels else "pixels"
        raise UndecodableError("too_large", f"{size}, over {MAX_PIXELS:,}") from None
    except Image.UnidentifiedImageError:
        raise _unidentified(data) from None
    except Exception as error:  # OSError, ValueError, TypeError, SyntaxError, struct.error, ...
        if _lacks_memory(error):
            raise MemoryError(str(error)) from error
        message = f"{type(error).__name__}: {error}"
        message = re.sub(r"0x[0-9a-f]+", "0x", message)  # addresses differ from run to run
        raise UndecodableError("corrupt", message) from None


def _decode(image: Image.Image, data: bytes, keep_depth: bool) -> Decoded:
    format = image.format or "unknown"
    frames_note = _note_of_frames(image, data)
    if image.mode == "RGB" and "transparency" in image.info and _has_16_bits(image, data):
        _apply_transparent_colour(image, data)
    conversion = conversion_of(image)
    bits = _bits(image, data, conversion)
    if keep_depth and bits == 16 and image.mode == "RGB":
        pixels = cv2.cvtColor(_read_16_bits(data, channels=3), cv2.COLOR_BGR2RGB)
        return Decoded(pixels, format, bits, _join_notes(frames_note, conversion.note))
    image, exif_note = _upright(image)
    if conversion.apply is not None:
        image = convert(image, conversion.apply)
    if image.mode in ("I", "F"):
        pixels, alpha_note = _from_32_bits(np.asarray(image)), None
        bits = 8 * pixels.itemsize
    elif image.mode.startswith("I;16"):
        pixels, alpha_note = _grey_16_bits(image)
    else:
        pixels, alpha_note = _to_8_bit_array(image)
    cut_note = CUT_TO_8_BITS if bits == 8 and _is_deeper(image, data) else None
    notes = _join_notes(frames_note, exif_note, conversion.note, alpha_note, cut_note)
    return Decoded(pixels if keep_depth else to_8_bits(pixels), format, bits, notes)


def _join_notes(*notes: str | None) -> str | None:
    return "; ".join(note for note in notes if note) or None


# --- errors ---------------------------------------------------------------------------------------


def _unidentified(data: bytes) -> UndecodableError:
    """The error for bytes that no decoder takes: a damaged image, or none at all."""
    for name in SIGNED_FORMATS:
        accept = Image.OPEN[name][1]
        if accept is not None and accept(data[:16]) is True:
            message = f"its header cannot be read, though it begins as {name} does"
            return UndecodableError("corrupt", message)
    return UndecodableError("not_an_image", "no decoder knows this format")


def _lacks_memory(error: Exception) -> bool:
    opencv = isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem
    pillow = isinstance(error, OSError) and str(error).startswith(ImageFile.ERRORS[-9])
    return isinstance(error, MemoryError) or opencv or pillow


# --- orientation ----------------------------------------------------------------------------------


def _upright(image: Image.Image) -> tuple[Image.Image, str | None]:
    """The image turned upright, and a note where its EXIF data cannot be read."""
    image.load()  # a TIFF file's orientation is applied here
    transpose, note = _transpose_of(image)
    return (image if transpose is None else image.transpose(transpose)), note


def _transpose_of(image: Image.Image) -> tuple[Image.Transpose | None, str | None]:
    """What turns the image upright; a note where its EXIF data cannot be read (pixels can)."""
    try:
        return _TRANSPOSE.get(image.getexif().get(ExifTags.Base.Orientation, 1)), None
    except MemoryError:
        raise
    except Exception:  # as many kinds as decoders raise
        return None, EXIF_IGNORED


# --- 16 bits --------------------------------------------------------------------------------------


def _bits(image: Image.Image, data: bytes, conversion: Conversion) -> int:
    """16 for the files whose depth can be given, else 8.

    Pillow gives RGB 8 bits whatever the file has. OpenCV reads 16, but applies neither orientation
    nor profile: files with one of these have 8.
    """
    if image.mode.startswith("I;16"):
        return 16
    if image.mode != "RGB" or not _has_16_bits(image, data) or conversion.apply is not None:
        return 8
    return 16 if _transpose_of(image) == (None, None) else 8


def _is_deeper(image: Image.Image, data: bytes) -> bool:
    """Whether a PNG or TIFF file that is read as 8 bits has more."""
    if image.format == "PNG":
        return data[24] == 16
    bits = getattr(image, "tag_v2", {}).get(ExifTags.Base.BitsPerSample, (8,))
    return image.format == "TIFF" and max(bits, default=8) > 8


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


def _read_16_bits(data: bytes, channels: int) -> np.ndarray:
    """The samples of an RGB image as uint16 in OpenCV's order: BGR, or BGRA for 4 channels.

    Raises:
        ValueError: where OpenCV does not read them so.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape[2:] != (channels,):
        raise ValueError("the samples of 16 bits cannot be read")
    return pixels


def _apply_transparent_colour(image: Image.Image, data: bytes) -> None:
    """Turn the transparent colour of an RGB image of 16 bits into alpha, in place.

    Pillow would compare the colour's 16 bits with samples of 8.
    """
    alpha = to_8_bits(_read_16_bits(data, channels=4)[:, :, 3])
    image.load()
    del image.info["transparency"]
    image.putalpha(Image.fromarray(alpha))


def _grey_16_bits(image: Image.Image) -> tuple[np.ndarray, str | None]:
    """The pixels of a grey image as uint16, the transparent ones white; with a note of those."""
    pixels = np.asarray(image).astype(np.uint16)
    transparent = pixels == image.info.get("transparency", -1)
    if not transparent.any():
        return pixels, None
    pixels[transparent] = 65535
    return pixels, LAID_ON_WHITE


# --- 8 bits ---------------------------------------------------------------------------------------


def _to_8_bit_array(image: Image.Image) -> tuple[np.ndarray, str | None]:
    """An image of any mode as uint8, grey or RGB; with a note where it was laid on white."""
    if may_be_transparent(image):
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] == 255:
            return np.asarray(image.convert("RGB")), None
        ground = Image.new("RGBA", image.size, (BACKGROUND,) * 4)
        return np.asarray(Image.alpha_composite(ground, image).convert("RGB")), LAID_ON_WHITE
    if image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.asarray(image), None


def _from_32_bits(samples: np.ndarray) -> np.ndarray:
    """32-bit samples in the bits that hold them: uint8 up to 255, else uint16; floats cut off.

    Floats in 0..1 are uint8, times 255.

    Raises:
        ValueError: for samples of another range: nothing says which value is black or white.
    """
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high <= 65535):
        raise ValueError(f"samples from {low:g} to {high:g}; 0 to 65535 is what can be shown")
    if samples.dtype.kind == "f" and high <= 1:
        return np.rint(samples * 255).astype(np.uint8)
    return samples.astype(np.uint8 if high <= 255 else np.uint16)


# --- frames ---------------------------------------------------------------------------------------


def _note_of_frames(image: Image.Image, data: bytes) -> str | None:
    """The note of a file with several images.

    None for PSD files: their images are layers, and what is decoded is made of all of them.
    """
    if image.format == "PSD":
        return None
    count = {"GIF": _count_gif_frames, "TIFF": _count_tiff_frames}.get(image.format or "")
    frames = count(data) if count else getattr(image, "n_frames", 1)
    if frames <= 1:
        return None
    if frames > MAX_FRAMES_COUNTED:
        return f"first of over {MAX_FRAMES_COUNTED:,} frames"
    return f"first of {frames} frames"


def _count_gif_frames(data: bytes) -> int:
    """The frames of a GIF file; at most one more than MAX_FRAMES_COUNTED.

    Pillow's count takes minutes where a file has millions of frames.
    """
    frames, position = 0, 13 + _palette_bytes(data[10])
    end = len(data)
    while position < end and frames <= MAX_FRAMES_COUNTED:
        block = data[position]
        if block == 0x3B:  # the end
            break
        if block == 0x2C and position + 10 < end:
            # an image: 10 bytes with its place, size and flags, a palette, the size of a code
            frames += 1
            position += 11 + _palette_bytes(data[position + 9])
        elif block == 0x21:  # an extension and its kind
            position += 2
        else:
            position += 1
            continue
        while position < end and data[position]:  # blocks of data, each after its length
            position += 1 + data[position]
        position += 1
    return frames


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 128 else 0


def _count_tiff_frames(data: bytes) -> int:
    """The frames of a TIFF file; at most one more than MAX_FRAMES_COUNTED.

    Each frame is a directory: the number of its entries, the entries, and the position of the next
    directory. Pillow's count takes time that grows with their square, and reads every entry.
    """
    layout = tiff_layout(data)
    seen: set[int] = set()
    with suppress(struct.error):  # beyond the end
        (position,) = struct.unpack_from(layout.position, data, layout.first)
        while position and position not in seen and len(seen) <= MAX_FRAMES_COUNTED:
            (entries,) = struct.unpack_from(layout.entries, data, position)
            seen.add(position)
            after = position + struct.calcsize(layout.entries) + layout.entry_bytes * entries
            (position,) = struct.unpack_from(layout.position, data, after)
    return len(seen)
