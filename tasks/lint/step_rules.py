"""Rules about single steps that do not suit the images: too large for them, or for colours.

Example: CoarseDropout with holes of 8 to 32 pixels leaves nothing of an image of 8 x 8.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks.capacity.count import ALWAYS, Capacity
from tasks.capacity.grey_images import COLOUR_ALONE
from tasks.capacity.pixel_arguments import REACHES, reach, sides_needed
from tasks.capacity.steps import CROPS, HOLES
from tasks.lint.findings import Finding
from tasks.variants.policy import LOCATION, located_leaves

RARELY = 0.02  # a smaller share of what a step makes is not worth a warning
HOLES_AS_SHARES = (
    "give shares of the image, hole_height_range: [0.1, 0.3] and hole_width_range: [0.1, 0.3]"
)
# What to write instead of an argument in pixels, for images whose shorter side is `side`.
SMALLER: dict[str, Callable[[int], str]] = {
    "blur_limit": lambda side: f"blur_limit: [3, {(side // 4 - 1) // 2 * 2 + 1}]" * (side >= 12),
    "drop_length": lambda side: f"drop_length: {max(1, side // 4)}",
    "max_delta": lambda side: f"max_delta: {max(1, side // 8)}",
    "min_max_height": lambda side: f"min_max_height: [{max(1, side // 2)}, {side}]",
    "num_steps": lambda side: f"num_steps: {max(1, min(5, side))}",
    "padding": lambda side: f"padding: {max(1, side // 8)}",
    "px": lambda side: "percent: [-0.1, 0.1]",
    "radius": lambda side: f"radius: [1, {max(1, side // 8)}]",
    "scale": lambda side: "scale: [2, 3]",
    "translate_px": lambda side: "translate_percent: [-0.1, 0.1]",
    "unit_size_range": lambda side: f"unit_size_range: [2, {max(3, side // 2)}]",
}
SHARES = {1: "", 2: "half of ", 4: "a quarter of "}  # by sides_needed()
FAILS_BY = {  # the argument that a step can be too large by; crops and holes have more than one
    "GlassBlur": "max_delta",
    "GridDistortion": "num_steps",
    "GridDropout": "unit_size_range",
    "RandomRain": "drop_length",
}
FOR_GREY = {  # what changes grey images too
    "ColorJitter": "set brightness: [0.8, 1.2] for these",
    "HueSaturationValue": "set val_shift_limit: 20 for these",
}


class Sources(NamedTuple):
    """The training images and the indices of their capacities; `given`: those with variants."""

    rows: pd.DataFrame
    capacity_index: np.ndarray
    given: np.ndarray

    def where(self, of_capacity: list[bool]) -> pd.DataFrame:
        """The rows of those that get variants and whose capacity is marked."""
        return self.rows[np.array(of_capacity, bool)[self.capacity_index] & self.given]


def step_rules(
    transforms: list[Any],
    rows: pd.DataFrame,
    counts: pd.Series,
    capacity_index: np.ndarray,
    capacities: list[Capacity],
    location: str = LOCATION,
) -> list[Finding]:
    """What each step cannot do as it says, for how many images, and what to write instead.

    Args:
        transforms: of the policy.
        rows: height, width and grey of each training source, as the policy gets it.
        counts: variants planned of each.
        capacity_index: int (sources,), the index of each source's capacity in `capacities`.
        capacities: see capacities_by_source().
        location: of the policy in params.yaml.
    """
    sources = Sources(rows, capacity_index, counts.to_numpy() > 0)
    findings: list[Finding | None] = []
    for index, (place, leaf) in enumerate(located_leaves(transforms, location)):
        effects = [capacity.effects[index] for capacity in capacities]
        failing = [effect.failing > RARELY for effect in effects]
        covered = [effect.covered > RARELY for effect in effects]
        beyond = [
            effect.beyond > RARELY and not fails
            for effect, fails in zip(effects, failing, strict=True)
        ]
        unchanged = [effect.unchanged > ALWAYS for effect in effects]
        certain = all(
            capacity.failing > ALWAYS
            for capacity, fails in zip(capacities, failing, strict=True)
            if fails
        )
        share = max((effect.covered for effect in effects), default=0.0)
        findings += [
            _fails(place, leaf, sources.where(failing), len(rows), certain),
            _covers(place, leaf, sources.where(covered), len(rows), share),
            _does_nothing(place, leaf, sources.where(unchanged), len(rows)),
            _reaches_beyond(place, leaf, sources.where(beyond), len(rows)),
        ]
    return [finding for finding in findings if finding]


def _fails(
    place: str, leaf: Any, small: pd.DataFrame, sources: int, certain: bool
) -> Finding | None:
    """Images that a step cannot be applied to."""
    if small.empty:
        return None
    crops = _name(leaf) in CROPS
    does = "is larger than" if crops else "cannot be applied to"
    so = (
        "and variants of theirs will be rejected"
        if certain
        else "and what uses it is drawn again, or rejected"
    )
    advice = "crop less or set pad_if_needed: true" if crops else _smaller(leaf, small)
    why = f"{does} {_counted(small, sources)}, {so}"
    return Finding("larger_than_image", place, why, advice)


def _covers(
    place: str, leaf: Any, covered: pd.DataFrame, sources: int, share: float
) -> Finding | None:
    """Images of which a step leaves nothing."""
    if covered.empty:
        return None
    rate = "always" if share > ALWAYS else f"in up to {share:.0%} of its draws"
    does = "its holes cover" if _name(leaf) in HOLES else "a shift of it moves out"
    why = (
        f"{does} all of an image, {rate}, for {_counted(covered, sources)}; variants of one "
        "single colour are drawn again and then rejected"
    )
    return Finding("nothing_left", place, why, _smaller(leaf, covered))


def _does_nothing(place: str, leaf: Any, unchanged: pd.DataFrame, sources: int) -> Finding | None:
    """Images that a step leaves as they are, whatever it draws."""
    name = _name(leaf)
    if unchanged.empty or name == "NoOp":
        return None
    if name in HOLES:
        inpaints = str(leaf.fill).startswith("inpaint")
        holes = "cover all of an image" if inpaints else "have less than a pixel"
        why = f"does nothing for {_counted(unchanged, sources)}: its holes {holes}"
        return Finding("does_nothing", place, why, _smaller(leaf, unchanged))
    grey = unchanged[unchanged["grey"] > 0]
    if grey.empty or name not in COLOUR_ALONE:
        return None
    why = (
        f"moves colour alone, so it does nothing for {len(grey):,} of {sources:,} training images, "
        "which are grey"
    )
    instead = FOR_GREY.get(name, "add RandomBrightnessContrast for these")
    return Finding("colour_on_grey", place, why, instead)


def _reaches_beyond(place: str, leaf: Any, small: pd.DataFrame, sources: int) -> Finding | None:
    """Images with a side that is too short for the pixels of an argument."""
    if small.empty:
        return None
    argument = REACHES[_name(leaf)]
    why = (
        f"{argument} goes up to {reach(leaf)} pixels, more than {SHARES[sides_needed(leaf)]}the "
        f"shorter side of {_counted(small, sources)}"
    )
    written = _instead(argument, small)
    advice = f"set {written}" if written else "leave it out"
    return Finding("pixels_of_larger_images", place, why, f"for images so small, {advice}")


def _smaller(leaf: Any, small: pd.DataFrame) -> str:
    """What to write instead in a step that is made for larger images."""
    name = _name(leaf)
    if name == "CoarseDropout":
        return HOLES_AS_SHARES
    if name == "XYMasking":
        side = max(1, _shortest(small) // 4)
        return f"set mask_x_length: [1, {side}] and mask_y_length: [1, {side}]"
    if name in FAILS_BY:
        return f"set {_instead(FAILS_BY[name], small)}"
    if name == "trivialaugment":
        return "set scaled: true, so that its shifts are shares of the image"
    return "leave it out or bring the images to a larger size before it"


def _instead(argument: str, small: pd.DataFrame) -> str:
    """What to write instead of an argument in pixels; empty where no number is small enough."""
    return SMALLER[argument](_shortest(small))


def _shortest(rows: pd.DataFrame) -> int:
    return int(rows[["height", "width"]].min().min())


def _counted(concerned: pd.DataFrame, sources: int) -> str:
    """How many images, of how many, and the smallest of them."""
    example = concerned.iloc[int((concerned["height"] * concerned["width"]).to_numpy().argmin())]
    return (
        f"{len(concerned):,} of {sources:,} training images "
        f"(one has {example['width']} x {example['height']} pixels)"
    )


def _name(transform: Any) -> str:
    return type(transform).__name__
