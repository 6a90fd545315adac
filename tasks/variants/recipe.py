"""Recipe: everything that decides the pixels and bytes of variants, and the hash that names it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
import pandas as pd

from tasks.pixels.decode import DECODING
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.variants.gates import Gate, gates_from
from tasks.variants.label_rules import effective_steps, names_class
from tasks.variants.params import AugmentParams, Encoding, LabelRule
from tasks.variants.policy import LOCATION, Policy, canonical_json, library_versions
from tasks.variants.relabelling import Maps, final_label, maps_of

# Raise it where a change of the code that makes variants gives other pixels for the same recipe:
# what was made before would be reused.
CODE_VERSION = 4
CLASSES_SHOWN = 5  # in messages


@dataclass(frozen=True)
class Recipe:
    """What makes variants. Two recipes with one hash make the same variants of the same source."""

    seed: int
    policy: str  # as JSON
    encoding: Encoding
    distinct: bool
    max_attempts: int
    preprocessing: Preprocessing = AS_DECODED
    fuse: bool = True
    gates: tuple[Gate, ...] = ()  # those that decide which attempt is kept, in order

    @cached_property
    def hash(self) -> str:
        """The first 16 hex digits of the SHA-256 of everything that decides pixels and bytes."""
        content = {
            "seed": self.seed,
            "policy": json.loads(self.policy),
            "fuse": self.fuse,
            "decoding": DECODING,
            "preprocessing": self.preprocessing.to_json(),
            "encoding": self.encoding.model_dump(),
            "making": CODE_VERSION,
            "distinct": self.distinct,
            "max_attempts": self.max_attempts,
            "gates": [gate._asdict() for gate in self.gates],
            "libraries": library_versions(),
        }
        return sha256(canonical_json(content).encode())[:16]

    def build_policy(self) -> Policy:
        """The policy, ready to be applied; built once in each process."""
        return _build_policy(self.policy, self.fuse)


@lru_cache(maxsize=64)
def _build_policy(text: str, fuse: bool) -> Policy:
    return Policy(json.loads(text), fuse=fuse)


@dataclass(frozen=True)
class Recipes:
    """The recipe of each class: `general`, but for the classes whose policy is another.

    `by_class`, `maps`: by names in Unicode's composed form, as folders may have either. `maps`: how
    variants are relabelled, of the classes where they are; no part of a recipe.
    """

    general: Recipe
    by_class: dict[str, Recipe] = field(default_factory=dict)
    maps: dict[str, Maps] = field(default_factory=dict)

    @classmethod
    def from_params(
        cls, params: AugmentParams, preprocessing: Preprocessing, classes: Iterable[str] = ()
    ) -> "Recipes":
        """The recipes of these parameters; `classes`: all of the dataset."""
        general = Recipe(
            seed=params.seed,
            policy=canonical_json(params.policy),
            encoding=params.encoding,
            distinct=params.distinct,
            max_attempts=params.max_attempts,
            preprocessing=preprocessing,
            fuse=params.fuse,
            gates=gates_from(params.gates, "reject", "redraw"),
        )
        by_class: dict[str, Recipe] = {}
        for policy in policies(params, classes):
            own = replace(general, policy=canonical_json(policy.steps))
            by_class |= dict.fromkeys(policy.labels or (), own)
        maps = {normalize("NFC", label): maps_of(rules_of(label, params)) for label in classes}
        return cls(general, by_class, {label: its for label, its in maps.items() if its})

    def of(self, label: str) -> Recipe:
        """The recipe of a class."""
        return self.by_class.get(normalize("NFC", label), self.general)

    def final_label(self, label: str, operations: list[dict[str, Any]]) -> str:
        """The class of a variant of a source of class `label`; see relabelling.final_label()."""
        maps = self.maps.get(normalize("NFC", label))
        return final_label(label, operations, maps) if maps else label


class ClassPolicy(NamedTuple):
    """The policy of some classes, what it is called in messages, and of which; None: of the rest.

    `labels`: in Unicode's composed form. `base`: the location of the policy of which rules left
    these steps; None where they are as params.yaml has them.
    """

    steps: list[Any]
    location: str
    labels: tuple[str, ...] | None
    base: str | None = None


def policies(params: AugmentParams, classes: Iterable[str] = ()) -> list[ClassPolicy]:
    """The policies of single classes, then the one of all others.

    `classes`: those of the dataset, which label rules may name by patterns.
    """
    own = {
        normalize("NFC", label): (each.policy, f"params.yaml augment.per_class {label!r} policy")
        for label, each in params.per_class.items()
        if each.policy is not None
    }
    found: dict[str, ClassPolicy] = {}  # by their steps, and where these come from
    for label in dict.fromkeys([*own, *(normalize("NFC", name) for name in classes)]):
        steps, location = own.get(label, (params.policy, LOCATION))
        rules = rules_of(label, params)
        left = effective_steps(steps, rules, location) if rules else steps
        if steps is params.policy and left == steps:
            continue
        base = None if left == steps else location
        key = canonical_json([left, location])
        labels = (*(found[key].labels or () if key in found else ()), label)
        found[key] = ClassPolicy(left, location, labels, base)
    return [*map(_located, found.values()), ClassPolicy(params.policy, LOCATION, None)]


def rules_of(label: str, params: AugmentParams) -> list[LabelRule]:
    """The label rules for a class."""
    return [rule for rule in params.labels if names_class(rule, label)]


def _located(policy: ClassPolicy) -> ClassPolicy:
    """With the classes in its location, where rules made it."""
    if policy.base is None or policy.labels is None:
        return policy
    shown = ", ".join(map(repr, policy.labels[:CLASSES_SHOWN]))
    more = len(policy.labels) - CLASSES_SHOWN
    names = f"{shown} and {more:,} more" if more > 0 else shown
    return policy._replace(location=f"{policy.base} as augment.labels leaves it for {names}")


def check_policies(params: AugmentParams) -> None:
    """Check the policies of all classes before any work is done.

    Raises:
        UserError: the first mistake, with its place in params.yaml.
    """
    for policy in policies(params.model_copy(update={"labels": []})):
        Policy(policy.steps, policy.location)


def rows_of_policies(
    labels: pd.Series, params: AugmentParams
) -> Iterator[tuple[ClassPolicy, np.ndarray]]:
    """Each policy that has rows, and which: bool (rows,). `labels`: the class of each row."""
    codes, classes = pd.factorize(labels)  # comparing texts once for each policy takes long
    found = policies(params, classes)
    numbers: dict[str, int] = {}
    for i, policy in enumerate(found):
        numbers |= dict.fromkeys(policy.labels or (), i)
    of_class = [numbers.get(normalize("NFC", label), len(found) - 1) for label in classes]
    of_row = np.array(of_class, np.int64)[codes]
    for i, policy in enumerate(found):
        its = of_row == i
        if its.any():
            yield policy, its


def overall_hash(recipe_hashes: Iterable[str]) -> str:
    """What names a dataset's recipes: the hash of its only one, or a hash over those of several."""
    distinct = sorted(set(recipe_hashes))
    return distinct[0] if len(distinct) == 1 else sha256(" ".join(distinct).encode())[:16]
