"""Checks of label rules: of their own, and against the classes of a dataset and their policies."""

from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any
from unicodedata import normalize

from tasks.common.errors import UserError
from tasks.dataset.selections import class_named, classes_in_words, names_in_words
from tasks.variants.label_rules import (
    PLACE,
    Base,
    base_policies,
    bounds_of,
    classes_named,
    is_pattern,
    rules_by_class,
    short,
)
from tasks.variants.params import AugmentParams, LabelRule
from tasks.variants.policy import COMPOSITES, LOCATION, require_name, steps_within
from tasks.variants.step_ranges import bound_ranges
from tasks.variants.transforms import ELEMENTS, OF_ELEMENTS


def check_rules(params: AugmentParams) -> None:
    """Check what can be checked of label rules before there is a dataset.

    Raises:
        UserError: the first mistake, with its place in params.yaml.
    """
    bases = [*base_policies(params).values(), Base(params.policy, LOCATION)]
    for number, rule in enumerate(params.labels):
        place = f"{PLACE}[{number}]"
        for name in rule.forbid:
            require_name(name, f"{place}.forbid {name}")
        for name in rule.bound:
            _require_transform(name, f"{place}.bound.{name}")
        for name in rule.relabel:
            _require_transform(name, f"{place}.relabel.{name}")
            if name in OF_ELEMENTS:
                raise UserError(
                    f"{place}.relabel.{name}: counts as the flip or the turn that it does; name "
                    f"{', '.join(_steps_of_elements(ELEMENTS))}"
                )
        for base in bases:
            _check_bounds(number, rule, base)


def _require_transform(name: str, place: str) -> None:
    require_name(name, place)
    if name in COMPOSITES:
        raise UserError(f"{place}: needs a transform, found a composite of several")


def _check_bounds(number: int, rule: LabelRule, base: Base) -> None:
    for name, arguments in steps_within(base.steps):
        for bound in bounds_of(number, name, rule.bound.get(name, {})):
            bound_ranges(name, arguments, bound)


def check_label_rules(params: AugmentParams, classes: Collection[str]) -> None:
    """Check label rules against the classes of the dataset and their policies.

    Raises:
        UserError: the first mistake, with its place in params.yaml.
    """
    known = dict.fromkeys(normalize("NFC", label) for label in classes)
    own = base_policies(params)
    general = Base(params.policy, LOCATION)
    for number, rule in enumerate(params.labels):
        named = [_named(name, known, f"{PLACE}[{number}].classes") for name in rule.classes]
        labels = list(dict.fromkeys(chain.from_iterable(named)))
        bases = [own[label] for label in labels if label in own]
        if len(bases) < len(labels):
            bases.append(general)
        _require_steps(number, rule, labels, bases)
        for name, classes_map in rule.relabel.items():
            for label in (*classes_map, *classes_map.values()):
                class_named(label, known, f"{PLACE}[{number}].relabel.{name}", "the dataset")
    for label, numbers in _first_with_each(rules_by_class(params.labels, known)).items():
        _require_one_target(params.labels, numbers, label)


def _named(name: str, known: Collection[str], place: str) -> list[str]:
    """The classes that a rule names. Raises UserError where there is none."""
    found = classes_named(name, known)
    if not found and is_pattern(name):
        all_classes = classes_in_words(known)
        raise UserError(f"{place} {name!r}: matches no class; classes: {all_classes}")
    return found or [class_named(name, known, place, "the dataset")]


def _require_steps(number: int, rule: LabelRule, labels: list[str], policies: list[Base]) -> None:
    """Raises UserError for a step that is in the policy of none of a rule's classes."""
    steps = list(chain.from_iterable(steps_within(base.steps) for base in policies))
    names = dict.fromkeys(name for name, _ in steps)
    done = set(chain.from_iterable(steps_done(base.steps) for base in policies))
    for key, wanted, known in (
        ("forbid ", rule.forbid, done),
        ("bound.", rule.bound, names),
        ("relabel.", rule.relabel, done),
    ):
        for name in wanted:
            if name not in known:
                raise UserError(
                    f"{PLACE}[{number}].{key}{name}: is no step of the policy of "
                    f"{names_in_words(labels)}; its steps: {', '.join(names) or 'none'}"
                )


def steps_done(steps: list[Any]) -> set[str]:
    """The names of steps, of those in composites, and of those that do what D4 does."""
    found = list(steps_within(steps))
    drawn = (its.get("elements", ELEMENTS) for name, its in found if name in OF_ELEMENTS)
    names = {name for name, _ in found}
    return {*names, *_steps_of_elements(chain.from_iterable(drawn))}


def _steps_of_elements(elements: Iterable[str]) -> list[str]:
    """The steps that do what D4 does."""
    return list(filter(None, dict.fromkeys(map(ELEMENTS.__getitem__, elements))))


def _first_with_each(by_class: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """For each combination of rules that classes have, the first such class."""
    first: dict[tuple[int, ...], str] = {}
    for label, numbers in by_class.items():
        first.setdefault(numbers, label)
    return {label: numbers for numbers, label in first.items()}


def _require_one_target(rules: list[LabelRule], numbers: Iterable[int], label: str) -> None:
    """Raises UserError where two rules for a class make different things of one class."""
    targets: dict[tuple[str, str], tuple[str, int]] = {}
    for number in numbers:
        for step, classes_map in rules[number].relabel.items():
            for old, new in classes_map.items():
                known, where = targets.setdefault((step, old), (new, number))
                if normalize("NFC", known) != normalize("NFC", new):
                    raise UserError(
                        f"{PLACE}[{number}].relabel.{step}.{old}: needs one target for "
                        f"{label!r}, found {new!r}, and {known!r} in {short(PLACE)}[{where}]"
                    )
