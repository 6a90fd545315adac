"""Rules about relabelling: what it does to targets, and classes that it leaves out by mistake."""

import json
from itertools import chain
from typing import NamedTuple
from unicodedata import normalize

from tasks.capacity.labels import expected_by_source
from tasks.common.yaml_names import quoted
from tasks.dataset.selections import names_in_words
from tasks.lint.count_rules import Planned
from tasks.lint.findings import Finding
from tasks.variants.label_checks import steps_done
from tasks.variants.label_rules import PLACE as RULES
from tasks.variants.params import AugmentParams, LabelRule
from tasks.variants.recipe import Recipes

PLACE = "params.yaml augment"
LEAST_MOVED = 0.5  # variants: fewer are none
SHOWN = 2  # moves in a finding
MOST_PASTED = 10  # classes in a rule to paste


class Move(NamedTuple):
    """How many of the variants `planned` of one class are expected to show another."""

    before: str
    after: str
    expected: float
    planned: int

    @property
    def text(self) -> str:
        """In words."""
        number = f"about {self.expected:,.0f} of the {self.planned:,} variants"
        return f"{number} of class {self.before!r} become {self.after!r}"


def relabelled_targets(params: AugmentParams, recipes: Recipes, planned: Planned) -> list[Finding]:
    """Targets of classes, where variants of their images show others, or those of others show them.

    Args:
        params: the augment block.
        recipes: of these parameters.
        planned: all training sources.
    """
    moves = _moves(recipes, planned)
    classes = {*(move.before for move in moves), *(move.after for move in moves)}
    places = {label: _target_of(label, params) for label in classes}
    concerned = [move for move in moves if places[move.before] or places[move.after]]
    if not concerned:
        return []
    place = places[concerned[0].before] or places[concerned[0].after]
    texts = [move.text for move in concerned[:SHOWN]]
    if len(concerned) > SHOWN:
        texts.append(f"and {len(concerned) - SHOWN:,} more such moves")
    why = (
        "counts variants by the class of their source, and augment.labels relabels them: "
        f"{', '.join(texts)}"
    )
    return [Finding("relabelled_targets", place, why, _instead(concerned, recipes))]


def _moves(recipes: Recipes, planned: Planned) -> list[Move]:
    """The moves from each class to others, the largest first."""
    if not recipes.maps:
        return []
    labels, counts = planned.rows["label"], planned.counts
    totals = counts.groupby(labels).sum()
    found = []
    for label, numbers in expected_by_source(labels, counts, recipes).items():
        for after, number in numbers.items():
            if after != label and number >= LEAST_MOVED:
                found.append(Move(label, after, number, int(totals[label])))
    return sorted(found, key=lambda move: -move.expected)


def _target_of(label: str, params: AugmentParams) -> str:
    """Where params.yaml gives a class its target; "" where it has none."""
    composed = normalize("NFC", label)
    for name, own in params.per_class.items():
        if normalize("NFC", name) == composed and own.has_number:
            target = own.target_per_class
            return "" if target is None else f"{PLACE}.per_class {name!r} target_per_class"
    return "" if params.target_per_class is None else f"{PLACE}.target_per_class"


def _instead(moves: list[Move], recipes: Recipes) -> str:
    """The rule that keeps numbers as they are asked for, ready to paste."""
    classes = sorted({move.before for move in moves})
    steps = sorted(set(chain.from_iterable(_steps(label, recipes) for label in classes)))
    forbid = f"forbid: [{', '.join(steps)}]"
    if len(classes) <= MOST_PASTED:
        forbid = f"{{classes: [{', '.join(map(quoted, classes))}], {forbid}}}"
    return f"`{forbid}` in augment.labels, in place of relabel, keeps each class at its target"


def _steps(label: str, recipes: Recipes) -> list[str]:
    """The steps that make another class of images of a class."""
    return [step for step, pairs in recipes.maps_of(label).items() if label in pairs]


def partly_relabelled(params: AugmentParams, recipes: Recipes, planned: Planned) -> list[Finding]:
    """Maps that say what becomes of a class, in rules that are not for its own images.

    Args:
        params: the augment block.
        recipes: of these parameters.
        planned: all training sources.
    """
    given = {normalize("NFC", label): label for label in planned.given()["label"].unique()}
    found = []
    for number, rule in enumerate(params.labels):
        for step, pairs in rule.relabel.items():
            moved = (normalize("NFC", old) for old, new in pairs.items() if old != new)
            labels = [given[old] for old in moved if old in given]
            kept = [label for label in labels if _keeps_label(label, step, recipes)]
            if kept:
                found.append(_partly_relabelled(rule, f"{RULES}[{number}].relabel.{step}", kept))
    return found


def _keeps_label(label: str, step: str, recipes: Recipes) -> bool:
    """Whether images of a class get a step, and no rule for the class says what becomes of them."""
    mapped = recipes.maps_of(label).get(step, {})
    return label not in mapped and step in steps_done(json.loads(recipes.of(label).policy))


def _partly_relabelled(rule: LabelRule, place: str, kept: list[str]) -> Finding:
    names = names_in_words(kept)
    why = f"says what becomes of {names}, and variants of their own images keep the label"
    classes = [*rule.classes, *kept]
    more = f"`classes: [{', '.join(map(quoted, classes))}]`"
    if len(classes) > MOST_PASTED:
        more = f"{names} in the rule's classes"
    return Finding("partly_relabelled", place, why, f"{more} relabels them too")
