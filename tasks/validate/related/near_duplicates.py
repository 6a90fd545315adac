"""Near duplicates: images that look the same (re-encoded, scaled, brighter, frames of one film).

A perceptual hash proposes pairs: those whose hashes differ in at most MOST_BITS of 64 bits. faiss's
multi-index hashing finds them without comparing all with all (M. Norouzi, A. Punjani, D. Fleet,
"Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012). A comparison of thumbnails in
colour confirms them, whatever their brightness and contrast.
"""

from collections.abc import Iterator
from typing import NamedTuple

import faiss
import numpy as np
import pandas as pd

from tasks.common import fact_cache, machine
from tasks.dataset.selections import is_usable
from tasks.validate import measure
from tasks.validate.params import ValidateParams

LEAST_SIDE = 64  # pixels: hashes of small images meet by chance
LEAST_CONTRAST = 4.0  # grey levels: a blank image looks like every other
HASH_BITS = 64
BANDS = 4  # of 16 bits; two hashes that differ in 7 bits differ in at most 1 in one of them
MOST_BITS = 7
MOST_NEIGHBOURS = 64  # compared with one image: what has more is one large cluster anyhow
SMALL_GROUP = 1024  # images whose hashes are equal or close: all pairs are compared
MOST_FOUND = 20_000_000  # by one search: bounds memory
# photos re-encoded at JPEG quality 30 keep 0.99, different ones reach 0.97
LEAST_CORRELATION = 0.985
MOST_DIFFERENCE = 1.0  # of a pixel, in standard deviations: finds what differs in one part alone
MOST_STRETCH = 1.03  # between their shapes
PAIRS_AT_ONCE = 1024  # 3,072 values each: bounds memory


class Pairs(NamedTuple):
    """Pairs of images or hashes: positions in an array or a table, int64, equally many."""

    first: np.ndarray
    second: np.ndarray


def find_near_duplicates(rows: pd.DataFrame, params: ValidateParams) -> pd.DataFrame:
    """The pairs of usable images that look the same: index labels `a` and `b`, int64, sorted.

    Each pair is listed once, with `a` before `b`.

    Args:
        rows: the table with `perceptual_hash`, indexed in order.
        params: of the stage; `near_duplicates` says which images are compared.
    """
    chosen = rows[_is_compared(rows, params) & (rows["contrast"] >= LEAST_CONTRAST)]
    hashes = np.array([int(text, 16) for text in chosen["perceptual_hash"]], np.uint64)
    confirmed = [_no_pairs()]
    with fact_cache.FactCache("thumbnails", measure.VERSION) as thumbnails:
        for pairs in in_batches(propose_pairs(hashes, chosen["brightness"].to_numpy())):
            same = look_the_same(chosen, pairs, thumbnails)
            confirmed.append(Pairs(pairs.first[same], pairs.second[same]))
    found = _join(confirmed)
    labels = chosen.index.to_numpy()
    table = pd.DataFrame(
        {
            "a": labels[np.minimum(found.first, found.second)],
            "b": labels[np.maximum(found.first, found.second)],
        }
    )
    return table.drop_duplicates().sort_values(["a", "b"], ignore_index=True)


def count_not_compared(rows: pd.DataFrame, params: ValidateParams) -> int:
    """How many usable images find_near_duplicates() leaves out for their size, or all of them."""
    return int((is_usable(rows) & ~_is_compared(rows, params)).sum())


def _is_compared(rows: pd.DataFrame, params: ValidateParams) -> pd.Series:
    """A mask of the usable images that the parameter `near_duplicates` lets take part."""
    if params.near_duplicates == "off":
        return pd.Series(False, rows.index)
    if params.near_duplicates == "all":
        return is_usable(rows)
    return is_usable(rows) & (rows[["width", "height"]].min(axis=1) >= LEAST_SIDE)


def _no_pairs() -> Pairs:
    return Pairs(np.empty(0, np.int64), np.empty(0, np.int64))


def _join(parts: list[Pairs]) -> Pairs:
    return Pairs(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
    )


# --- proposing ------------------------------------------------------------------------------------


def propose_pairs(hashes: np.ndarray, brightness: np.ndarray) -> Iterator[Pairs]:
    """Pairs of positions whose hashes, uint64, differ in at most MOST_BITS; in parts.

    Of images that share a hash, or two close ones, not every pair is proposed if they are many:
    each image is paired with the MOST_NEIGHBOURS that come before it by brightness, which is nearly
    the same in a copy.
    """
    unique, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    members = np.lexsort((brightness, inverse))
    starts = np.cumsum(counts) - counts

    def members_of(number: int) -> np.ndarray:
        """The images of a unique hash, darkest first."""
        return members[starts[number] : starts[number] + counts[number]]

    for number in np.flatnonzero(counts > 1).tolist():
        yield pair_neighbours(members_of(number))
    done: set[tuple[int, int]] = set()
    for left, right in close_hashes(unique):
        single = (counts[left] == 1) & (counts[right] == 1)
        yield Pairs(members[starts[left[single]]], members[starts[right[single]]])
        for one, other in zip(left[~single].tolist(), right[~single].tolist(), strict=True):
            pair = min(one, other), max(one, other)  # both orders may come
            if pair not in done:
                done.add(pair)
                both = np.concatenate([members_of(one), members_of(other)])
                yield pair_neighbours(both[np.argsort(brightness[both], kind="stable")])


def pair_neighbours(group: np.ndarray) -> Pairs:
    """All pairs of a small group; of a large, ordered one each with the MOST_NEIGHBOURS before."""
    count = len(group)
    if count <= SMALL_GROUP:
        first, second = np.triu_indices(count, 1)
    else:
        second = np.repeat(np.arange(count), MOST_NEIGHBOURS)
        first = second - np.tile(np.arange(1, MOST_NEIGHBOURS + 1), count)
        first, second = first[first >= 0], second[first >= 0]
    return Pairs(group[first], group[second])


def close_hashes(unique: np.ndarray) -> Iterator[Pairs]:
    """Pairs of positions in `unique`, uint64, that differ in at most MOST_BITS.

    Of each hash the MOST_NEIGHBOURS closest; a pair may come in both orders.
    """
    codes = unique.view(np.uint8).reshape(-1, HASH_BITS // 8)
    if not len(codes):
        return
    faiss.omp_set_num_threads(machine.worker_count())
    index = faiss.IndexBinaryMultiHash(HASH_BITS, BANDS, HASH_BITS // BANDS)
    index.nflip = 1
    index.add(codes)
    at_once = max(1, MOST_FOUND // len(codes))
    for start in range(0, len(codes), at_once):
        queries = codes[start : start + at_once]
        limits, distances, found = index.range_search(queries, MOST_BITS + 1)  # closer than that
        result_counts = np.diff(limits.astype(np.int64)).astype(np.int64)
        query = start + np.repeat(np.arange(len(queries)), result_counts)
        order = np.lexsort((found, distances, query))
        order = order[found[order] != query[order]]
        nearness = np.arange(len(order)) - np.searchsorted(query[order], query[order])
        order = order[nearness < MOST_NEIGHBOURS]
        yield Pairs(query[order], found[order])


def in_batches(parts: Iterator[Pairs]) -> Iterator[Pairs]:
    """The same pairs in batches of PAIRS_AT_ONCE or a few more, the last one smaller."""
    waiting: list[Pairs] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part.first)
        if count >= PAIRS_AT_ONCE:
            yield _join(waiting)
            waiting, count = [], 0
    if waiting:
        yield _join(waiting)


# --- confirming -----------------------------------------------------------------------------------


def look_the_same(rows: pd.DataFrame, pairs: Pairs, thumbnails: fact_cache.FactCache) -> np.ndarray:
    """Which pairs of positions in `rows` look the same, bool (pairs,).

    Their shapes and their standardised thumbnails are compared.
    """
    shapes = np.log(rows["width"].to_numpy(float) / rows["height"].to_numpy(float))
    same = np.abs(shapes[pairs.first] - shapes[pairs.second]) <= np.log(MOST_STRETCH)
    for start in range(0, len(same), PAIRS_AT_ONCE):
        candidates = start + np.flatnonzero(same[start : start + PAIRS_AT_ONCE])
        if not len(candidates):
            continue
        both = np.concatenate([pairs.first[candidates], pairs.second[candidates]])
        positions, inverse = np.unique(both, return_inverse=True)
        pictures = standardise(read_thumbnails(rows.iloc[positions], thumbnails))
        left, right = pictures[inverse[: len(candidates)]], pictures[inverse[len(candidates) :]]
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
