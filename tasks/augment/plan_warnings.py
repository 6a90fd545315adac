"""Warnings about a plan: what its owner may not want, such as flipped digits, and what to do."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks.augment.step_warnings import step_warnings
from tasks.capacity.count import Capacity
from tasks.variants.params import AugmentParams
from tasks.variants.policy import build_transforms, leaf_transforms
from tasks.variants.recipe import ClassPolicy, rows_of_policies

FLIPS = ("D4", "HorizontalFlip", "RandomRotate90", "SquareSymmetry", "Transpose", "VerticalFlip")
RESAMPLING = (
    "Affine", "CropAndPad", "ElasticTransform", "GridDistortion", "GridElasticDeform",
    "LongestMaxSize", "OpticalDistortion", "Perspective", "PiecewiseAffine", "RandomResizedCrop",
    "RandomScale", "RandomSizedCrop", "Resize", "Rotate", "SafeRotate", "ShiftScaleRotate",
    "SmallestMaxSize", "ThinPlateSpline",
)  # fmt: skip
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
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def plan_warnings(
    params: AugmentParams,
    rows: pd.DataFrame,
    counts: pd.Series,
    capacity_index: np.ndarray,
    capacities: list[Capacity],
) -> list[str]:
    """All warnings about a plan, a sentence each.

    Args:
        params: the augment block.
        rows: label, height, width and grey of each training source, as the policy gets it.
        counts: variants planned of each.
        capacity_index: int (sources,), the index of each source's capacity in `capacities`.
        capacities: see checked_capacities().
    """
    warnings = []
    for policy, its in rows_of_policies(rows["label"], params):
        used, index = np.unique(capacity_index[its], return_inverse=True)
        of_its = Planned(rows[its], counts[its], index, [capacities[number] for number in used])
        warnings += policy_warnings(policy, of_its)
    return [*warnings, *too_many(counts, capacity_index, capacities, params.distinct)]


class Planned(NamedTuple):
    """Training sources and what is planned of each; see plan_warnings()."""

    rows: pd.DataFrame
    counts: pd.Series
    capacity_index: np.ndarray
    capacities: list[Capacity]


def policy_warnings(policy: ClassPolicy, planned: Planned) -> list[str]:
    """Warnings about one policy and the sources that it is for."""
    transforms = build_transforms(policy.steps, policy.location)
    place = policy.location.removeprefix("params.yaml ")
    return [
        *flipped_symbols(transforms, sorted(planned.rows["label"].unique()), place),
        *repeated_resampling(transforms),
        *far_rotations(transforms),
        *meant_for_all(transforms),
        *step_warnings(transforms, *planned, policy.location),
    ]


def flipped_symbols(transforms: list[Any], classes: list[str], place: str) -> list[str]:
    """Flips and quarter turns of what looks like digits or letters; `place`: of the policy."""
    names = sorted({_name(leaf) for leaf in _applied(transforms)} & set(FLIPS))
    symbols = all(
        len(label) == 1 or label.isdigit() or label.lower() in NUMBERS for label in classes
    )
    if not (names and classes and symbols):
        return []
    examples = ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
    return [
        f"{', '.join(names)}: the classes ({examples}) look like digits or letters, and a flipped "
        f"or turned one may be another or none; leave it out of {place}"
    ]


def repeated_resampling(transforms: list[Any]) -> list[str]:
    """Several steps that interpolate, one after another."""
    times = sum(_resamplings(transform) for transform in transforms)
    if times < 2:
        return []
    names = sorted({_name(leaf) for leaf in _applied(transforms)} & set(RESAMPLING))
    return [
        f"{', '.join(names)}: up to {times} of them resample an image one after another, and each "
        "blurs it; use one Affine for scale, shift and rotation, or put them into a OneOf"
    ]


def far_rotations(transforms: list[Any]) -> list[str]:
    """Rotations by more than FAR_DEGREES, by default or as asked for."""
    warnings = []
    for leaf in _applied(transforms):
        argument = ROTATIONS.get(_name(leaf))
        limits = getattr(leaf, argument) if argument else (0,)
        degrees = max(abs(limit) for limit in limits)
        if degrees > FAR_DEGREES:
            warnings.append(
                f"{_name(leaf)}: turns by up to {degrees:g} degrees; if images have an upside, "
                f"set {argument}: {FAR_DEGREES} or less"
            )
    return list(dict.fromkeys(warnings))


def meant_for_all(transforms: list[Any]) -> list[str]:
    """Steps that every variant gets for certain: most likely every image should."""
    certain = [step for step in transforms if _name(step) in FOR_ALL_IMAGES and step.p == 1]
    if not certain:
        return []
    names = ", ".join(dict.fromkeys(map(_name, certain)))
    steps = ", ".join(_written(FOR_ALL_IMAGES[_name(step)].format(step)) for step in certain)
    return [
        f"{names}: every variant gets this, but no original, and no validation or test image; if "
        f"all images are to get it, move it to ingest.preprocess: [{steps}]"
    ]


def _written(step: str) -> str:
    """A step as a list of YAML in one line has it."""
    return f"{{{step}}}" if ":" in step else step


def too_many(
    counts: pd.Series, capacity_index: np.ndarray, capacities: list[Capacity], distinct: bool
) -> list[str]:
    """More variants planned of an image than can differ."""
    new = np.array([_most_new(capacity) for capacity in capacities], float)
    surplus = counts.to_numpy() - new[capacity_index]
    concerned = surplus > 0
    if not concerned.any():
        return []
    end = "rejected" if distinct else "copies"
    return [
        f"{concerned.sum():,} training images get more variants than can differ: at least "
        f"{surplus[concerned].sum():,.0f} of {counts.sum():,} variants will be {end}; plan fewer "
        "or widen the policy"
    ]


def _most_new(capacity: Capacity) -> float:
    """How many variants there can be; infinite without a bound, or where a step cannot be applied.

    step_warnings() tells of the latter.
    """
    most = capacity.most_written()
    return math.inf if most is None or capacity.failing else most


def _applied(transforms: list[Any]) -> list[Any]:
    """The transforms that have a probability."""
    return [leaf for leaf in leaf_transforms(transforms) if getattr(leaf, "p", 1) > 0]


def _resamplings(transform: Any) -> int:
    """How often a step may resample one image."""
    inner = [_resamplings(step) for step in getattr(transform, "transforms", None) or []]
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
