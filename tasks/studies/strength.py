"""A policy made weaker: ranges scaled towards the identity, where a step changes nothing.

What no range of a step can bring to rest (a flip, a smallest kernel, a published policy) is also
applied less often.
"""

import inspect
import json
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tasks.common.errors import UserError
from tasks.studies.identities import identity_of
from tasks.variants.policy import (
    COMPOSITES,
    LOCATION,
    Policy,
    build_step,
    canonical_json,
    parse_step,
    transform_class,
)
from tasks.variants.step_ranges import (
    PIXELS_OR_SHARES,
    STAND_IN,
    Span,
    step_ranges,
    written_range,
)

DIGITS = 3  # significant ones of a distance from the identity, and of a probability
# Ranges that say where, which way or of what shape, or how many of what gets smaller or paler: a
# weaker step keeps them.
NO_STRENGTH = {
    "AdvancedBlur": ("beta_limit", "noise_limit", "rotate_limit"),
    "ChannelDropout": ("channel_drop_range",),
    "CoarseDropout": ("num_holes_range",),
    "Defocus": ("alias_blur",),
    "Erasing": ("ratio",),
    "GaussianBlur": ("blur_limit",),
    "GridDropout": ("unit_size_range",),
    "Illumination": ("angle_range", "center_range", "sigma_range"),
    "MotionBlur": ("angle_range", "direction_range"),
    "PiecewiseAffine": ("nb_cols", "nb_rows"),
    "RandomRain": ("slant_range",),
    "RandomShadow": ("num_shadows_limit",),
    "RandomSizedCrop": ("min_max_height",),
    "RandomSunFlare": ("angle_range",),
    "RingingOvershoot": ("cutoff",),
    "SaltAndPepper": ("salt_vs_pepper",),
    "Spatter": ("cutout_threshold", "gauss_sigma", "mean", "std"),
    "Superpixels": ("n_segments",),
    "UnsharpMask": ("blur_limit",),
    "XYMasking": ("num_masks_x", "num_masks_y"),
    "ZoomBlur": ("step_factor",),
}
# Single numbers that say how much; 0 is none of it.
AMOUNTS = {
    "ElasticTransform": ("alpha",),
    "FancyPCA": ("alpha",),
    "PixelDropout": ("dropout_prob",),
    "RandomCropFromBorders": ("crop_bottom", "crop_left", "crop_right", "crop_top"),
    "RandomToneCurve": ("scale",),
    "randaugment": ("m",),
}
PIXELS = ("px", "translate_px")  # whole ones
SHAPES = ((48, 64, 3), (20, 16, 3), (20, 16))  # of the images on which a step at rest is tried
TRIES = 4  # on each
Axes: TypeAlias = dict[str, Span]  # ranges of an argument by axis; "" where all are one


class Weaker(NamedTuple):
    """A step with weaker arguments; `restless`: it still changes images at strength 0."""

    name: str
    arguments: dict[str, Any]
    restless: bool

    @property
    def p(self) -> float:
        """The probability, or the weight within OneOf, as written or by default."""
        return float(self.arguments.get("p", _default(self.name, "p")))

    def step(self, **changes: Any) -> Any:
        """As params.yaml has it, with these arguments changed."""
        arguments = {**self.arguments, **changes}
        return {self.name: arguments} if arguments else self.name


def _default(name: str, argument: str) -> Any:
    return inspect.signature(transform_class(name).__init__).parameters[argument].default


def weakened(steps: list[Any], strength: float) -> list[Any]:
    """The steps of a policy at a strength from 0, which changes nothing, to 1, as they stand.

    Example: at 0.5, `Rotate: {limit: 30}` becomes `Rotate: {limit: [-15, 15]}`, and
    `HorizontalFlip`, which has no range, `HorizontalFlip: {p: 0.25}`.
    """
    if strength == 1:
        return deepcopy(steps)
    return [_applied_less_often(_weaker(step, strength), strength) for step in steps]


def _applied_less_often(weaker: Weaker, strength: float) -> Any:
    return weaker.step(p=_short(weaker.p * strength)) if weaker.restless else weaker.step()


def _weaker(step: Any, strength: float) -> Weaker:
    name, arguments = parse_step(deepcopy(step), LOCATION)
    if name in COMPOSITES:
        return _weaker_composite(name, arguments, strength)
    resting = _at_rest(name, arguments)
    scaled = _scaled(name, arguments, resting, strength)
    for (_, stand_in), targets in STAND_IN.items():
        if scaled.keys() & set(targets):
            arguments.pop(stand_in, None)
    return Weaker(name, {**arguments, **scaled}, _changes_images(canonical_json({name: resting})))


def _weaker_composite(name: str, arguments: dict[str, Any], strength: float) -> Weaker:
    """Within OneOf, p is a weight: what is to be applied less often is so after it was chosen."""
    members = [_weaker(step, strength) for step in arguments["transforms"]]
    if name != "OneOf":
        transforms = [_applied_less_often(member, strength) for member in members]
        return Weaker(name, {**arguments, "transforms": transforms}, False)
    restless = all(member.restless for member in members)
    transforms = [
        _chosen_as_often(member, strength) if member.restless and not restless else member.step()
        for member in members
    ]
    return Weaker(name, {**arguments, "transforms": transforms}, restless)


def _chosen_as_often(member: Weaker, strength: float) -> Any:
    seldom = member.step(p=_short(strength))
    return {"Sequential": {"transforms": [seldom], "p": member.p}}


def _at_rest(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a step, with all that says how much as near to the identity as it takes."""
    for argument, its in _strengths(name, arguments):
        identity = identity_of(name, argument)
        nearest = {axis: _nearest(span, identity) for axis, span in its.items()}
        place = Place(name, arguments, argument)
        for axes in (dict.fromkeys(its, (identity, identity)), nearest):
            if place.takes_as_written(axes):
                arguments = {**arguments, argument: _written(axes)}
                break
    return arguments | dict.fromkeys(AMOUNTS.get(name, ()), 0)


def _strengths(name: str, arguments: dict[str, Any]) -> Iterator[tuple[str, Axes]]:
    """The ranges of a step that say how much."""
    for argument, its in step_ranges(name, arguments).items():
        if argument not in NO_STRENGTH.get(name, ()):
            yield argument, its if isinstance(its, dict) else {"": its}


def _scaled(
    name: str, arguments: dict[str, Any], resting: dict[str, Any], strength: float
) -> dict[str, Any]:
    """The arguments of a step that a strength changes, with their new values.

    `resting`: its arguments at rest.
    """
    rest = dict(_strengths(name, resting))
    changed: dict[str, Any] = {}
    for argument, its in _strengths(name, arguments):
        place = Place(name, {**arguments, **changed}, argument)
        scaled = _scaled_range(place, rest[argument], its, strength)
        if scaled != its:
            changed[argument] = _written(scaled)
    for argument in AMOUNTS.get(name, ()):
        place = Place(name, {**arguments, **changed}, argument)
        amount = arguments.get(argument, _default(name, argument)) * strength
        changed[argument] = next(filter(place.takes, (_short(amount), round(amount))))
    return changed


class Place(NamedTuple):
    """An argument of a step."""

    name: str
    arguments: dict[str, Any]
    argument: str

    def takes(self, value: Any) -> bool:
        """Whether the step can have that value there."""
        step = {self.name: {**self.arguments, self.argument: value}}
        try:
            build_step(step, LOCATION)
        except UserError:
            return False
        return True

    def takes_as_written(self, axes: Axes) -> bool:
        """Whether the step draws from these ranges, and not from others that it makes of them."""
        written = _written(axes)
        if not self.takes(written):
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it makes others of them
            made = step_ranges(self.name, {**self.arguments, self.argument: written})
        its = made[self.argument]
        return axes == (its if isinstance(its, dict) else dict.fromkeys(axes, its))


def _scaled_range(place: Place, rest: Axes, its: Axes, strength: float) -> Axes:
    """The ranges of an argument between those at rest and its own; its own where none is taken."""
    in_pixels = place.argument in PIXELS or (
        place.argument in PIXELS_OR_SHARES and any(high >= 1 for _, high in its.values())
    )
    for rounded in (round, _odd) if in_pixels else (float, round, _odd):
        scaled = {axis: _between(rest[axis], span, strength, rounded) for axis, span in its.items()}
        if place.takes_as_written(scaled):
            return scaled
    return its


def _written(axes: Axes) -> Any:
    """As params.yaml has them."""
    return written_range(axes.get("", axes))


def _between(rest: Span, span: Span, strength: float, rounded: Callable[[float], float]) -> Span:
    low, high = (
        rounded(round(start + _short(strength * (end - start)), 12))
        for start, end in zip(rest, span, strict=True)
    )
    return low, high


def _nearest(span: Span, identity: float) -> Span:
    """The value of a range that is nearest to the identity, as a range."""
    nearest = min(max(identity, span[0]), span[1])
    return nearest, nearest


def _odd(number: float) -> int:
    """The nearest odd number: a kernel has a centre."""
    return 2 * round((number - 1) / 2) + 1


def _short(number: float) -> float:
    short = float(f"{number:.{DIGITS}g}")
    return int(short) if short == int(short) else short


@lru_cache(maxsize=1024)
def _changes_images(step: str) -> bool:
    """Whether a step, as JSON, changes an image when it is applied, or fails on it."""
    [(name, arguments)] = json.loads(step).items()
    policy = Policy([{name: {**arguments, "p": 1}}])
    shapes = SHAPES if policy.takes_grey else SHAPES[:2]
    return any(_changes(policy, shape) for shape in shapes)


def _changes(policy: Policy, shape: tuple[int, ...]) -> bool:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    try:
        with np.errstate(all="ignore"):  # a blur by 0 divides by it
            made = [policy.apply(image, seed).pixels for seed in range(TRIES)]
    except Exception:  # whatever a transform raises on an image that it was not made for
        return True
    return not all(np.array_equal(pixels, image) for pixels in made)
