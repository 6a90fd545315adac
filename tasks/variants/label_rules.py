"""Label rules: what each class's policy may do, so that its variants keep their label.

`augment.labels` forbids steps, and bounds their ranges, for some classes. What is left of a policy
for a class is its effective policy, and part of its recipe. D4 and SquareSymmetry count as the flip
or the turn that they do: without VerticalFlip, D4 draws one of the seven other elements.
"""

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import translate
from itertools import chain
from re import compile as compile_pattern
from typing import Any, NamedTuple, TypeAlias
from unicodedata import normalize

from tasks.common.errors import UserError
from tasks.dataset.selections import names_in_words
from tasks.variants.params import AugmentParams, LabelRule
from tasks.variants.policy import COMPOSITES, LOCATION, parse_step, transform_class
from tasks.variants.step_ranges import (
    Bound,
    Range,
    Span,
    bound_ranges,
    range_in_words,
    step_ranges,
    written_range,
)
from tasks.variants.transforms import ELEMENTS, OF_ELEMENTS

PLACE = "params.yaml augment.labels"
Rules: TypeAlias = Mapping[int, LabelRule]  # by their numbers in augment.labels


class Effective(NamedTuple):
    """What rules leave of a policy, and what they did to it, in words with the places."""

    steps: list[Any]
    changes: tuple[str, ...]


class Base(NamedTuple):
    """A policy as params.yaml has it, and where it stands there."""

    steps: list[Any]
    location: str


def base_policies(params: AugmentParams) -> dict[str, Base]:
    """The policies of single classes, by their names in composed form."""
    return {
        normalize("NFC", label): Base(own.policy, f"params.yaml augment.per_class {label!r} policy")
        for label, own in params.per_class.items()
        if own.policy is not None
    }


# --- the classes that rules are for ---------------------------------------------------------------


def rules_by_class(rules: list[LabelRule], classes: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The numbers of the rules for each class that has some, by its name in composed form."""
    known = dict.fromkeys(normalize("NFC", label) for label in classes)
    found: dict[str, tuple[int, ...]] = {}
    for number, rule in enumerate(rules):
        named = (classes_named(name, known) for name in rule.classes)
        for label in dict.fromkeys(chain.from_iterable(named)):
            found[label] = (*found.get(label, ()), number)
    return found


def classes_named(name: str, known: Collection[str]) -> list[str]:
    """The classes of that name, or, where there is none, those that it matches as a pattern.

    `known`: all classes, by their names in composed form.
    """
    name = normalize("NFC", name)
    if name in known:
        return [name]
    return list(filter(compile_pattern(translate(name)).match, known)) if is_pattern(name) else []


def is_pattern(name: str) -> bool:
    """Whether a name of classes may be a pattern."""
    return any(sign in name for sign in "*?[")


# --- what rules leave of a policy -----------------------------------------------------------------


def effective_steps(
    steps: list[Any], rules: Rules, location: str, classes: Sequence[str] = ()
) -> Effective:
    """What rules leave of a policy: without forbidden steps, with ranges within their bounds.

    Args:
        steps: of the policy, as params.yaml has them.
        rules: those for the classes.
        location: where the policy stands in params.yaml.
        classes: whose policy it is, for messages.

    Raises:
        UserError: for a range of which a bound leaves nothing, and for what is no range.
    """
    if not rules:
        return Effective(steps, ())
    limits = _Limits(rules, classes)
    return Effective(limits.left_of(steps, location), tuple(limits.changes))


class _Limits:
    """What rules forbid and bound. What they change is noted on the way, in `changes`."""

    def __init__(self, rules: Rules, classes: Sequence[str]) -> None:
        self.forbidden = set(chain.from_iterable(rule.forbid for rule in rules.values()))
        self.bounds: dict[str, list[Bound]] = {}
        for number, rule in rules.items():
            for name, bounds in rule.bound.items():
                self.bounds.setdefault(name, []).extend(bounds_of(number, name, bounds))
        self.classes = classes
        self.changes: list[str] = []

    def left_of(self, steps: list[Any], location: str) -> list[Any]:
        """What is left of steps; those that nothing limits are the same objects."""
        left = (self._left_of_step(step, f"{location}[{i}]") for i, step in enumerate(steps))
        return [step for step in left if step is not None]

    def _left_of_step(self, step: Any, location: str) -> Any:
        name, arguments = parse_step(step, location)
        place = f"{location} {name}"
        if name in self.forbidden:
            self._note(place, "forbidden")
            return None
        if name in COMPOSITES:
            left = self._left_of_composite(name, arguments, location)
        elif name in OF_ELEMENTS:
            left = self._left_of_elements(arguments, place)
        else:
            left = self._within_bounds(name, arguments, place)
        return step if left is arguments else left and {name: left}

    def _note(self, place: str, what: str) -> None:
        self.changes.append(f"{short(place)}: {what}")

    def _left_of_composite(
        self, name: str, arguments: dict[str, Any], location: str
    ) -> dict[str, Any] | None:
        steps = arguments["transforms"]
        left = self.left_of(steps, f"{location}.transforms")
        if left == steps:
            return arguments
        if not left or (name == "OneOf" and not any(map(_weight, left))):
            self._note(f"{location} {name}", "nothing is left of it")
            return None
        chosen = arguments.get("n", 1)
        if name != "SomeOf" or chosen <= len(left):
            return {**arguments, "transforms": left}
        self._note(f"{location} {name}.n", f"{len(left)} instead of {chosen}")
        return {**arguments, "transforms": left, "n": len(left)}

    def _left_of_elements(self, arguments: dict[str, Any], place: str) -> dict[str, Any] | None:
        drawn = arguments.get("elements", list(ELEMENTS))
        left = [one for one in ELEMENTS if one in drawn and ELEMENTS[one] not in self.forbidden]
        if len(left) == len(drawn):
            return arguments
        if left in ([], ["e"]):
            self._note(place, "nothing is left of it")
            return None
        gone = ", ".join(one for one in ELEMENTS if one in drawn and one not in left)
        self._note(place, f"without {gone}")
        return {**arguments, "elements": left}

    def _within_bounds(self, name: str, arguments: dict[str, Any], place: str) -> dict[str, Any]:
        if name not in self.bounds:
            return arguments
        ranges = step_ranges(name, arguments)
        narrowed = dict(ranges)
        for bound in self.bounds[name]:
            for argument, limit in bound_ranges(name, arguments, bound).items():
                narrowed[argument] = self._common(narrowed[argument], limit, bound.place, place)
        changed = {key: each for key, each in narrowed.items() if each != ranges[key]}
        for key, each in changed.items():
            self._note(
                f"{place}.{key}", f"{range_in_words(each)} instead of {range_in_words(ranges[key])}"
            )
        written = {key: written_range(each) for key, each in changed.items()}
        return {**arguments, **written} if written else arguments

    def _common(self, its: Range, limit: Range, bound_place: str, place: str) -> Range:
        """The intersection of two ranges."""
        if isinstance(its, dict):
            limits = limit if isinstance(limit, dict) else dict.fromkeys(its, limit)
            return {
                axis: self._common_span(span, limits.get(axis, span), bound_place, place)
                for axis, span in its.items()
            }
        assert isinstance(limit, tuple)
        return self._common_span(its, limit, bound_place, place)

    def _common_span(self, its: Span, limit: Span, bound_place: str, place: str) -> Span:
        low, high = max(its[0], limit[0]), min(its[1], limit[1])
        if low > high:
            whose = f" for {names_in_words(self.classes)}" if self.classes else ""
            raise UserError(
                f"{bound_place}: leaves nothing of {range_in_words(its)} ({short(place)}){whose}; "
                f"needs a range that has part of it, found {range_in_words(limit)}"
            )
        return low, high


def bounds_of(number: int, name: str, bounds: dict[str, Any]) -> Iterator[Bound]:
    """The bounds that a rule of that number has for a step."""
    for argument, written in bounds.items():
        yield Bound(argument, written, f"{PLACE}[{number}].bound.{name}.{argument}")


def _weight(step: Any) -> float:
    """The probability of a step of params.yaml, which is its weight in a OneOf."""
    name, arguments = parse_step(step, LOCATION)
    default = inspect.signature(transform_class(name).__init__).parameters["p"].default
    return float(arguments.get("p", default))


def short(place: str) -> str:
    """A place in params.yaml without what all places in messages about rules begin with."""
    return place.removeprefix("params.yaml augment.")
