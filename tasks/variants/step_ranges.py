"""Ranges from which steps draw, by argument, and the bounds that label rules set to them."""

import inspect
import math
import warnings
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from pydantic import ValidationError

from tasks.common.errors import UserError
from tasks.common.params import key_and_problem
from tasks.variants.policy import COMPOSITES, checked_values, transform_class

Span: TypeAlias = tuple[float, float]  # from, to
Range: TypeAlias = Span | dict[str, Span]  # of an argument; by axis, where each has its own
# Pairs of numbers of which each is used for itself: nothing is drawn from them.
PAIRS = (
    "drop_value", "fill", "fill_mask", "grid", "holes_number_xy", "mask_drop_value", "max_size_hw",
    "num_grid_xy", "padding", "shift_xy", "size", "tile_grid_size",
)  # fmt: skip
# Arguments that stand in for others where these are not given.
STAND_IN = {("ShiftScaleRotate", "shift_limit"): ("shift_limit_x", "shift_limit_y")}
# Arguments for the same in two units, of which a step has one.
OTHER_UNIT = {
    ("Affine", "translate_percent"): "translate_px",
    ("Affine", "translate_px"): "translate_percent",
    ("CropAndPad", "percent"): "px",
    ("CropAndPad", "px"): "percent",
}
# Arguments in pixels where they reach 1, else in shares of the image.
PIXELS_OR_SHARES = ("hole_height_range", "hole_width_range")


class Bound(NamedTuple):
    """The largest range of an argument, as written, and where that stands in params.yaml."""

    argument: str
    written: Any
    place: str


def step_ranges(name: str, arguments: dict[str, Any]) -> dict[str, Range]:
    """The ranges from which a step draws, by argument, as params.yaml would have them in full.

    Example: `Rotate: {limit: 30}` gives {"limit": (-30, 30)}, and Affine's scale {"x": (0.9, 1.1),
    "y": (0.9, 1.1)}. Defaults are among them.

    Args:
        name: of a step that parse_step() admits.
        arguments: which build_step() admits.
    """
    if name in COMPOSITES:
        return {}
    kind = transform_class(name)
    values = vars(checked_values(kind, arguments))
    ranges = {
        argument: _as_written(kind, arguments, argument, _as_range(values[argument]))
        for argument in kind.InitSchema.model_fields
        if _draws(name, argument, values[argument])
    }
    return {argument: _sorted(its) for argument, its in ranges.items()}


def _draws(name: str, argument: str, value: Any) -> bool:
    """Whether a value is a range from which a step draws."""
    if argument in PAIRS or (name, argument) in STAND_IN:
        return False
    if isinstance(value, dict):
        return all(map(_is_span, value.values()))
    return _is_span(value) or ((name, argument) in OTHER_UNIT and _is_number(value))


def _is_span(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_range(value: Any) -> Any:
    """A number alone, of CropAndPad, is a range of one."""
    return (value, value) if _is_number(value) else value


def _as_written(kind: Any, arguments: dict[str, Any], argument: str, made: Range) -> Range:
    """The range of which the schema makes `made`: it adds 1 to scale_limit of ShiftScaleRotate.

    Of a single number it may make a range that it does not take: of ColorJitter's hue above 0.5.
    """
    try:
        again = getattr(checked_values(kind, {**arguments, argument: made}), argument)
    except ValidationError:
        return made
    if isinstance(made, dict):
        return {axis: _unshifted(span, again[axis]) for axis, span in made.items()}
    return _unshifted(made, again)


def _unshifted(made: Span, again: Span) -> Span:
    low, high = (
        end if end == other else round(2 * end - other, 12)
        for end, other in zip(made, again, strict=True)
    )
    return low, high


def _sorted(its: Range) -> Range:
    if isinstance(its, dict):
        return {axis: (min(span), max(span)) for axis, span in its.items()}
    return min(its), max(its)


def bound_ranges(name: str, arguments: dict[str, Any], bound: Bound) -> dict[str, Range]:
    """A bound as ranges of arguments of a step, by the same rules by which these are read.

    Empty where the step, by its arguments, has nothing to bound.

    Raises:
        UserError: for what is no range.
    """
    ranges = step_ranges(name, arguments)
    targets = STAND_IN.get((name, bound.argument), (bound.argument,))
    if not ranges.keys() >= set(targets):
        _require_at_rest(name, ranges, bound)
        return {}
    others = {key: value for key, value in arguments.items() if key not in targets}
    made = _ranges_of_bound(name, {**others, bound.argument: bound.written}, bound)
    limits = {target: _given_axes(made[target], bound.written) for target in targets}
    for target, limit in limits.items():
        _check_limit(limit, ranges[target], bound)
    return limits


def _require_at_rest(name: str, ranges: dict[str, Range], bound: Bound) -> None:
    """Raises UserError for an argument that is no range, unless the step moves by nothing at all.

    Affine without any translation has none in per cent either.
    """
    other = OTHER_UNIT.get((name, bound.argument), "")
    if other in ranges:
        if any(map(any, _spans(ranges[other]))):
            raise UserError(f"{bound.place}: the policy has {other} instead; bound that")
        return
    known = list(inspect.signature(transform_class(name).__init__).parameters)[1:]
    what = "is no range of" if bound.argument in known else "is no argument of"
    have = f"its ranges: {', '.join(ranges)}" if ranges else "it has no ranges"
    raise UserError(f"{bound.place}: {what} {name}; {have}")


def _ranges_of_bound(name: str, arguments: dict[str, Any], bound: Bound) -> dict[str, Range]:
    """The ranges of a step whose argument is what a bound allows."""
    kind = transform_class(name)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            ranges = step_ranges(name, arguments)
    except ValidationError as error:
        step_place = bound.place.removesuffix(f".{bound.argument}")
        raise UserError(key_and_problem(error, step_place, kind.InitSchema)) from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{bound.place}: {' '.join(str(error).split())}") from None
    for text in (str(each.message) for each in said):
        of_bound = text.startswith(f"{bound.argument}: ")  # not of the policy's other arguments
        if of_bound and "adjusted" in text:
            raise UserError(f"{bound.place}: needs a range that can be drawn from: {text}")
    return ranges


def _given_axes(made: Range, written: Any) -> Range:
    """A bound's range, of those axes that it names."""
    if isinstance(made, dict) and isinstance(written, dict):
        return {axis: span for axis, span in made.items() if axis in written}
    return made


def _check_limit(limit: Range, its: Range, bound: Bound) -> None:
    """Raises UserError for a bound that cannot be meant."""
    by_axis = bound.written.values() if isinstance(bound.written, dict) else [bound.written]
    ends = list(chain.from_iterable(_spans(limit)))
    if not all(map(math.isfinite, ends)):
        raise UserError(f"{bound.place}: needs finite numbers, found {bound.written!r}")
    alone = any(map(_is_number, by_axis))
    lows = [low for low, _ in _spans(its)]
    # The least of the range, as Blur's smallest kernel, is left of it however a number is read.
    single = [low for low, high in _spans(limit) if low == high != 0 and low not in lows]
    if alone and single:
        most = abs(single[0])
        needed = range_in_words((-most if min(lows) < 0 else min(lows), most))
        raise UserError(
            f"{bound.place}: needs a range, as {needed}: a number alone is that one value here, "
            f"found {bound.written!r}"
        )
    if bound.argument in PIXELS_OR_SHARES and _in_pixels(limit) != _in_pixels(its):
        units = ("in pixels", "a share of the image")
        found, needed = units if _in_pixels(limit) else reversed(units)
        raise UserError(
            f"{bound.place}: needs a range that is {needed}, as the policy's "
            f"{range_in_words(its)}, found {range_in_words(limit)}, which is {found}"
        )


def _in_pixels(its: Range) -> bool:
    """As CoarseDropout decides it."""
    return any(high >= 1 for _, high in _spans(its))


def _spans(its: Range) -> list[Span]:
    return list(its.values()) if isinstance(its, dict) else [its]


def written_range(its: Range) -> Any:
    """A range as people write it: whole numbers without a point, equal axes as one."""
    if isinstance(its, dict):
        axes = {axis: written_range(span) for axis, span in its.items()}
        first, *others = axes.values()
        return axes if any(other != first for other in others) else first
    return [int(end) if end == int(end) else end for end in its]


def range_in_words(its: Range) -> str:
    """As `[-30, 30]`, or `x [0.8, 1.2], y [0.5, 1.5]`."""
    if isinstance(its, dict):
        return ", ".join(f"{axis} {range_in_words(span)}" for axis, span in its.items())
    low, high = (end + 0.0 for end in its)  # without the sign of -0.0
    return f"[{low:g}, {high:g}]"
