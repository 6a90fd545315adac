"""Warnings about a plan: what it allows and its owner may not want, and what to do."""

from typing import Any

import numpy as np
import pandas as pd

from tasks.capacity.count import Capacity
from tasks.variants.policy import built, leaves

FLIPS = ("D4", "HorizontalFlip", "RandomRotate90", "SquareSymmetry", "Transpose", "VerticalFlip")
RESAMPLING = (
    "Affine", "CropAndPad", "ElasticTransform", "GridDistortion", "GridElasticDeform", "LongestMaxSize",
    "OpticalDistortion", "Perspective", "PiecewiseAffine", "RandomResizedCrop", "RandomScale", "RandomSizedCrop",
    "Resize", "Rotate", "SafeRotate", "ShiftScaleRotate", "SmallestMaxSize", "ThinPlateSpline",
)  # fmt: skip
ROTATIONS = {
    "Affine": "rotate",
    "Rotate": "limit",
    "SafeRotate": "limit",
    "ShiftScaleRotate": "rotate_limit",
}
FAR_DEGREES = 30
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def plan_warnings(
    policy: list[Any],
    rows: pd.DataFrame,
    counts: pd.Series,
    places: np.ndarray,
    capacities: list[Capacity],
    distinct: bool = True,
) -> list[str]:
    """All cautions about a plan: `rows` (label, height, width), variants and capacities of its training sources."""
    transforms = built(policy)
    return [
        *flipped_symbols(transforms, sorted(rows["label"].unique())),
        *repeated_resampling(transforms),
        *far_rotations(transforms),
        *too_small(rows, counts, places, capacities),
        *too_many(counts, places, capacities, distinct),
    ]


def flipped_symbols(transforms: list[Any], classes: list[str]) -> list[str]:
    """Flips and quarter turns of what looks like digits or letters."""
    names = sorted({_name(leaf) for leaf in _applied(transforms)} & set(FLIPS))
    symbols = all(
        len(label) == 1 or label.isdigit() or label.lower() in NUMBERS for label in classes
    )
    if not (names and classes and symbols):
        return []
    some = ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
    return [
        f"{', '.join(names)}: the classes ({some}) look like digits or letters, and a flipped or turned one may be "
        "another or none; leave it out of augment.policy"
    ]


def repeated_resampling(transforms: list[Any]) -> list[str]:
    """Several steps that interpolate, one after another."""
    times = sum(_resamplings(transform) for transform in transforms)
    if times < 2:
        return []
    names = sorted({_name(leaf) for leaf in _applied(transforms)} & set(RESAMPLING))
    return [
        f"{', '.join(names)}: up to {times} of them resample an image one after another, and each blurs it; use one "
        "Affine for scale, shift and rotation, or put them into a OneOf"
    ]


def far_rotations(transforms: list[Any]) -> list[str]:
    """Rotations by more than FAR_DEGREES, by default or as asked for."""
    found = []
    for leaf in _applied(transforms):
        argument = ROTATIONS.get(_name(leaf))
        limits = getattr(leaf, argument) if argument else (0,)
        if max(abs(limit) for limit in limits) > FAR_DEGREES:
            found.append(
                f"{_name(leaf)}: turns by up to {max(abs(limit) for limit in limits):g} degrees; if images have an "
                f"upside, set {argument}: {FAR_DEGREES} or less"
            )
    return list(dict.fromkeys(found))


def too_small(
    rows: pd.DataFrame, counts: pd.Series, places: np.ndarray, capacities: list[Capacity]
) -> list[str]:
    """Images that a crop does not fit into."""
    failing = (
        np.array([found.failing for found in capacities])[places] if capacities else np.zeros(0)
    )
    small = rows[(failing > 0) & (counts.to_numpy() > 0)]
    if small.empty:
        return []
    example = small.loc[(small["height"] * small["width"]).idxmin()]
    share = "variants" if failing.min(initial=1, where=failing > 0) == 1 else "some variants"
    return [
        f"a crop is larger than {len(small):,} of {len(rows):,} training images (one has {example['width']} x "
        f"{example['height']} pixels), and {share} of theirs will be rejected; crop less or set pad_if_needed: true"
    ]


def too_many(
    counts: pd.Series, places: np.ndarray, capacities: list[Capacity], distinct: bool
) -> list[str]:
    """More variants than can differ."""
    new = np.array(
        [np.inf if found.new() is None or found.failing else found.new() for found in capacities],
        float,
    )
    short = counts.to_numpy() - new[places] if capacities else np.zeros(0)
    if not (short > 0).any():
        return []
    copies = f"{short[short > 0].sum():,.0f} of {counts.sum():,} variants will be {'rejected' if distinct else 'copies'}"
    return [
        f"{(short > 0).sum():,} training images get more variants than can differ: at least {copies}; plan fewer or "
        "widen the policy"
    ]


def _applied(transforms: list[Any]) -> list[Any]:
    return [leaf for leaf in leaves(transforms) if getattr(leaf, "p", 1) > 0]


def _resamplings(transform: Any) -> int:
    """How often a step may resample one image."""
    inner = [_resamplings(one) for one in getattr(transform, "transforms", None) or []]
    if getattr(transform, "p", 1) == 0:
        return 0
    match _name(transform):
        case "Sequential":
            return sum(inner)
        case "OneOf":
            return max(inner)
        case "SomeOf":
            return (
                max(inner) * transform.n
                if transform.replace
                else sum(sorted(inner)[-transform.n :])
            )
    return int(_name(transform) in RESAMPLING)


def _name(transform: Any) -> str:
    return type(transform).__name__
