"""How many variants of each class are expected, where `augment.labels` relabels them.

The chances of one draw are exact. Under `distinct` a draw that equals the source or an earlier
variant is drawn again: it is followed which flips and quarter turns were drawn alone, and an image
that any other step was applied to counts as new. What gates draw again is not followed.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from tasks.variants.fused.walk import Walk
from tasks.variants.recipe import Recipe, Recipes
from tasks.variants.relabelling import MOVES, TURN, Maps, Moves, moved
from tasks.variants.transforms import OF_ELEMENTS

Turned: TypeAlias = str  # where the corners of the source are now, row by row
Numbers: TypeAlias = dict[str, float]  # by class
Seen: TypeAlias = dict[frozenset[Turned], float]  # probabilities of what was seen before
UNTURNED: Turned = "0123"
TURNED: dict[str, Turned] = {
    "NoOp": UNTURNED,
    "HorizontalFlip": "1032",
    "VerticalFlip": "2301",
    "Transpose": "0213",
    TURN: "1302",
}
SMALLEST = 1e-9  # probability: what changes by less from variant to variant is taken to stay


class Drawn(NamedTuple):
    """What a draw may come to: the class that it shows, and how the source is turned.

    `turned`: None where a step did more than that.
    """

    label: str
    turned: Turned | None = UNTURNED


class Draws(Walk[Drawn]):
    """Follows what the draws of a policy come to; `maps`: of the class of the source."""

    def __init__(self, maps: Maps) -> None:
        self.maps = maps

    def after_transform(self, transform: Any, reached: dict[Drawn, float]) -> dict[Drawn, float]:
        """What a transform that is applied comes to."""
        choices = _choices(transform)
        parts: list[tuple[float, dict[Drawn, float]]] = []
        for (label, turned), p in reached.items():
            after = [
                Drawn(moved(label, moves, self.maps), _turn(turned, moves)) for moves in choices
            ]
            parts += [(p / len(choices), {drawn: 1.0}) for drawn in after]
        return self.mixed(parts)


def _choices(transform: Any) -> list[Moves]:
    """What a transform that is applied may count as, all equally likely."""
    name = type(transform).__name__
    if name in OF_ELEMENTS:
        return [MOVES[one] for one in transform.elements]
    return [(name,) * times for times in range(4)] if name == TURN else [(name,)]


def _turn(turned: Turned | None, moves: Moves) -> Turned | None:
    for step in moves:
        if turned is None or step not in TURNED:
            return None
        turned = "".join(turned[int(corner)] for corner in TURNED[step])
    return turned


def label_chances(label: str, transforms: list[Any], maps: Maps) -> Numbers:
    """The classes that one draw of a policy makes of a source, with their exact probabilities.

    Args:
        label: of the source.
        transforms: of the policy, see build_transforms().
        maps: of the source's class.
    """
    chances: Numbers = {}
    for drawn, p in Draws(maps).after_policy(transforms, Drawn(label)).items():
        chances[drawn.label] = chances.get(drawn.label, 0.0) + p
    return chances


def expected_of_source(label: str, maps: Maps, recipe: Recipe, planned: list[int]) -> list[Numbers]:
    """How many variants of a source show each class.

    Args:
        label: of the source.
        maps: of its class.
        recipe: of its class.
        planned: numbers of variants, ascending: one result for each.
    """
    draws = Draws(maps).after_policy(recipe.build_policy().transforms, Drawn(label))
    seen = {frozenset([UNTURNED] if recipe.distinct else []): 1.0}  # the likely sets of those seen
    labels = list(dict.fromkeys(drawn.label for drawn in draws))
    total, gained, steady = np.zeros(len(labels)), np.zeros(len(labels)), False
    results, made = [], 0
    for number in planned:
        while made < number and not steady:
            before = seen
            seen, gains = _after_variant(seen, draws, recipe)
            gained = np.array([gains.get(each, 0.0) for each in labels])
            total, made = total + gained, made + 1
            steady = all(abs(p - before.get(each, 0.0)) < SMALLEST for each, p in seen.items())
        total, made = total + gained * (number - made), number
        results.append(dict(zip(labels, total.tolist(), strict=True)))
    return results


def _after_variant(seen: Seen, draws: dict[Drawn, float], recipe: Recipe) -> tuple[Seen, Numbers]:
    """What may have been seen after one more variant, and the chances that it shows each class."""
    after: Seen = {}
    gains: Numbers = {}
    for those, p in seen.items():
        again = sum(share for drawn, share in draws.items() if drawn.turned in those)
        rejected = 1.0 if again > 1 - SMALLEST else again**recipe.max_attempts
        after[those] = after.get(those, 0.0) + p * rejected
        for drawn, share in draws.items() if rejected < 1 else ():
            if drawn.turned in those:
                continue
            chance = p * (1 - rejected) * share / (1 - again)
            gains[drawn.label] = gains.get(drawn.label, 0.0) + chance
            more = those | {drawn.turned} if recipe.distinct and drawn.turned else those
            after[more] = after.get(more, 0.0) + chance
    return after, gains


def expected_by_source(
    labels: pd.Series, counts: pd.Series, recipes: Recipes
) -> dict[str, Numbers]:
    """Of the sources of each class, how many variants are expected to show each class.

    Args:
        labels: of each source.
        counts: variants planned of each.
        recipes: what makes them.
    """
    sizes = counts.groupby([labels.rename("label"), counts.rename("planned")]).size()
    alike: dict[str, dict[int, int]] = {}  # by class: how many sources have the same number
    for (label, number), sources in sizes.items():
        alike.setdefault(str(label), {})[int(number)] = int(sources)
    expected: dict[str, Numbers] = {}
    for label, its in alike.items():
        maps = recipes.maps_of(label)
        if maps:
            each = expected_of_source(label, maps, recipes.of(label), list(its))
        else:
            each = [{label: float(number)} for number in its]
        expected[label] = _total(each, list(its.values()))
    return expected


def _total(numbers: list[Numbers], times: list[int]) -> Numbers:
    """The sum of several, each so many times."""
    total: Numbers = {}
    for each, factor in zip(numbers, times, strict=True):
        for label, number in each.items():
            total[label] = total.get(label, 0.0) + number * factor
    return total


def expected_labels(labels: pd.Series, counts: pd.Series, recipes: Recipes) -> Numbers:
    """How many variants are expected to show each class; see expected_by_source()."""
    by_source = list(expected_by_source(labels, counts, recipes).values())
    return _total(by_source, [1] * len(by_source))
