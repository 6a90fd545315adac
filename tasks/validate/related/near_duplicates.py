"""Near duplicates: images that look the same (re-encoded, scaled, brighter), or would if turned.

A perceptual hash proposes pairs (see close_hashes.py): that of one image, and that of another as it
is or under a symmetry of the square. A comparison of thumbnails in colour confirms them, whatever
their brightness and contrast.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tasks.common import fact_cache
from tasks.dataset.selections import is_usable
from tasks.validate import measure
from tasks.validate.measure import THUMBNAIL
from tasks.validate.params import ValidateParams
from tasks.validate.related import symmetries
from tasks.validate.related.close_hashes import (
    Groups,
    Index,
    Pairs,
    in_batches,
    join,
    no_pairs,
    pairs_across,
    pairs_within,
)
from tasks.validate.related.symmetries import IDENTITY, Symmetry

LEAST_SIDE = 64  # pixels: hashes of small images meet by chance
LEAST_CONTRAST = 4.0  # grey levels: a blank image looks like every other
# photos re-encoded at JPEG quality 30 keep 0.99, different ones reach 0.97
LEAST_CORRELATION = 0.985
MOST_DIFFERENCE = 1.0  # of a pixel, in standard deviations: finds what differs in one part alone
MOST_STRETCH = 1.03  # between their shapes
PAIRS_AT_ONCE = 1024  # 3,072 values each: bounds memory
PICTURES_AT_ONCE = 4096


def find_near_duplicates(rows: pd.DataFrame, params: ValidateParams) -> pd.DataFrame:
    """The pairs of usable images that look the same: index labels `a` and `b`, int64, sorted.

    Each pair is listed once, with `a` before `b`. Its `kind` is near, or else mirrored, or else
    turned: how one has to be moved to look like the other.

    Args:
        rows: the table with `perceptual_hash`, indexed in order.
        params: of the stage; `near_duplicates` says which images are compared.
    """
    chosen = rows[_is_compared(rows, params) & _shows_something(rows)]
    hashes = np.array([int(text, 16) for text in chosen["perceptual_hash"]], np.uint64)
    brightness = chosen["brightness"].to_numpy()
    groups = Groups(hashes, brightness)
    index = Index(groups.unique)
    with fact_cache.FactCache("thumbnails", measure.VERSION) as thumbnails:
        proposed = pairs_within(groups, index, brightness)
        tables = [confirm(chosen, proposed, IDENTITY, thumbnails)]
        frequencies = read_frequencies(chosen, thumbnails)
        for symmetry in symmetries.OTHERS:
            queries = Groups(symmetries.hash_pictures(frequencies, symmetry), brightness)
            proposed = pairs_across(queries, groups, index, brightness)
            tables.append(confirm(chosen, proposed, symmetry, thumbnails))
    found = pd.concat(tables, ignore_index=True).drop_duplicates(["a", "b"])
    return found.sort_values(["a", "b"], ignore_index=True)


def count_not_compared(rows: pd.DataFrame, params: ValidateParams) -> int:
    """How many usable images find_near_duplicates() leaves out for their size, or all of them."""
    return int((is_usable(rows) & ~_is_compared(rows, params)).sum())


def _shows_something(rows: pd.DataFrame) -> pd.Series:
    """A mask of the images that are not blank. Those of 16 bits are compared stretched."""
    is_deep = (rows["bits"] == 16) & (rows["highest"] > rows["lowest"])
    return is_deep | (rows["contrast"] >= LEAST_CONTRAST)


def _is_compared(rows: pd.DataFrame, params: ValidateParams) -> pd.Series:
    """A mask of the usable images that the parameter `near_duplicates` lets take part."""
    if params.near_duplicates == "off":
        return pd.Series(False, rows.index)
    if params.near_duplicates == "all":
        return is_usable(rows)
    return is_usable(rows) & (rows[["width", "height"]].min(axis=1) >= LEAST_SIDE)


def read_frequencies(rows: pd.DataFrame, thumbnails: fact_cache.FactCache) -> np.ndarray:
    """What symmetries.low_frequencies() finds in the images of rows, float64 (rows, 8, 8)."""
    parts = [np.empty((0, symmetries.LOW, symmetries.LOW))]
    for start in range(0, len(rows), PICTURES_AT_ONCE):
        pictures = read_thumbnails(rows.iloc[start : start + PICTURES_AT_ONCE], thumbnails)
        parts.append(symmetries.low_frequencies(pictures))
    return np.concatenate(parts)


def confirm(
    rows: pd.DataFrame,
    proposed: Iterator[Pairs],
    symmetry: Symmetry,
    thumbnails: fact_cache.FactCache,
) -> pd.DataFrame:
    """Those of the proposed pairs of positions in `rows` that look the same: `a`, `b`, `kind`."""
    confirmed = [no_pairs()]
    for pairs in in_batches(proposed, PAIRS_AT_ONCE):
        same = look_the_same(rows, pairs, symmetry, thumbnails)
        confirmed.append(Pairs(pairs.first[same], pairs.second[same]))
    found = join(confirmed)
    labels = rows.index.to_numpy()
    a = labels[np.minimum(found.first, found.second)]
    b = labels[np.maximum(found.first, found.second)]
    return pd.DataFrame({"a": a, "b": b, "kind": symmetry.kind})


def look_the_same(
    rows: pd.DataFrame, pairs: Pairs, symmetry: Symmetry, thumbnails: fact_cache.FactCache
) -> np.ndarray:
    """Which pairs of positions in `rows` look the same, bool (pairs,), the first of each moved.

    Their shapes and their standardised thumbnails are compared.
    """
    shapes = np.log(rows["width"].to_numpy(float) / rows["height"].to_numpy(float))
    moved = -shapes if symmetry.transpose else shapes
    stretch = np.abs(moved[pairs.first] - shapes[pairs.second])
    same = stretch <= np.log(MOST_STRETCH)
    for start in range(0, len(same), PAIRS_AT_ONCE):
        candidates = start + np.flatnonzero(same[start : start + PAIRS_AT_ONCE])
        if not len(candidates):
            continue
        both = np.concatenate([pairs.first[candidates], pairs.second[candidates]])
        positions, inverse = np.unique(both, return_inverse=True)
        pictures = standardise(read_thumbnails(rows.iloc[positions], thumbnails))
        left, right = pictures[inverse[: len(candidates)]], pictures[inverse[len(candidates) :]]
        squares = left.reshape(-1, THUMBNAIL, THUMBNAIL, 3)
        left = symmetry.apply(squares).reshape(len(candidates), -1)
        correlation = np.einsum("ij,ij->i", left, right) / left.shape[1]
        difference = np.abs(left - right).max(axis=1)
        same[candidates] = (correlation >= LEAST_CORRELATION) & (difference <= MOST_DIFFERENCE)
    return same


def standardise(pictures: np.ndarray) -> np.ndarray:
    """Each row with mean 0 and standard deviation 1, float32: whatever brightness and contrast."""
    pictures = pictures.astype(np.float32)
    pictures -= pictures.mean(axis=1, keepdims=True)
    return pictures / np.maximum(pictures.std(axis=1, keepdims=True), 1e-6)


def read_thumbnails(rows: pd.DataFrame, thumbnails: fact_cache.FactCache) -> np.ndarray:
    """The thumbnails of rows, uint8 (rows, 3072); those that the cache lacks are made again."""
    keys = [bytes.fromhex(sha256) for sha256 in rows["sha256"]]
    found = thumbnails.get(keys)
    missing = rows[[key not in found for key in keys]]
    for batch in measure.measure_rows(missing, "making thumbnails"):
        found |= {bytes.fromhex(image.sha256): image.thumbnail for image in batch}
    return np.stack([np.frombuffer(found[key], np.uint8) for key in keys])
