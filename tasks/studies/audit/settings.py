"""Settings: each step of a policy alone at p = 1, at each magnitude, then the whole policy."""

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np

from tasks.common.errors import UserError
from tasks.studies.identities import identity_of
from tasks.variants.policy import COMPOSITES, build_transforms, canonical_json, parse_step
from tasks.variants.recipe import ClassPolicy
from tasks.variants.step_ranges import Range, Span, step_ranges
from tasks.variants.transforms import ELEMENTS, OF_ELEMENTS

WHOLE_POLICY = "policy"  # in place of a step's name
BINS = 5
FLIPS = ("HorizontalFlip", "VerticalFlip")
HALF_TURN = " with ".join(FLIPS)  # in place of a step's name
DIGITS = 6  # significant ones of a magnitude
# The steps that draw one of the symmetries of the square: each is tried, by its name in D4.
ALL = tuple(element for element, does in ELEMENTS.items() if does)
TURNS = tuple(element for element, does in ELEMENTS.items() if does == "RandomRotate90")
SYMMETRIES = {**dict.fromkeys(OF_ELEMENTS, ALL), "RandomRotate90": TURNS}


class Setting(NamedTuple):
    """What is tried: a policy that makes the variants, and what it is called.

    Attributes:
        step: the step's name, or WHOLE_POLICY.
        argument: the range of the step that is tried, others being at rest (`translate_percent.x`
            where each axis has its own); or which of the symmetries of the square, as `r180`. None
            where the step has neither.
        low, high: the magnitude: values of the argument, as params.yaml has them. Where the range
            lies on both sides of the identity, distances from it, and both sides are tried. None
            where there is no range.
        policies: of which each makes half of the variants, or all; steps as params.yaml has them.
        classes: for which it is tried, sorted: a rule may forbid the step for others.
    """

    step: str
    argument: str | None
    low: float | None
    high: float | None
    policies: tuple[list[Any], ...]
    classes: tuple[str, ...]


def settings_of(policies: list[ClassPolicy], classes: Iterable[str]) -> list[Setting]:
    """What is tried of the policies of these classes, in the order of their steps.

    Steps of the policy that most classes have come first, and whole policies last. What several
    classes have alike is one setting. Two flips that a policy can do together are tried together
    too: each may keep a label that half a turn does not.
    """
    steps: dict[str, Setting] = {}
    wholes: dict[str, Setting] = {}
    for policy, own in reversed(list(_classes_of(policies, classes))):
        for name, arguments in steps_within(policy.steps):
            for setting in settings_of_step(name, arguments):
                _add(setting._replace(classes=own), steps)
        if flips_together(policy.steps):
            flips = [{name: {"p": 1}} for name in FLIPS]
            _add(Setting(HALF_TURN, None, None, None, (flips,), own), steps)
        if policy.steps:
            _add(Setting(WHOLE_POLICY, None, None, None, (policy.steps,), own), wholes)
    return [*steps.values(), *wholes.values()]


def _classes_of(
    policies: list[ClassPolicy], classes: Iterable[str]
) -> Iterator[tuple[ClassPolicy, tuple[str, ...]]]:
    """Each policy that one of the classes has, with those that have it, sorted."""
    left = {normalize("NFC", label): label for label in sorted(classes)}
    for policy in policies:
        labels = list(left) if policy.labels is None else policy.labels
        own = [left.pop(label) for label in labels if label in left]
        if own:
            yield policy, tuple(sorted(own))


def _add(setting: Setting, settings: dict[str, Setting]) -> None:
    """Put a setting among others, or its classes to those of the same one."""
    key = canonical_json(setting._replace(classes=()))
    before = settings.get(key, setting).classes
    settings[key] = setting._replace(classes=tuple(sorted({*before, *setting.classes})))


def steps_within(steps: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the arguments of each step that can be applied, within composites too."""
    for step in steps:
        name, arguments = parse_step(step, WHOLE_POLICY)
        if arguments.get("p") == 0:
            continue
        if name in COMPOSITES:
            yield from steps_within(arguments["transforms"])
        else:
            yield name, arguments


def flips_together(steps: list[Any]) -> bool:
    """Whether a policy can flip an image both ways, which is half a turn.

    A step of the policy itself does one of them, a composite too, and another one the other.
    """
    flipping = list(filter(None, map(_flips_within, steps)))
    return len(flipping) > 1 and set().union(*flipping) == set(FLIPS)


def _flips_within(step: Any) -> set[str]:
    return {name for name, _ in steps_within([step]) if name in FLIPS}


def settings_of_step(name: str, arguments: dict[str, Any]) -> Iterator[Setting]:
    """What is tried of one step, for no class yet."""
    if name in SYMMETRIES:
        drawn = arguments.get("elements", SYMMETRIES[name])
        for element in SYMMETRIES[name]:
            if element in drawn:
                policy = [{"D4": {"elements": [element], "p": 1}}]
                yield Setting(name, element, None, None, (policy,), ())
        return
    spans = spans_of(name, arguments)
    varied = [place for place, (low, high) in spans.items() if low < high]
    if not varied:
        yield Setting(name, None, None, None, (alone(name, arguments, {}),), ())
    resting = _resting(name, arguments, spans)
    for place in varied:
        for bin in _bins_taken(name, arguments, place, spans):
            policies = (alone(name, arguments, {**resting, place: side}) for side in bin.sides)
            yield Setting(name, place, bin.low, bin.high, tuple(policies), ())


def alone(name: str, arguments: dict[str, Any], spans: dict[str, Span]) -> list[Any]:
    """The policy of one step, always applied, with these ranges instead of its own."""
    written: dict[str, Any] = {}
    for place, span in spans.items():
        argument, _, axis = place.partition(".")
        if axis:
            written.setdefault(argument, {})[axis] = list(span)
        else:
            written[argument] = list(span)
    return [{name: {**arguments, **written, "p": 1}}]


def _is_taken(policy: list[Any]) -> bool:
    """Whether the steps take their arguments."""
    try:
        build_transforms(policy)
    except UserError:
        return False
    return True


def _resting(name: str, arguments: dict[str, Any], spans: dict[str, Span]) -> dict[str, Span]:
    """The ranges of a step at rest; those that it takes only as they are stay so."""
    resting = {place: _at_rest(span, identity_of(name, place)) for place, span in spans.items()}
    return {
        place: span if _is_taken(alone(name, arguments, {place: span})) else spans[place]
        for place, span in resting.items()
    }


def _bins_taken(
    name: str, arguments: dict[str, Any], place: str, spans: dict[str, Span]
) -> list["Bin"]:
    """The bins of a range; one of all of it where the step takes no smaller range (as some do)."""
    bins = list(bins_of(place, spans[place], identity_of(name, place)))
    sides = chain.from_iterable(bin.sides for bin in bins)
    if all(_is_taken(alone(name, arguments, {place: side})) for side in sides):
        return bins
    return [Bin(bins[0].low, bins[-1].high, (spans[place],))]


def spans_of(name: str, arguments: dict[str, Any]) -> dict[str, Span]:
    """The ranges of a step, by argument; by argument and axis where axes have different ones.

    Those of one value are none, but for an axis beside another.
    """
    spans: dict[str, Span] = {}
    for argument, range in step_ranges(name, arguments).items():
        spans |= dict(_spans_of_argument(argument, range))
    return {place: span for place, span in spans.items() if span[0] < span[1] or "." in place}


def _spans_of_argument(argument: str, range: Range) -> Iterator[tuple[str, Span]]:
    if not isinstance(range, dict):
        yield argument, range
    elif len(set(range.values())) == 1:
        yield argument, next(iter(range.values()))
    else:
        for axis, span in range.items():
            yield f"{argument}.{axis}", span


def _at_rest(span: Span, identity: float) -> Span:
    """The value of a range that is nearest to the identity, as a range."""
    nearest = min(max(identity, span[0]), span[1])
    return nearest, nearest


class Bin(NamedTuple):
    """Magnitudes from low to high, and the ranges of the argument that have them."""

    low: float
    high: float
    sides: tuple[Span, ...]


def bins_of(place: str, span: Span, identity: float) -> Iterator[Bin]:
    """A range in BINS of equal width; of whole numbers, in BINS of about equally many, or fewer."""
    low, high = span
    if isinstance(low, int) and isinstance(high, int) and not low < identity < high:
        # a kernel has a centre
        values = [value for value in range(low, high + 1) if value % 2 or place != "blur_limit"]
        for part in np.array_split(values, min(BINS, len(values))):
            first, last = int(part[0]), int(part[-1])
            yield Bin(first, last, ((first, last),))
    elif low < identity < high:
        for near, far in _edges(0, max(identity - low, high - identity)):
            sides = (
                (max(identity - far, low), identity - near),
                (identity + near, min(identity + far, high)),
            )
            rounded = [(in_short(start), in_short(end)) for start, end in sides]
            yield Bin(near, far, tuple(side for side in rounded if side[0] < side[1]))
    else:
        for start, end in _edges(low, high):
            yield Bin(start, end, ((start, end),))


def _edges(low: float, high: float) -> Iterator[tuple[float, float]]:
    edges = [in_short(edge) for edge in np.linspace(low, high, BINS + 1).tolist()]
    return pairwise(edges)


def in_short(number: float) -> float:
    """A number to DIGITS: a fifth of a range has many more."""
    return float(f"{number:.{DIGITS}g}")
