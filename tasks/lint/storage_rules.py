"""Rules about what is lost when variants are stored: compression, and pixels of 16 bits."""

from typing import Any

import pandas as pd

from tasks.lint.findings import Finding
from tasks.lint.order import placed_leaves
from tasks.pixels.preprocess import FROM_8_TO_16, WHITE_16
from tasks.variants.params import Encoding
from tasks.variants.policy import inpaints
from tasks.variants.transforms import TAKE_16_BITS

PLACE = "params.yaml augment.encoding"
# Pillow's names of formats that are always compressed without loss, or not at all.
LOSSLESS = ("BMP", "DIB", "GIF", "ICO", "PCX", "PNG", "PPM", "QOI", "SGI", "SUN", "TGA", "TIFF")
JPEGS = ("JPEG", "MPO", "HEIF")  # and those whose variants are JPEG files by themselves
LEAST_QUALITY = 90  # of JPEG over JPEG
LITTLE_RANGE = 0.25  # of what 16 bits can hold


def lossy_format(formats: pd.Series, encoding: Encoding) -> str | None:
    """The lossy format of variants of sources of these formats, in words; None without any."""
    found = {encoding.format_for(name) for name in formats.unique()}
    if "jpeg" in found:
        return "JPEG"
    return "lossy WebP" if "webp" in found and not encoding.lossless else None


def lossy_encoding(rows: pd.DataFrame, encoding: Encoding) -> list[Finding]:
    """Variants that are compressed with loss, of sources that are not."""
    lossless = int(rows["format"].isin(LOSSLESS).sum())
    format = lossy_format(rows["format"], encoding)
    if encoding.format == "auto" or format is None or not lossless:
        return []
    why = (
        f"{_share(lossless, rows)} are compressed without loss, and their variants will be "
        f"{format} of quality {encoding.quality}: a network can tell the two apart"
    )
    return [Finding("lossy_encoding", PLACE, why, "set format: auto")]


def low_quality(rows: pd.DataFrame, encoding: Encoding) -> list[Finding]:
    """JPEG of a low quality, of sources that are JPEG files already."""
    again = encoding.format_for("JPEG") == "jpeg" and encoding.quality < LEAST_QUALITY
    jpegs = int(rows["format"].isin(JPEGS).sum())
    if not again or not jpegs:
        return []
    why = (
        f"{_share(jpegs, rows)} are JPEG files, and their variants are compressed again at "
        f"quality {encoding.quality}"
    )
    return [Finding("jpeg_over_jpeg", PLACE, why, "set quality: 95")]


def depth_lost(
    rows: pd.DataFrame, transforms: list[Any], encoding: Encoding, location: str
) -> list[Finding]:
    """Sources of 16 bits whose variants have 8."""
    deep = rows[rows["bits"] == 16]
    if deep.empty:
        return []
    shallow = [
        placed
        for placed in placed_leaves(transforms, location)
        if placed.name not in TAKE_16_BITS or inpaints(placed.leaf)
    ]
    why = f"{_share(len(deep), rows)} have 16 bits, and their variants will have 8"
    if shallow:
        names = ", ".join(dict.fromkeys(placed.name for placed in shallow))
        instead = "use steps that take 16 bits, such as RandomBrightnessContrast (docs/policies.md)"
        return [Finding("depth_lost", location, f"{names}: {why}", instead)]
    if all(encoding.format_for(name) == "png" for name in deep["format"].unique()):
        return []
    return [Finding("depth_lost", PLACE, why, "set format: png")]


def constants_on_16_bits(
    rows: pd.DataFrame, transforms: list[Any], encoding: Encoding, location: str
) -> list[Finding]:
    """Constants that are shares of 65,535 in images that use little of that."""
    deep = rows[rows["bits"] == 16]
    if deep.empty or depth_lost(rows, transforms, encoding, location):
        return []
    highest = int(deep["highest"].max())
    if not 0 < highest < LITTLE_RANGE * WHITE_16:
        return []
    white = 2 ** highest.bit_length() - 1
    findings = []
    for placed in placed_leaves(transforms, location):
        constant = _constant(placed.leaf)
        if constant and constant[1] > highest / 2:
            why = (
                f"{constant[0]} is up to {constant[1]:,.0f} of 65,535, and "
                f"{_share(len(deep), rows)} have 16 bits and reach {highest:,} at most"
            )
            instead = f"set ingest.range: [0, {white}]"
            findings.append(Finding("constants_on_16_bits", placed.place, why, instead))
    return findings


def _constant(leaf: Any) -> tuple[str, float] | None:
    """What a transform adds or fills with, and how many levels of 16 bits it is at most."""
    name = type(leaf).__name__
    if name == "RandomBrightnessContrast" and leaf.brightness_by_max:
        return "brightness_limit", max(map(abs, leaf.brightness_limit)) * WHITE_16
    if name == "InvertImg":
        return "white", WHITE_16
    fill = getattr(leaf, "fill", None)
    levels = fill if isinstance(fill, list | tuple) else [fill]
    numbers = [level for level in levels if isinstance(level, int | float)]
    return ("fill", max(numbers) * FROM_8_TO_16) if numbers else None


def _share(number: int, rows: pd.DataFrame) -> str:
    return f"{number:,} of {len(rows):,} training images"
