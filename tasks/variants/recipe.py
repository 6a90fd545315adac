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
from tasks.variants.params import AugmentParams, Encoding
from tasks.variants.policy import LOCATION, Policy, canonical_json, library_versions

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
    """The recipe of each class: `general`, but for the classes that have a policy of their own.

    `by_class`: by names in Unicode's composed form, as folders may have either.
    """

    general: Recipe
    by_class: dict[str, Recipe] = field(default_factory=dict)

    @classmethod
    def from_params(cls, params: AugmentParams, preprocessing: Preprocessing) -> "Recipes":
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
        by_class = {
            normalize("NFC", policy.label): replace(general, policy=canonical_json(policy.steps))
            for policy in policies(params)
            if policy.label is not None
        }
        return cls(general, by_class)

    def of(self, label: str) -> Recipe:
        """The recipe of a class."""
        return self.by_class.get(normalize("NFC", label), self.general)


class ClassPolicy(NamedTuple):
    """A policy as params.yaml has it, where it stands there, and of which class; None: the rest."""

    steps: list[Any]
    location: str
    label: str | None


def policies(params: AugmentParams) -> list[ClassPolicy]:
    """The policies of single classes, then the one of all others."""
    own = [
        ClassPolicy(own.policy, f"params.yaml augment.per_class {label!r} policy", label)
        for label, own in params.per_class.items()
        if own.policy is not None
    ]
    return [*own, ClassPolicy(params.policy, LOCATION, None)]


def check_policies(params: AugmentParams) -> None:
    """Check the policies of all classes before any work is done.

    Raises:
        UserError: the first mistake, with its place in params.yaml.
    """
    for policy in policies(params):
        Policy(policy.steps, policy.location)


def rows_of_policies(
    labels: pd.Series, params: AugmentParams
) -> Iterator[tuple[ClassPolicy, np.ndarray]]:
    """Each policy that has rows, and which: bool (rows,). `labels`: the class of each row."""
    found = policies(params)
    numbers = {normalize("NFC", str(policy.label)): i for i, policy in enumerate(found[:-1])}
    codes, classes = pd.factorize(labels)  # comparing texts once for each policy takes long
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
