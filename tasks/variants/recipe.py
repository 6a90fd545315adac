"""Recipe: everything that decides the pixels and bytes of variants, and the hash that names it."""

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache

from tasks.pixels.decode import DECODING
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.variants.params import AugmentParams, Encoding
from tasks.variants.policy import Policy, canonical_json, library_versions

# Raise it where a change of the code that makes variants gives other pixels for the same recipe:
# what was made before would be reused.
CODE_VERSION = 2


@dataclass(frozen=True)
class Recipe:
    """What makes variants. Two recipes with one hash make the same variants of the same source."""

    seed: int
    policy: str  # as JSON
    encoding: Encoding
    distinct: bool
    max_attempts: int
    preprocessing: Preprocessing = AS_DECODED

    @classmethod
    def from_params(cls, params: AugmentParams, preprocessing: Preprocessing) -> "Recipe":
        return cls(
            seed=params.seed,
            policy=canonical_json(params.policy),
            encoding=params.encoding,
            distinct=params.distinct,
            max_attempts=params.max_attempts,
            preprocessing=preprocessing,
        )

    @cached_property
    def hash(self) -> str:
        """The first 16 hex digits of the SHA-256 of everything that decides pixels and bytes."""
        content = {
            "seed": self.seed,
            "policy": json.loads(self.policy),
            "decoding": DECODING,
            "preprocessing": self.preprocessing.to_json(),
            "encoding": self.encoding.model_dump(),
            "making": CODE_VERSION,
            "distinct": self.distinct,
            "max_attempts": self.max_attempts,
            "libraries": library_versions(),
        }
        return sha256(canonical_json(content).encode())[:16]

    def build_policy(self) -> Policy:
        """The policy, ready to be applied; built once in each process."""
        return _build_policy(self.policy)


@lru_cache(maxsize=1)
def _build_policy(text: str) -> Policy:
    return Policy(json.loads(text))
