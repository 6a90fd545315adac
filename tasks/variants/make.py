"""Make one variant of a source, deterministically and independent of any order.

A variant is a function of the recipe, its source's bytes, its index and its attempt. The worker,
the order, the file name and the other images have no part in it, so any number of workers, a
resumed run and a cold run make equal bytes. Offline augmentation (tasks/augment) encodes what is
drawn here and stores it; on-the-fly augmentation (tasks/train/online.py) shows it, with the epoch
as index.
"""

import hashlib
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from tasks.dataset.columns import MEASURES
from tasks.pixels.encode import EXTENSIONS, encode
from tasks.pixels.hashing import fast_pixel_hash, sha256
from tasks.variants.gates import GATE, first_excess
from tasks.variants.policy import canonical_json
from tasks.variants.quality.measures import PSNR_ONE_IN, Baseline, Measures, encoding_psnr
from tasks.variants.recipe import Recipe
from tasks.variants.sources import Source

Row = dict[str, Any]  # what making decides of a variant's row in the ledger
Encoded = tuple[Row, bytes | None]  # of a variant; None where it is rejected
# null where a variant is rejected
OF_THE_IMAGE = ("sha256", "width", "height", "channels", "bits", "length", *MEASURES)

cv2.setNumThreads(0)  # one process per core is what runs in parallel here


@dataclass(frozen=True)
class Variant:
    """One variant before it is encoded, or why there is none.

    `pixels`: uint8 or uint16 (height, width) or (height, width, 3); None where it is rejected, for
    `reason`: that of its last attempt. `attempt`: how often it was drawn again. `pixel_hash`: of
    the pixels; 0 where there are none. `measures`: of the pixels, each found when it is asked for.
    """

    seed: int
    attempt: int
    pixels: np.ndarray | None
    operations: list[dict[str, Any]]
    pixel_hash: int
    reason: str | None
    measures: Measures | None = field(default=None, compare=False)


def variant_id(source_id: str, index: int) -> str:
    """`<source_id>-v<index>`, the index with three digits or more."""
    return f"{source_id}-v{index:03d}"


def variant_seed(base_seed: int, sha256: str, index: int, attempt: int) -> int:
    """The seed of one attempt at one variant, 64 bits of a SHA-256."""
    digest = hashlib.sha256(f"variant {base_seed} {sha256} {index} {attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def extension_of(source: Source, recipe: Recipe) -> str:
    """The extension of the source's variants: jpg, png or webp."""
    return EXTENSIONS[recipe.encoding.format_for(source.format)]


def draw_variant(
    source: Source, baseline: Baseline, recipe: Recipe, index: int, seen: Container[int]
) -> Variant:
    """Variant `index` of a source, before it is encoded.

    It is drawn again, up to max_attempts, where a transform fails on the image, where it is of one
    single colour and its source is not, under `distinct` where its hash is among `seen`, and where
    it does not pass a gate; some gates reject it at once.

    Args:
        source: the training image.
        baseline: of the pixels that the policy gets of it.
        recipe: what makes variants.
        index: of the variant, from 1.
        seen: the hashes that it may not have.
    """
    pixels = baseline.pixels
    policy = recipe.build_policy()
    reason = None
    for attempt in range(recipe.max_attempts):
        seed = variant_seed(recipe.seed, source.sha256, index, attempt)
        try:
            applied = policy.apply(pixels, seed)
        except Exception as error:  # a transform meets an image that it was not made for
            reason = _failure(error)
            continue
        new = applied.pixels
        pixel_hash = fast_pixel_hash(new)
        if recipe.distinct and pixel_hash in seen:
            reason = "not_distinct"
        elif has_one_colour(new) and not has_one_colour(pixels):
            reason = "one_colour"
        else:
            measures = Measures(new, applied.geometry, baseline)
            excess = first_excess(recipe.gates, measures)
            if excess is None:
                return Variant(seed, attempt, new, applied.operations, pixel_hash, None, measures)
            reason = f"{GATE}: {excess.what}"
            if excess.then == "reject":
                break
    return Variant(seed, attempt, None, [], 0, reason)


def has_one_colour(pixels: np.ndarray) -> bool:
    """Whether all pixels are equal: nothing is left to see."""
    first = pixels[0, 0]
    return bool((pixels[0] == first).all() and (pixels == first).all())


def encode_variant(source: Source, recipe: Recipe, index: int, variant: Variant) -> Encoded:
    """The variant's row of the ledger and its encoded bytes; None where it is rejected.

    An image that the encoder refuses (too large for the format, say) is rejected too.
    """
    data, reason = None, variant.reason
    if variant.pixels is not None:
        encoding = recipe.encoding
        format = encoding.format_for(source.format)
        try:
            data = encode(variant.pixels, format, encoding.quality, encoding.lossless)
        except Exception as error:
            reason = _failure(error)
    row: Row = {
        "variant_id": variant_id(source.source_id, index),
        "source_id": source.source_id,
        "variant_index": index,
        "seed": variant.seed,
        "attempt": variant.attempt,
        "operations": "[]",
        "pixel_hash": variant.pixel_hash,
        "status": "rejected",
        "reason": reason,
    }
    if variant.pixels is not None and data is not None:
        row |= {
            "operations": canonical_json(variant.operations),
            "sha256": sha256(data),
            "width": variant.pixels.shape[1],
            "height": variant.pixels.shape[0],
            "channels": 1 if variant.pixels.ndim == 2 else 3,
            "bits": variant.pixels.dtype.itemsize * 8,
            "length": len(data),
            "status": "written",
        }
        row |= _measured(variant, data, encoding.loses(format))
    return row, data


def _measured(variant: Variant, data: bytes, lossy: bool) -> Row:
    """The measures of a variant that is stored as `data`."""
    if variant.pixels is None or variant.measures is None:
        return {}
    measured = variant.measures.all()
    if lossy and variant.seed % PSNR_ONE_IN == 0:
        measured["encoding_psnr"] = encoding_psnr(variant.pixels, data)
    return measured


def _failure(error: Exception) -> str:
    """The reason of a rejected variant. A lack of memory says nothing of it, and is raised."""
    if isinstance(error, MemoryError):
        raise error
    return f"failed: {type(error).__name__}: {' '.join(str(error).split())}"
