"""Variants that are made to be looked at: in worker processes, with the progress told."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from tasks.augment.expand import expand_source
from tasks.common import events
from tasks.variants.make import Encoded
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source
from tasks.workers.ordered import map_ordered


class Trial(NamedTuple):
    """A source and its variants 1..planned."""

    source: Source
    variants: list[Encoded]


def make_trials(sources: list[Source], recipes: Recipes) -> Iterator[Trial]:
    """Make the variants of each source, in order."""
    made = map_ordered(partial(_make_trial, recipes), sources, "tasks.augment.expand")
    yield from events.track(made, len(sources), "making variants", "image")


def _make_trial(recipes: Recipes, source: Source) -> Trial:
    return Trial(source, expand_source(source, recipes.of(source.label)))
