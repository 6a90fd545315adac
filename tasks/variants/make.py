"""Making variants: content decides, order never.

A variant is a function of the recipe, its source's bytes, its index and its attempt. The worker, the order, the file
name and the other images have no part in it, so any number of workers, a resumed run and a cold run make equal bytes.
"""

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from tasks.common.errors import UserError
from tasks.dataset import image_bytes
from tasks.pixels import hashing
from tasks.pixels.convert import to_rgb
from tasks.pixels.decode import DECODING, decode
from tasks.pixels.encode import EXTENSIONS, encode
from tasks.pixels.hashing import fast_pixel_hash
from tasks.variants.params import AugmentParams, Encoding
from tasks.variants.policy import Policy, canonical_json, library_versions

MAKING = 1  # raise it where a change of this code makes other pixels of a recipe: what was made before is reused

cv2.setNumThreads(0)  # one process per core is what runs in parallel here


@dataclass(frozen=True)
class Recipe:
    """What makes variants. Two recipes with one hash make the same variants of the same source."""

    seed: int
    policy: str  # as JSON
    encoding: Encoding
    distinct: bool
    max_attempts: int

    @classmethod
    def from_params(cls, params: AugmentParams) -> "Recipe":
        return cls(
            params.seed,
            canonical_json(params.policy),
            params.encoding,
            params.distinct,
            params.max_attempts,
        )

    @cached_property
    def hash(self) -> str:
        """The first 16 hex digits of the SHA-256 of everything that decides pixels and bytes."""
        content = {
            "seed": self.seed,
            "policy": json.loads(self.policy),
            "decoding": DECODING,
            "encoding": self.encoding.model_dump(),
            "making": MAKING,
            "distinct": self.distinct,
            "max_attempts": self.max_attempts,
            "libraries": library_versions(),
        }
        return hashing.sha256(canonical_json(content).encode())[:16]


class Source(NamedTuple):
    """A training image: a row of the validated manifest, and how many variants are planned of it."""

    path: str  # of its file, or of the container that holds it
    offset: float | None  # in the container; null for a file of its own
    length: int
    source_id: str
    sha256: str
    label: str
    format: str
    width: int
    height: int
    channels: int
    bits: int
    planned: int


@dataclass(frozen=True)
class Made:
    """Where a variant that was made before lies, and its ledger row."""

    path: Path
    row: Mapping[str, Any]


@dataclass
class Variant:
    """One planned variant: the part of its ledger row that its making decides, and its encoded bytes.

    `data` is None where it was rejected; `member` is its name in a segment; `reused` says that it was not made anew.
    """

    row: dict[str, Any]
    data: bytes | None
    member: str
    reused: bool = False


def variant_id(source_id: str, index: int) -> str:
    """`<source_id>-v<index>`, the index with three digits or more."""
    return f"{source_id}-v{index:03d}"


def variant_seed(base_seed: int, sha256: str, index: int, attempt: int) -> int:
    """The seed of one attempt at one variant, 64 bits of a SHA-256."""
    digest = hashlib.sha256(f"variant {base_seed} {sha256} {index} {attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def member_name(source: Source, recipe: Recipe, index: int) -> str:
    """`<variant_id>.<extension>`: what a variant is called in its segment."""
    extension = EXTENSIONS[recipe.encoding.format_for(source.format)]
    return f"{variant_id(source.source_id, index)}.{extension}"


def expand(source: Source, recipe: Recipe, made: Mapping[tuple[str, int], Made]) -> list[Variant]:
    """Variants 1..planned of one source: reused where their bytes were made before and are sound, else made."""
    pixels: np.ndarray | None = None
    seen: set[int] = set()
    variants = []
    for index in range(1, source.planned + 1):
        variant = _reuse(made.get((source.source_id, index)), source, recipe, index)
        if variant is None:
            if pixels is None:
                pixels = pixels_to_vary(source, recipe)
                if recipe.distinct:
                    seen.add(fast_pixel_hash(pixels))
            variant = make(source, pixels, recipe, index, seen)
        seen.add(variant.row["pixel_hash"])
        variants.append(variant)
    return variants


@dataclass(frozen=True)
class Drawn:
    """What the attempts at one variant came to; `pixels` is None where it is rejected, for `reason`."""

    seed: int
    attempt: int
    pixels: np.ndarray | None
    operations: list[dict[str, Any]]
    digest: int  # of the pixels; 0 where nobody asks for it
    reason: str | None


def draw(
    source: Source, pixels: np.ndarray, recipe: Recipe, index: int, seen: Container[int]
) -> Drawn:
    """Variant `index` before it is encoded. Under `distinct`, pixels whose hash is among `seen` are drawn again, up to
    max_attempts.
    """
    policy = _policy(recipe.policy)
    for attempt in range(recipe.max_attempts):
        seed = variant_seed(recipe.seed, source.sha256, index, attempt)
        try:
            new, operations = policy.apply(pixels, seed)
        except Exception as error:  # a transform meets an image that it was not made for
            return Drawn(seed, attempt, None, [], 0, _failure(error))
        digest = fast_pixel_hash(new) if recipe.distinct else 0
        if not (recipe.distinct and digest in seen):
            return Drawn(seed, attempt, new, operations, digest, None)
    return Drawn(seed, attempt, None, [], 0, "not_distinct")


def make(
    source: Source, pixels: np.ndarray, recipe: Recipe, index: int, seen: Container[int]
) -> Variant:
    """Variant `index`, encoded; rejected, with its reason, where policy or encoder fail or nothing new was drawn."""
    drawn = draw(source, pixels, recipe, index, seen)
    data, reason = None, drawn.reason
    if drawn.pixels is not None:
        encoding = recipe.encoding
        try:
            data = encode(
                drawn.pixels,
                encoding.format_for(source.format),
                encoding.quality,
                encoding.lossless,
            )
        except Exception as error:  # too large for the format, say
            reason = _failure(error)
    row: dict[str, Any] = {
        "variant_id": variant_id(source.source_id, index),
        "source_id": source.source_id,
        "variant_index": index,
        "seed": drawn.seed,
        "attempt": drawn.attempt,
        "operations": "[]",
        "pixel_hash": drawn.digest,
        "status": "rejected",
        "reason": reason,
    }
    if drawn.pixels is not None and data is not None:
        row |= {
            "operations": canonical_json(drawn.operations),
            "sha256": hashing.sha256(data),
            "width": drawn.pixels.shape[1],
            "height": drawn.pixels.shape[0],
            "channels": 1 if drawn.pixels.ndim == 2 else 3,
            "bits": drawn.pixels.dtype.itemsize * 8,
            "length": len(data),
            "status": "written",
        }
    return Variant(row, data, member_name(source, recipe, index))


def _failure(error: Exception) -> str:
    """What a rejected variant's row says. A lack of memory says nothing of the image, and is not to be remembered."""
    if isinstance(error, MemoryError):
        raise error
    return f"failed: {type(error).__name__}: {' '.join(str(error).split())}"


def pixels_to_vary(source: Source, recipe: Recipe) -> np.ndarray:
    """The pixels that variants are made of: grey and 16 bits as they are, where policy and format take them."""
    policy = _policy(recipe.policy)
    keep_depth = policy.takes_16_bits and recipe.encoding.format_for(source.format) == "png"
    pixels = read_pixels(source, keep_depth)
    return pixels if policy.takes_grey else to_rgb(pixels)


def read_pixels(source: Source, keep_depth: bool = False) -> np.ndarray:
    """Decode a source; see images.decode().

    Raises:
        UserError: where its bytes are not those that were validated.
    """
    try:
        data = image_bytes.read_row(source)
    except FileNotFoundError:
        raise UserError(
            f"{source.path}: gone since it was validated; run from ingest again"
        ) from None
    if hashing.sha256(data) != source.sha256:
        raise UserError(f"{source.path}: changed since it was validated; run from ingest again")
    return decode(data, keep_depth).pixels


def _reuse(made: Made | None, source: Source, recipe: Recipe, index: int) -> Variant | None:
    """The variant made before, if its bytes still have the hash that its row says."""
    if made is None:
        return None
    row = dict(made.row)
    # source_id is a prefix; the seed answers for the whole SHA-256
    if row["seed"] != variant_seed(recipe.seed, source.sha256, index, row["attempt"]):
        return None
    member = member_name(source, recipe, index)
    if row["status"] == "rejected":
        return Variant(row, None, member, reused=True)
    try:
        with made.path.open("rb") as file:
            file.seek(row["offset"])
            data = file.read(row["length"])
    except OSError:
        return None
    return (
        Variant(row, data, member, reused=True) if hashing.sha256(data) == row["sha256"] else None
    )


@lru_cache(maxsize=1)
def _policy(text: str) -> Policy:
    """The policy whose JSON is `text`, built once in each process."""
    return Policy(json.loads(text))
