"""Recipe: everything that decides the pixels and bytes of variants, and the hash that names it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
import pandas as pd

from tasks.dataset.selections import names_in_words
from tasks.pixels.decode import DECODING
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.variants.gates import Gate, gates_from
from tasks.variants.label_checks import check_rules
from tasks.variants.label_rules import (
    PLACE,
    Base,
    base_policies,
    effective_steps,
    rules_by_class,
)
from tasks.variants.params import AugmentParams, Encoding, LabelRule
from tasks.variants.policy import LOCATION, Policy, canonical_json, library_versions
from tasks.variants.relabelling import Maps, final_label, final_label_of_row, maps_by_class

# Raise it where a change of the code that makes variants gives other pixels for the same recipe:
# what was made before would be reused.
CODE_VERSION = 4


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
        spelled = {normalize("NFC", label): label for label in classes}
        named = rules_by_class(params.labels, spelled)
        return cls(general, by_class, maps_by_class(params.labels, named, spelled))

    def of(self, label: str) -> Recipe:
        """The recipe of a class."""
        return self.by_class.get(normalize("NFC", label), self.general)

    def maps_of(self, label: str) -> Maps:
        """How variants of sources of class `label` are relabelled; {} where they are not."""
        return self.maps.get(normalize("NFC", label), {})

    def final_label(self, label: str, operations: list[dict[str, Any]] | str) -> str:
        """The class of a variant of a source of class `label`.

        `operations`: those that were applied, or their JSON as the ledger has it.
        """
        maps = self.maps_of(label)
        if not maps:
            return label
        if isinstance(operations, str):
            return final_label_of_row(label, operations, maps)
        return final_label(label, operations, maps)

    def labelled(self, row: dict[str, Any], source_label: str) -> dict[str, Any]:
        """A variant's row of the ledger with both its labels."""
        label = self.final_label(source_label, row["operations"])
        return {**row, "label": label, "source_label": source_label}


class ClassPolicy(NamedTuple):
    """The policy of some classes, what it is called in messages, and of which; None: of the rest.

    `labels`: in Unicode's composed form. `base`: the location of the policy of which rules left
    these steps; None where they are as params.yaml has them. `changes`: what rules did, in words.
    """

    steps: list[Any]
    location: str
    labels: tuple[str, ...] | None
    base: str | None = None
    changes: tuple[str, ...] = ()


def policies(params: AugmentParams, classes: Iterable[str] = ()) -> list[ClassPolicy]:
    """The policies of single classes, then the one of all others.

    `classes`: those of the dataset, which label rules may name by patterns.
    """
    own, general = base_policies(params), Base(params.policy, LOCATION)
    labels = dict.fromkeys([*own, *(normalize("NFC", label) for label in classes)])
    numbers = rules_by_class(params.labels, labels)
    alike: dict[tuple[str, tuple[int, ...]], list[str]] = {}  # classes of one policy and rules
    for label in labels:
        key = own.get(label, general).location, numbers.get(label, ())
        alike.setdefault(key, []).append(label)
    found: dict[str, ClassPolicy] = {}  # by their steps, and where these come from
    for (location, its), members in alike.items():
        steps = own.get(members[0], general).steps
        left, changes = effective_steps(steps, _rules(its, params), location, members)
        if location == LOCATION and left == steps:
            continue
        key_of_steps = canonical_json([left, location])
        before = found[key_of_steps].labels or () if key_of_steps in found else ()
        base = None if left == steps else location
        found[key_of_steps] = ClassPolicy(left, location, (*before, *members), base, changes)
    return [*map(_located, found.values()), ClassPolicy(*general, None)]


def _rules(numbers: Iterable[int], params: AugmentParams) -> dict[int, LabelRule]:
    """The rules of augment.labels with these numbers."""
    return {number: params.labels[number] for number in numbers}


def _located(policy: ClassPolicy) -> ClassPolicy:
    """With the classes in its location, where rules made it."""
    if policy.base is None or policy.labels is None:
        return policy
    return policy._replace(location=f"{PLACE} {names_in_words(policy.labels)} policy")


def check_policies(params: AugmentParams) -> None:
    """Check the policies of all classes before any work is done.

    Raises:
        UserError: the first mistake, with its place in params.yaml.
    """
    for policy in policies(params.model_copy(update={"labels": []})):
        Policy(policy.steps, policy.location)
    check_rules(params)


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
