"""Rules about a policy, whatever the images: steps that go badly together, or are misplaced."""

from typing import Any

import cv2
import numpy as np

from tasks.common.yaml_names import quoted
from tasks.lint.findings import Finding
from tasks.lint.order import CONSTANT, MAPS, MATRICES, placed_leaves, resamplings

FLIPS = ("D4", "HorizontalFlip", "RandomRotate90", "SquareSymmetry", "Transpose", "VerticalFlip")
ROTATIONS = {  # the argument that limits the angle
    "Affine": "rotate",
    "Rotate": "limit",
    "SafeRotate": "limit",
    "ShiftScaleRotate": "rotate_limit",
}
FAR_DEGREES = 30
# What brings images to one form, and the step of ingest.preprocess that does it for all of them.
FOR_ALL_IMAGES = {
    "Resize": "resize: {{width: {0.width}, height: {0.height}}}",
    "SmallestMaxSize": "resize: {{shorter: {0.max_size}}}",
    "LongestMaxSize": "resize: {{longer: {0.max_size}}}",
    "CenterCrop": "crop: {{width: {0.width}, height: {0.height}}}",
    "PadIfNeeded": "pad: {{width: {0.min_width}, height: {0.min_height}}}",
    "ToGray": "grey",
}
TURNED = ("6", "9", "six", "nine")  # each becomes another when it is turned upside down
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# What makes an image brighter or darker, and its black too.
TONES = (
    "AdditiveNoise", "AutoContrast", "CLAHE", "ColorJitter", "Equalize", "HueSaturationValue",
    "Illumination", "InvertImg", "PlasmaBrightnessContrast", "Posterize",
    "RandomBrightnessContrast", "RandomFog", "RandomGamma", "RandomSnow", "RandomToneCurve",
    "RGBShift", "Solarize",
)  # fmt: skip
BLACK_STAYS = ("AutoContrast", "Posterize", "RandomGamma", "Solarize")  # of TONES
REFLECT = "border_mode: 4"
NEAREST = (cv2.INTER_NEAREST, cv2.INTER_NEAREST_EXACT)


def flipped_symbols(transforms: list[Any], classes: list[str], location: str) -> list[Finding]:
    """Flips and quarter turns of what looks like digits or letters."""
    flips = [placed for placed in placed_leaves(transforms, location) if _flips(placed.leaf)]
    symbols = all(
        len(label) == 1 or label.isdigit() or label.lower() in NUMBERS for label in classes
    )
    if not (flips and classes and symbols):
        return []
    names = ", ".join(sorted({placed.name for placed in flips}))
    examples = ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
    why = (
        f"the classes ({examples}) look like digits or letters, and a flipped or turned one may be "
        "another or none"
    )
    changed = [label for label in TURNED if label in classes] or classes[:2]
    rule = f"{{classes: [{', '.join(map(quoted, changed))}], forbid: [{names}]}}"
    instead = (
        "leave it out, or do so for the classes that it changes (`variegate audit` finds them), as "
        f"augment.labels: [{rule}]"
    )
    return [Finding("flipped_symbols", location, f"{names}: {why}", instead)]


def _flips(transform: Any) -> bool:
    return _name(transform) in FLIPS and getattr(transform, "elements", None) != ["e"]


def repeated_resampling(transforms: list[Any], fuse: bool, location: str) -> list[Finding]:
    """Several steps that interpolate, one after another, and are not one warp."""
    times = resamplings(transforms, fuse)
    if times < 2:
        return []
    placed = list(placed_leaves(transforms, location))
    names = sorted({each.name for each in placed if each.name in (*MATRICES, *MAPS)})
    why = f"{', '.join(names)}: an image is resampled up to {times} times, and each time blurs it"
    return [Finding("repeated_resampling", location, why, _resampled_less(transforms, fuse))]


def _resampled_less(transforms: list[Any], fuse: bool) -> str:
    """What makes one warp of several."""
    if resamplings(transforms, fuse=True) < 2:
        return "set augment.fuse: true"
    names = {placed.name for placed in placed_leaves(transforms)}
    maps = sorted(names & set(MAPS))
    if len(maps) > 1 or (maps and names & set(MATRICES)):
        return f"put {', '.join(maps)} into a OneOf with the other steps that move pixels"
    return (
        "write the steps that move pixels one after another, with one interpolation and one "
        "border: such a run is one warp"
    )


def nearest_interpolation(transforms: list[Any], location: str) -> list[Finding]:
    """Steps that take the nearest pixel; published policies and Downscale are made that way."""
    why = "takes the nearest pixel and interpolates nothing, so edges become jagged"
    return [
        Finding("nearest_interpolation", placed.place, why, "set interpolation: 1")
        for placed in placed_leaves(transforms, location)
        if getattr(placed.leaf, "interpolation", None) in NEAREST
    ]


def far_rotations(transforms: list[Any], location: str) -> list[Finding]:
    """Rotations by more than FAR_DEGREES, by default or as asked for."""
    findings = []
    for placed in placed_leaves(transforms, location):
        argument = ROTATIONS.get(placed.name)
        limits = getattr(placed.leaf, argument) if argument else (0,)
        degrees = max(abs(limit) for limit in limits)
        if degrees > FAR_DEGREES:
            why = f"turns by up to {degrees:g} degrees"
            instead = f"if images have an upside, set {argument}: [-{FAR_DEGREES}, {FAR_DEGREES}]"
            findings.append(Finding("far_rotation", placed.place, why, instead))
    return findings


def meant_for_all(transforms: list[Any], location: str) -> list[Finding]:
    """Steps that every variant gets for certain: most likely every image should."""
    certain = [step for step in transforms if _name(step) in FOR_ALL_IMAGES and step.p == 1]
    if not certain:
        return []
    names = ", ".join(dict.fromkeys(map(_name, certain)))
    steps = ", ".join(_written(FOR_ALL_IMAGES[_name(step)].format(step)) for step in certain)
    why = f"{names}: every variant gets this, but no original, and no validation or test image"
    instead = f"if all images are to get it, move it to ingest.preprocess: [{steps}]"
    return [Finding("meant_for_all", location, why, instead)]


def _written(step: str) -> str:
    """A step as a list of YAML in one line has it."""
    return f"{{{step}}}" if ":" in step else step


def tone_before_border(transforms: list[Any], location: str) -> list[Finding]:
    """Brightness and the like, and then a border of a constant colour that has no part in it."""
    findings = []
    for placed in placed_leaves(transforms, location):
        if not has_constant_border(placed.leaf):
            continue
        unmoved = BLACK_STAYS if not np.any(getattr(placed.leaf, "fill", 0)) else ()
        tones = [each for each in placed.before if each.name in TONES and each.name not in unmoved]
        if tones:
            names = ", ".join(dict.fromkeys(tone.name for tone in tones))
            why = (
                f"its border is filled with one colour after {names} has changed the others, so "
                "it stands out even from a background of that colour"
            )
            first = tones[0].place.removeprefix("params.yaml ")
            instead = f"move it before {first}, or set {REFLECT}"
            findings.append(Finding("tone_before_border", placed.place, why, instead))
    return findings


def has_constant_border(transform: Any) -> bool:
    """Whether what lies beyond the image is filled with one colour."""
    pads = getattr(transform, "pad_if_needed", True)
    return pads and getattr(transform, "border_mode", None) == CONSTANT


def compressed_twice(transforms: list[Any], lossy: str | None, location: str) -> list[Finding]:
    """ImageCompression of what is compressed when it is stored.

    `lossy`: the format of variants that are, in words; None where there are none.
    """
    return [
        Finding(
            "compressed_twice",
            placed.place,
            f"its losses are compressed once more, because variants are stored as {lossy}",
            "leave it out, or set augment.encoding: {format: png}",
        )
        for placed in placed_leaves(transforms, location)
        if lossy and placed.name == "ImageCompression"
    ]


def _name(transform: Any) -> str:
    return type(transform).__name__
