"""Images that look the same: re-encoded, scaled, a little brighter, frames of one film.

A perceptual hash proposes pairs: those whose hashes differ in at most MOST_BITS of 64 bits. faiss's multi-index hashing
finds them without comparing all with all (M. Norouzi, A. Punjani, D. Fleet, "Fast Search in Hamming Space with
Multi-Index Hashing", CVPR 2012). A comparison of thumbnails in colour confirms them, whatever their brightness and
contrast.
"""

from collections.abc import Iterator

import faiss
import numpy as np
import pandas as pd

from tasks.common import fact_cache, machine
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
LEAST_CORRELATION = (
    0.985  # photos re-encoded at JPEG quality 30 keep 0.99, different ones reach 0.97
)
MOST_DIFFERENCE = 1.0  # of a pixel, in standard deviations: finds what differs in one place alone
MOST_STRETCH = 1.03  # between their shapes
PAIRS_AT_ONCE = 1024  # 3,072 values each: bounds memory


def find_near_duplicates(rows: pd.DataFrame, hashes: pd.Series, every_size: bool) -> pd.DataFrame:
    """The pairs of usable images that look the same: places in `rows`, `a` before `b`, in order.

    Args:
        rows: with the columns of the validated manifest.
        hashes: of each row; null where there is none.
        every_size: compare small images too.
    """
    usable = (rows["status"] == "ok") & (rows["contrast"] >= LEAST_CONTRAST)
    if not every_size:
        usable &= rows[["width", "height"]].min(axis=1) >= LEAST_SIDE
    chosen = rows[usable]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    with fact_cache.FactCache("thumbnails", measure.VERSION) as thumbnails:
        numbers = np.array([int(text, 16) for text in hashes[usable]], np.uint64)
        for a, b in in_parts(propose(numbers, chosen["brightness"].to_numpy())):
            same = compare(chosen, a, b, thumbnails)
            found.append((a[same], b[same]))
    a, b = (
        np.concatenate([pair[side] for pair in found] or [np.empty(0, np.int64)]) for side in (0, 1)
    )
    places = chosen.index.to_numpy()
    pairs = pd.DataFrame({"a": places[np.minimum(a, b)], "b": places[np.maximum(a, b)]})
    return pairs.drop_duplicates().sort_values(["a", "b"], ignore_index=True)


def not_compared(rows: pd.DataFrame, params: ValidateParams) -> int:
    """How many usable images find_near() leaves out for their size."""
    if params.near_duplicates == "all":
        return 0
    usable = rows["status"] == "ok"
    if params.near_duplicates == "auto":
        usable &= rows[["width", "height"]].min(axis=1) < LEAST_SIDE
    return int(usable.sum())


# --- proposing ----------------------------------------------------------------------------------------------------


def propose(hashes: np.ndarray, brightness: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of places whose hashes, uint64, differ in at most MOST_BITS; in parts.

    Of a hash that many share, or two such, not every pair is proposed: each image is paired with the MOST_NEIGHBOURS
    that come before it by brightness, which is nearly the same in a copy.
    """
    unique, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    members = np.lexsort((brightness, inverse))
    starts = np.cumsum(counts) - counts
    of_hash = [
        members[start : start + count]
        for start, count in zip(starts, counts, strict=True)
        if count > 1
    ]
    yield from (neighbours(group) for group in of_hash)
    told = set()
    for left, right in close_hashes(unique):
        alone = (counts[left] == 1) & (counts[right] == 1)
        yield members[starts[left[alone]]], members[starts[right[alone]]]
        for one, two in zip(left[~alone].tolist(), right[~alone].tolist(), strict=True):
            pair = min(one, two), max(one, two)  # it may come both ways round
            if pair not in told:
                told.add(pair)
                both = np.concatenate(
                    [members[starts[hash] : starts[hash] + counts[hash]] for hash in (one, two)]
                )
                yield neighbours(both[np.argsort(brightness[both], kind="stable")])


def neighbours(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a small group; of a large one, which is in order, each with the MOST_NEIGHBOURS before it."""
    count = len(group)
    if count <= SMALL_GROUP:
        first, second = np.triu_indices(count, 1)
    else:
        second = np.repeat(np.arange(count), MOST_NEIGHBOURS)
        first = second - np.tile(np.arange(1, MOST_NEIGHBOURS + 1), count)
        first, second = first[first >= 0], second[first >= 0]
    return group[first], group[second]


def close_hashes(unique: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of places in `unique`, uint64, that differ in at most MOST_BITS: of each the MOST_NEIGHBOURS closest."""
    codes = unique.view(np.uint8).reshape(-1, HASH_BITS // 8)
    if not len(codes):
        return
    faiss.omp_set_num_threads(machine.worker_count())
    index = faiss.IndexBinaryMultiHash(HASH_BITS, BANDS, HASH_BITS // BANDS)
    index.nflip = 1
    index.add(codes)
    at_once = max(1, MOST_FOUND // len(codes))
    for start in range(0, len(codes), at_once):
        limits, distances, found = index.range_search(
            codes[start : start + at_once], MOST_BITS + 1
        )  # below it
        asked = start + np.repeat(
            np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)).astype(np.int64)
        )
        order = np.lexsort((found, distances, asked))
        order = order[found[order] != asked[order]]
        place = np.arange(len(order)) - np.searchsorted(asked[order], asked[order])
        order = order[place < MOST_NEIGHBOURS]
        yield asked[order], found[order]


def in_parts(
    pairs: Iterator[tuple[np.ndarray, np.ndarray]],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same pairs, few at a time joined and many cut, so that about PAIRS_AT_ONCE are compared at once."""
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    for pair in pairs:
        waiting.append(pair)
        if sum(len(a) for a, _ in waiting) >= PAIRS_AT_ONCE:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return first, second


# --- confirming ---------------------------------------------------------------------------------------------------


def compare(
    rows: pd.DataFrame, a: np.ndarray, b: np.ndarray, thumbnails: fact_cache.FactCache
) -> np.ndarray:
    """Which of the pairs of places in `rows` look the same, as bools."""
    shapes = np.log(rows["width"].to_numpy(float) / rows["height"].to_numpy(float))
    same = np.abs(shapes[a] - shapes[b]) <= np.log(MOST_STRETCH)
    for start in range(0, len(a), PAIRS_AT_ONCE):
        some = start + np.flatnonzero(same[start : start + PAIRS_AT_ONCE])
        if not len(some):
            continue
        places, at = np.unique(np.concatenate([a[some], b[some]]), return_inverse=True)
        pictures = standardise(read_thumbnails(rows.iloc[places], thumbnails))
        left, right = pictures[at[: len(some)]], pictures[at[len(some) :]]
        correlation = np.einsum("ij,ij->i", left, right) / left.shape[1]
        same[some] = (correlation >= LEAST_CORRELATION) & (
            np.abs(left - right).max(axis=1) <= MOST_DIFFERENCE
        )
    return same


def standardise(pictures: np.ndarray) -> np.ndarray:
    """Each row with mean 0 and standard deviation 1: brightness and contrast no longer count. float32."""
    pictures = pictures.astype(np.float32)
    pictures -= pictures.mean(axis=1, keepdims=True)
    return pictures / np.maximum(pictures.std(axis=1, keepdims=True), 1e-6)


def read_thumbnails(rows: pd.DataFrame, thumbnails: fact_cache.FactCache) -> np.ndarray:
    """The thumbnails of rows, uint8 (rows, values): remembered, or else made anew."""
    found = thumbnails.get(bytes.fromhex(sha256) for sha256 in rows["sha256"])
    lost = rows[[bytes.fromhex(sha256) not in found for sha256 in rows["sha256"]]]
    for part in measure.measure_rows(lost, "looking again"):
        found |= {bytes.fromhex(seen.sha256): seen.thumbnail for seen in part}
    return np.stack(
        [np.frombuffer(found[bytes.fromhex(sha256)], np.uint8) for sha256 in rows["sha256"]]
    )
