"""ICC colour profiles: the conversion from a file's profile to sRGB."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 4 << 20  # printers' profiles are the largest in use, with 3 MB at most
SRGB_WITHIN = 2  # of 255: a profile that moves no colour further is sRGB; small ones bend its curve by so much
_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}  # ICC's names of what Pillow's modes hold


@dataclass(frozen=True)
class Conversion:
    """What an image's profile asks for. `apply` is None where pixels stay as they are."""

    note: str | None = None
    apply: Callable[[Image.Image], Image.Image] | None = None


def conversion_of(image: Image.Image) -> Conversion:
    """What the profile of an image asks for, where it has one."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode in (
        "1",
        "LAB",
    ):  # black and white are so in any profile; Lab needs none
        return Conversion()
    deep = image.mode.startswith("I;16") or image.mode in ("I", "F")
    conversion = _conversion(bytes(profile), "L" if deep else _colours(image))
    if deep and conversion.apply is not None:
        return Conversion("colour profile ignored: samples have more than 8 bits")
    return conversion


def _colours(image: Image.Image) -> str:
    """The mode of an image's colours: what a profile speaks of."""
    return {"L": "L", "LA": "L", "La": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")


@lru_cache(maxsize=16)
def _conversion(profile: bytes, mode: str) -> Conversion:
    """The way from a profile to sRGB for colours of a mode: L, RGB or CMYK."""
    if len(profile) > MAX_PROFILE_BYTES:
        return Conversion(f"colour profile ignored: over {MAX_PROFILE_BYTES >> 20} MiB")
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space
        if space == "RGB " and mode == "L" and _conversion(profile, "RGB") == Conversion():
            return Conversion()  # grey with the profile sRGB is common, and clear
        if space != _SPACES[mode]:
            return Conversion("colour profile ignored: for another colour space")
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        if mode == "L":
            flags |= (
                ImageCms.Flags.NOOPTIMIZE
            )  # LittleCMS's table of 33 greys is coarse, and 256 are soon computed
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.ImageCmsTransform(opened, _srgb(), mode, "RGB", intent, flags=flags)
        name = " ".join(
            "".join(filter(str.isprintable, opened.profile.profile_description or "")).split()
        )[:60]
    except (ImageCms.PyCMSError, OSError, ValueError):
        return Conversion("colour profile ignored: unreadable")
    note = f"colour profile {name.replace(';', ',') or 'without a name'} to sRGB"
    if mode == "CMYK":
        return Conversion(note, transform.apply)
    probe = _probe(mode)
    shown = np.asarray(transform.apply(probe))
    if mode == "L":
        shown = shown[:, :, 1]
    if np.abs(shown.astype(int) - np.asarray(probe)).max() <= SRGB_WITHIN:
        return Conversion()
    if mode == "L":
        curve = shown.ravel().tolist()
        return Conversion(note, lambda image: image.point(curve))
    return Conversion(note, transform.apply)


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _probe(mode: str) -> Image.Image:
    """All greys, or colours from all over the cube."""
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
