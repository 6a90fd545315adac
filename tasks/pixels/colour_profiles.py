"""ICC colour profiles: the conversion from a file's profile to sRGB."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 4 << 20  # printers' profiles are the largest in use, with 3 MB at most
# A profile that moves no colour by more than this (of 255) is taken for sRGB: small profiles only
# approximate its curve.
SRGB_TOLERANCE = 2
PROFILE_IGNORED = "colour profile ignored: unreadable"
_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}  # ICC's names, by Pillow's modes


@dataclass(frozen=True)
class Conversion:
    """What has to be done with an image's colours.

    `note`: what a user should know of it. `apply`: the conversion to sRGB; None where pixels stay
    as they are.
    """

    note: str | None = None
    apply: Callable[[Image.Image], Image.Image] | None = None


def conversion_of(image: Image.Image) -> Conversion:
    """The conversion that the image's profile asks for; an empty one where it has no profile."""
    profile = image.info.get("icc_profile", b"")
    # black and white are the same in any profile, and Lab needs none
    if profile == b"" or image.mode in ("1", "LAB"):
        return Conversion()
    if not isinstance(profile, bytes):  # None where Pillow failed, numbers in a TIFF tag
        return Conversion(PROFILE_IGNORED)
    deep = image.mode.startswith("I;16") or image.mode in ("I", "F")
    conversion = _conversion(profile, "L" if deep else _colours(image))
    if deep and conversion.apply is not None:
        return Conversion("colour profile ignored: samples have more than 8 bits")
    return conversion


def _colours(image: Image.Image) -> str:
    """The mode of an image without its alpha, or of its palette: L, RGB or CMYK."""
    return {"L": "L", "LA": "L", "La": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")


@lru_cache(maxsize=16)
def _conversion(profile: bytes, mode: str) -> Conversion:
    """The conversion from a profile to sRGB for colours of a mode: L, RGB or CMYK."""
    if len(profile) > MAX_PROFILE_BYTES:
        return Conversion(f"colour profile ignored: over {MAX_PROFILE_BYTES >> 20} MiB")
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space
        if space == "RGB " and mode == "L" and _conversion(profile, "RGB") == Conversion():
            return Conversion()  # grey images with the profile sRGB are common
        if space != _SPACES[mode]:
            return Conversion("colour profile ignored: for another colour space")
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        if mode == "L":
            # else LittleCMS interpolates in a table of 33 greys, which is coarse
            flags |= ImageCms.Flags.NOOPTIMIZE
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.ImageCmsTransform(opened, _srgb(), mode, "RGB", intent, flags=flags)
        name = _printable(opened.profile.profile_description or "")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return Conversion(PROFILE_IGNORED)
    note = f"colour profile {name.replace(';', ',') or 'without a name'} to sRGB"
    if mode == "CMYK":
        return Conversion(note, transform.apply)
    probe = _probe(mode)
    converted = np.asarray(transform.apply(probe))
    if mode == "L":
        converted = converted[:, :, 1]
    if np.abs(converted.astype(int) - np.asarray(probe)).max() <= SRGB_TOLERANCE:
        return Conversion()
    if mode == "L":
        curve = converted.ravel().tolist()
        return Conversion(note, lambda image: image.point(curve))
    return Conversion(note, transform.apply)


def _printable(name: str) -> str:
    """A profile's name for a note: one line of at most 60 characters."""
    return " ".join("".join(filter(str.isprintable, name)).split())[:60]


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _probe(mode: str) -> Image.Image:
    """An image of all greys, or of 18 x 18 x 18 colours from the whole RGB cube."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(18, -1, 3))


def convert(image: Image.Image, apply: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The image with its colours converted and its alpha as it was."""
    colours = _colours(image)
    if not may_be_transparent(image):
        return apply(image if image.mode == colours else image.convert(colours))
    image = image.convert("LA" if colours == "L" else "RGBA")
    converted = apply(image.convert(colours))
    converted.putalpha(image.getchannel("A"))
    return converted


def may_be_transparent(image: Image.Image) -> bool:
    """Whether the image has alpha or a transparent colour."""
    return "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBA", "RGBa")
