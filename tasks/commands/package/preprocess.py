"""Image files as the model takes them, with Pillow and NumPy alone: uint8 (N, 3, size, size).

    from preprocess import preprocess
    images = preprocess(["photo.jpg", "another.png"])

model.json beside this file says how: `image_size`, `fit` (how an image becomes a square) and
`preprocessing` (what is done before). Grey levels may differ by one from those of training, whose
images OpenCV has resized. HEIC photos need Pillow's plugin: `pi_heif.register_heif_opener()`.
"""

import io
import json
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms

MAX_PIXELS = 100_000_000
FORMATS = (
    "JPEG", "PNG", "AVIF", "BMP", "DDS", "DIB", "GIF", "HEIF", "ICNS", "ICO", "IM", "JPEG2000",
    "MSP", "PCX", "PPM", "PSD", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM",
)  # fmt: skip
TRANSPOSE = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WITH_ALPHA = ("LA", "PA", "La", "RGBA", "RGBa")
WHITE_16 = 65_535
COLOURS_OF_16_BITS = "a colour image of 16 bits, which Pillow reads as 8; write it as 8 bits first"

Colours = Callable[[Image.Image], Image.Image]  # a conversion of an image's colours


def preprocess(files: Iterable[str | Path]) -> np.ndarray:
    """The input of the model: uint8 (files, 3, size, size), RGB.

    Raises:
        OSError, ValueError, Image.DecompressionBombError, ...: for a file that is no image, or
            damaged; as many kinds as Pillow's decoders raise.
    """
    card = read_card()
    return np.stack([as_input(Path(file).read_bytes(), card) for file in files])


@lru_cache(maxsize=1)
def read_card() -> dict[str, Any]:
    """The content of model.json."""
    return json.loads(Path(__file__).with_name("model.json").read_text(encoding="utf-8"))


def as_input(data: bytes, card: dict[str, Any]) -> np.ndarray:
    """An image file's bytes as uint8 (3, size, size); `card`: see read_card()."""
    preprocessing, size = card["preprocessing"], card["image_size"]
    pixels = decode(data, preprocessing["range"])
    for step in preprocessing["preprocess"]:
        ((name, arguments),) = step.items()
        pixels = STEPS[name](pixels, **arguments)
    pixels = to_8_bits(pixels)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return np.ascontiguousarray(FITS[card["fit"]](pixels, size).transpose(2, 0, 1))


# --- decoding -------------------------------------------------------------------------------------


def decode(data: bytes, levels: str | list[int] = "depth") -> np.ndarray:
    """The pixels, upright, in sRGB, laid on white: (height, width) for grey, else (..., 3).

    Args:
        data: of the file.
        levels: which samples of 16 bits are black and white, see `preprocessing.range` in the
            card. The result is uint8 where this is `depth`, else uint16 where the file has 16 bits.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow only warns of, it also decodes
        Image.init()
        formats = [name for name in FORMATS if name in Image.OPEN]
        with Image.open(io.BytesIO(data), formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, over {MAX_PIXELS:,}")
            pixels = _decode(image, data, levels)
    if levels == "depth":
        return to_8_bits(pixels)
    return stretch(pixels, levels) if pixels.dtype == np.uint16 else pixels


def _decode(image: Image.Image, data: bytes, levels: str | list[int]) -> np.ndarray:
    """decode() of an opened image, in the depth that Pillow gives."""
    convert_colours = profile_conversion(image)
    if image.mode == "RGB" and _has_16_bits(image, data):
        turned = _orientation(image) != 1
        if "transparency" in image.info:
            raise ValueError(f"{COLOURS_OF_16_BITS}: it has a transparent colour")
        if levels != "depth" and convert_colours is None and not turned:
            raise ValueError(COLOURS_OF_16_BITS)
    image.load()  # a TIFF file's orientation is applied here
    transpose = TRANSPOSE.get(_orientation(image))
    image = image if transpose is None else image.transpose(transpose)
    if convert_colours is not None:
        image = _convert(image, convert_colours)
    if image.mode in ("I", "F"):
        return _from_32_bits(np.asarray(image))
    if image.mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.uint16)
        samples[samples == image.info.get("transparency", -1)] = WHITE_16
        return samples
    return _on_white(image)


def _orientation(image: Image.Image) -> int:
    """As the EXIF data say; 1, upright, where they cannot be read."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:  # as many kinds as decoders raise
        return 1


def _has_16_bits(image: Image.Image, data: bytes) -> bool:
    """Whether a colour image has 16 bits; Pillow gives 8 of them."""
    if image.format == "PNG":
        return data[24] == 16  # IHDR's bit depth
    tags = getattr(image, "tag_v2", {})
    if image.format != "TIFF" or tags.get(ExifTags.Base.BitsPerSample) != (16, 16, 16):
        return False
    if tags.get(ExifTags.Base.PlanarConfiguration, 1) != 1:
        raise ValueError("16 bits in planes, one for each colour: no decoder here reads them right")
    return True


def _on_white(image: Image.Image) -> np.ndarray:
    """An image of any mode of 8 bits, its transparent pixels laid on white."""
    if _may_be_transparent(image):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255,) * 4)
        return np.asarray(Image.alpha_composite(white, image).convert("RGB"))
    if image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.asarray(image)


def _may_be_transparent(image: Image.Image) -> bool:
    return "transparency" in image.info or image.mode in WITH_ALPHA


def _from_32_bits(samples: np.ndarray) -> np.ndarray:
    """Samples of 32 bits in the bits that hold them; floats in 0..1 times 255."""
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high <= WHITE_16):
        raise ValueError(f"samples from {low:g} to {high:g}; 0 to 65535 is what can be shown")
    if samples.dtype.kind == "f" and high <= 1:
        return np.rint(samples * 255).astype(np.uint8)
    return samples.astype(np.uint8 if high <= 255 else np.uint16)


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Of 16 bits the upper 8."""
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def stretch(pixels: np.ndarray, levels: str | list[int]) -> np.ndarray:
    """Samples of 16 bits with `levels`, or those of the image, as black and white."""
    if levels == "image":
        low, high = int(pixels.min()), int(pixels.max())
    else:
        low, high = map(int, levels)
    span = max(high - low, 1)
    samples = pixels.astype(np.int64).clip(low, low + span) - low
    return ((2 * samples * WHITE_16 + span) // (2 * span)).astype(np.uint16)


# --- colour profiles ------------------------------------------------------------------------------


MAX_PROFILE_BYTES = 4 << 20
SRGB_TOLERANCE = 2  # a profile that moves no colour by more than this is taken for sRGB
SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}  # ICC's names, by Pillow's modes


def profile_conversion(image: Image.Image) -> Colours | None:
    """The conversion to sRGB that the image's ICC profile asks for; None for none."""
    profile = image.info.get("icc_profile", b"")
    deep = image.mode.startswith("I;16") or image.mode in ("I", "F")
    if deep or image.mode in ("1", "LAB") or not isinstance(profile, bytes):
        return None
    if not 0 < len(profile) <= MAX_PROFILE_BYTES:
        return None
    return _conversion(profile, _colours(image))


def _colours(image: Image.Image) -> str:
    """The mode of an image without its alpha, or of its palette: L, RGB or CMYK."""
    return {"L": "L", "LA": "L", "La": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")


@lru_cache(maxsize=16)
def _conversion(profile: bytes, mode: str) -> Colours | None:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if opened.profile.xcolor_space != SPACES[mode]:
            return None
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        if mode == "L":  # else LittleCMS interpolates in a table of 33 greys
            flags |= ImageCms.Flags.NOOPTIMIZE
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        apply = ImageCms.ImageCmsTransform(opened, srgb, mode, "RGB", intent, flags=flags).apply
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if mode == "CMYK":
        return apply
    probe = _probe(mode)
    converted = np.asarray(apply(probe))
    converted = converted[:, :, 1] if mode == "L" else converted
    if np.abs(converted.astype(int) - np.asarray(probe)).max() <= SRGB_TOLERANCE:
        return None
    if mode == "L":
        curve = converted.ravel().tolist()
        return lambda image: image.point(curve)
    return apply


def _probe(mode: str) -> Image.Image:
    """An image of all greys, or of 18 x 18 x 18 colours from the whole RGB cube."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(18, -1, 3))


def _convert(image: Image.Image, apply: Colours) -> Image.Image:
    """The image with its colours converted and its alpha as it was."""
    colours = _colours(image)
    if not _may_be_transparent(image):
        return apply(image if image.mode == colours else image.convert(colours))
    image = image.convert("LA" if colours == "L" else "RGBA")
    converted = apply(image.convert(colours))
    converted.putalpha(image.getchannel("A"))
    return converted


# --- other sizes ----------------------------------------------------------------------------------


class Weights(NamedTuple):
    """What pixels from `first` on have in one pixel of the result."""

    first: int
    shares: np.ndarray


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize to (height, width), as OpenCV does.

    A side that shrinks becomes averages over areas; one that grows, linear interpolations.
    """
    smaller = min(height, pixels.shape[0]), min(width, pixels.shape[1])
    pixels = _resample(pixels, smaller, area_weights)
    if smaller == (height, width):
        return pixels
    if pixels.dtype == np.uint8:
        return _enlarge_8_bits(pixels, height, width)
    return _resample(pixels, (height, width), linear_weights)


def _enlarge_8_bits(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Linear interpolation in integers, with the shifts that OpenCV has for 8 bits."""
    lines = pixels.reshape(*pixels.shape[:2], -1).astype(np.int32)
    first, second, near, far = _shares_of_2048(lines.shape[1], width)
    lines = (lines[:, first] * near[:, None] + lines[:, second] * far[:, None]) >> 4
    first, second, near, far = (each[:, None, None] for each in _shares_of_2048(len(lines), height))
    upper, lower = lines[first.ravel()] * near >> 16, lines[second.ravel()] * far >> 16
    return ((upper + lower + 2) >> 2).astype(np.uint8).reshape(height, width, *pixels.shape[2:])


def _shares_of_2048(before: int, after: int) -> np.ndarray:
    """Of each of `after` places the two pixels beside it, and their shares: int32 (4, after)."""
    places = ((np.arange(after) + 0.5) * (before / after) - 0.5).astype(np.float32)
    places = places.clip(0, before - 1)
    first = np.floor(places).astype(np.int32)
    share = places - first
    second = (first + 1).clip(None, before - 1)
    return np.stack([first, second, *np.rint([(1 - share) * 2048, share * 2048]).astype(np.int32)])


def _resample(
    pixels: np.ndarray, size: tuple[int, int], weigh: Callable[[int, int], list[Weights]]
) -> np.ndarray:
    """Pixels of another size, rounded once."""
    if size == pixels.shape[:2]:
        return pixels
    result: np.ndarray = pixels
    for axis, length in enumerate(size):
        if length != pixels.shape[axis]:
            lines = np.moveaxis(result, axis, 0)
            weighted = [
                np.tensordot(shares, lines[first : first + len(shares)].astype(np.float32), 1)
                for first, shares in weigh(pixels.shape[axis], length)
            ]
            result = np.moveaxis(np.stack(weighted), 0, axis)
    return np.rint(result).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)


def area_weights(before: int, after: int) -> list[Weights]:
    """Averages over areas of before / after pixels."""
    scale, weights = before / after, []
    for place in range(after):
        start, end = place * scale, min((place + 1) * scale, before)
        first, last = int(start), min(int(np.ceil(end - 1e-9)), before)
        edges = np.arange(first, last + 1).clip(start, end)
        shares = np.diff(edges) / (end - start)
        weights.append(Weights(first, shares.astype(np.float32)))
    return weights


def linear_weights(before: int, after: int) -> list[Weights]:
    """Linear interpolations between the centres of pixels."""
    weights = []
    for place in range(after):
        centre = min(max((place + 0.5) * before / after - 0.5, 0.0), before - 1.0)
        first = min(int(centre), max(before - 2, 0))
        shares = np.array([1 - (centre - first), centre - first], np.float32)[: before - first]
        weights.append(Weights(first, shares))
    return weights


# --- what is done before, and how an image becomes a square ---------------------------------------


def scale(pixels: np.ndarray, **wanted: int) -> np.ndarray:
    """To a `shorter` or a `longer` side, or to a `width` and a `height`."""
    if "width" in wanted:
        return resize(pixels, wanted["height"], wanted["width"])
    ((which, length),) = wanted.items()
    side = (min if which == "shorter" else max)(pixels.shape[:2])
    height, width = (
        max(1, (2 * old * length + side) // (2 * side)) for old in pixels.shape[:2]
    )  # rounded half up
    return resize(pixels, height, width)


def crop(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """The centre; a side that is shorter stays."""
    height, width = min(pixels.shape[0], height), min(pixels.shape[1], width)
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def pad(pixels: np.ndarray, width: int, height: int, fill: int = 0) -> np.ndarray:
    """In the middle of a larger image of one grey level; a longer side stays."""
    height, width = max(pixels.shape[0], height), max(pixels.shape[1], width)
    level = fill * (257 if pixels.dtype == np.uint16 else 1)
    padded = np.full((height, width, *pixels.shape[2:]), level, pixels.dtype)
    top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    padded[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return padded


def grey(pixels: np.ndarray) -> np.ndarray:
    """Colours as grey levels (ITU-R 601)."""
    if pixels.ndim == 2:
        return pixels
    levels = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(levels).astype(pixels.dtype)


def squeeze(pixels: np.ndarray, size: int) -> np.ndarray:
    """The whole image in another shape."""
    return resize(pixels, size, size)


def letterbox(pixels: np.ndarray, size: int) -> np.ndarray:
    """The whole image in its own shape, in the middle of a black square."""
    longer = max(pixels.shape[:2])
    height, width = (max(1, round(side * size / longer)) for side in pixels.shape[:2])
    return pad(resize(pixels, height, width), size, size)


def centre_square(pixels: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle of the image."""
    side = min(pixels.shape[:2])
    return resize(crop(pixels, side, side), size, size)


STEPS: dict[str, Callable[..., np.ndarray]] = {
    "resize": scale,
    "crop": crop,
    "pad": pad,
    "grey": grey,
}
FITS = {"squeeze": squeeze, "pad": letterbox, "crop": centre_square}
