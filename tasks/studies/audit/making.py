"""Make the variants of each setting, and keep their features between runs.

A variant is a function of the base seed, its source's bytes and its policy, so neither the order,
the names nor the number of sources has a part in it. What an earlier audit has made is found in the
fact cache; so one that was killed goes on, and a new step makes its own variants alone.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np

from tasks.common import events, machine
from tasks.common.fact_cache import FactCache
from tasks.common.texts import counted
from tasks.studies.audit.features import Form, extract
from tasks.studies.audit.settings import Setting
from tasks.variants.params import Encoding
from tasks.variants.policy import Policy, canonical_json
from tasks.variants.recipe import Recipe, Recipes
from tasks.variants.sources import Source, read_policy_input
from tasks.workers.ordered import map_ordered

TELLING = ("group_element", "factor")  # of an operation: what kind of it was applied
UNTOUCHED = "[]"  # the policy of an original
SOURCES_PER_TASK = 4
# Raise it where other features come of the same pixels: they are kept between runs.
FEATURES_VERSION = "1"


class Made(NamedTuple):
    """What became of a source by one policy.

    `features`: of the variant, see extract(); None where a step failed on the image, for `failure`.
    `operations`: names of those that were applied, with what tells their kinds: see Applied.
    """

    features: np.ndarray | None
    operations: list[dict[str, Any]]
    failure: str | None = None

    def to_bytes(self) -> bytes:
        """As the fact cache keeps it: a line of JSON, then the features."""
        values = b"" if self.features is None else self.features.tobytes()
        kind = None if self.features is None else self.features.dtype.str
        return canonical_json([kind, self.operations, self.failure]).encode() + b"\n" + values

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The reverse of to_bytes()."""
        head, _, values = data.partition(b"\n")
        kind, operations, failure = json.loads(head)
        features = None if kind is None else np.frombuffer(values, np.dtype(kind))
        return cls(features, operations, failure)


class Task(NamedTuple):
    """What has to be made of one source: variants by these policies, as JSON."""

    source: Source
    policies: list[str]


@dataclass(frozen=True)
class Maker:
    """How variants are made, and the keys by which what was made of them is kept."""

    recipes: Recipes
    form: Form
    hashes: dict[str, str] = field(default_factory=dict)  # of recipes, by policy: as found so far

    def key(self, source: Source, policy: str) -> bytes:
        """What decides the features of a variant, as a hash."""
        if policy not in self.hashes:
            self.hashes[policy] = _recipe_hash(self.recipes.general, policy)
        made_by = self.hashes[policy]
        own = self.recipes.of(source.label)
        read = own.build_policy()
        keeps_depth = read.takes_16_bits and own.encoding.format_for(source.format) == "png"
        content = [source.sha256, made_by, read.takes_grey, keeps_depth, self.form]
        return hashlib.sha256(canonical_json(content).encode()).digest()

    def make(self, task: Task) -> list[Made]:
        """The variants of a source, which is decoded once."""
        pixels = read_policy_input(task.source, self.recipes.of(task.source.label))
        return [self._draw(pixels, task.source, policy) for policy in task.policies]

    def _draw(self, pixels: np.ndarray, source: Source, policy: str) -> Made:
        seed = seed_of(self.recipes, source, policy)
        try:
            applied = _build(policy, self.recipes.general.fuse).apply(pixels, seed)
            features = extract(applied.pixels, self.form)
        except MemoryError:
            raise
        except Exception as error:  # a step meets an image that it was not made for
            return Made(None, [], f"{type(error).__name__}: {' '.join(str(error).split())}")
        return Made(features, [_in_short(operation) for operation in applied.operations])


def make_all(maker: Maker, wanted: Iterable[Task]) -> dict[bytes, bytes]:
    """What became of each source by each policy, by Maker.key(); see Made.from_bytes().

    `wanted`: all that is needed; what the cache has is not made again.
    """
    with FactCache("audit", FEATURES_VERSION) as cache:
        kept: dict[bytes, bytes] = {}
        missing: list[Task] = []
        for task in wanted:
            keys = {maker.key(task.source, policy): policy for policy in task.policies}
            found = cache.get(keys)
            kept |= found
            left = [policy for key, policy in keys.items() if key not in found]
            if left:
                missing.append(task._replace(policies=left))
        if missing:
            _say_how_long(maker, missing)
        for tasks, made in _made(maker, missing):
            new = dict(chain.from_iterable(map(partial(_keyed, maker), tasks, made)))
            cache.put(new.items())
            kept |= new
    return kept


def _say_how_long(maker: Maker, tasks: list[Task]) -> None:
    """Tell the time before, by the second of two sources: the first builds the policies too."""
    maker.make(tasks[0])
    started = time.monotonic()
    maker.make(tasks[-1])
    seconds = (time.monotonic() - started) / len(tasks[-1].policies)
    count = sum(len(task.policies) for task in tasks)
    left = seconds * count / machine.worker_count()
    events.say(f"making {counted(count, 'variant')}, about {left:,.0f} s")


def _keyed(maker: Maker, task: Task, made: list[Made]) -> Iterator[tuple[bytes, bytes]]:
    """What was made of a source, as the cache keeps it."""
    for policy, one in zip(task.policies, made, strict=True):
        yield maker.key(task.source, policy), one.to_bytes()


def _made(maker: Maker, tasks: list[Task]) -> Iterator[tuple[list[Task], list[list[Made]]]]:
    """Some sources at once, and what was made of them by worker processes, in order."""
    starts = range(0, len(tasks), SOURCES_PER_TASK)
    batches = [tasks[start : start + SOURCES_PER_TASK] for start in starts]
    made = map_ordered(partial(_make_batch, maker), batches, preload=__name__)
    total = sum(len(task.policies) for task in tasks)
    yield from events.track(zip(batches, made, strict=True), total, "making", "variant", _variants)


def _make_batch(maker: Maker, tasks: list[Task]) -> list[list[Made]]:
    return [maker.make(task) for task in tasks]


def _variants(batch: tuple[list[Task], list[list[Made]]]) -> int:
    return sum(map(len, batch[1]))


def policy_of(setting: Setting, source: Source) -> int:
    """Which of the setting's policies makes the variant of a source: its bytes decide."""
    return int(source.sha256, 16) % len(setting.policies)


def seed_of(recipes: Recipes, source: Source, policy: str) -> int:
    """The seed of a variant; see tasks.variants.make.variant_seed(), which has an index instead."""
    content = f"audit {recipes.general.seed} {source.sha256} {policy}"
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big")


def _in_short(operation: dict[str, Any]) -> dict[str, Any]:
    """Of an operation what relabelling asks for."""
    return {key: operation[key] for key in ("name", *TELLING) if key in operation}


@lru_cache(maxsize=4096)  # each worker gets all policies of a source in turn
def _build(policy: str, fuse: bool) -> Policy:
    return Policy(json.loads(policy), fuse=fuse)


def _recipe_hash(recipe: Recipe, policy: str) -> str:
    """The hash of what makes the variants of a policy: nothing is drawn again."""
    alone = replace(recipe, policy=policy, encoding=Encoding())
    return replace(alone, distinct=False, max_attempts=1, gates=()).hash
