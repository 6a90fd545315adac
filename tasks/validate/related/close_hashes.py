"""Close hashes: pairs of images whose perceptual hashes differ in a few of their 64 bits.

Multi-index hashing finds them without comparing all with all (M. Norouzi, A. Punjani, D. Fleet,
"Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012): hashes that differ in seven
bits differ in at most one in one of four parts of 16 bits, which a table looks up.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BAND_BITS = 16
BANDS = range(0, 64, BAND_BITS)
FLIPS = np.array([0, *(1 << bit for bit in range(BAND_BITS))], np.uint64)  # of one bit, or none
MOST_BITS = 7
MOST_NEIGHBOURS = 64  # compared with one image: what has more is one large cluster anyhow
SMALL_GROUP = 1024  # images whose hashes are equal or close: all pairs are compared
QUERIES_AT_ONCE = 16_384
MOST_CANDIDATES = 5_000_000  # compared at once: bounds memory


class Pairs(NamedTuple):
    """Pairs of images or hashes: positions in an array or a table, int64, equally many."""

    first: np.ndarray
    second: np.ndarray


def no_pairs() -> Pairs:
    """None at all."""
    return Pairs(np.empty(0, np.int64), np.empty(0, np.int64))


def join(parts: list[Pairs]) -> Pairs:
    """All pairs of several parts."""
    return Pairs(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
    )


class Groups:
    """Images in groups of equal hashes.

    `unique`: the hashes, uint64, sorted. `counts`: how many images have each.
    """

    def __init__(self, hashes: np.ndarray, brightness: np.ndarray) -> None:
        self.unique, inverse, self.counts = np.unique(
            hashes, return_inverse=True, return_counts=True
        )
        self._members = np.lexsort((brightness, inverse))
        self._starts = np.cumsum(self.counts) - self.counts

    def first_of(self, numbers: np.ndarray) -> np.ndarray:
        """The darkest image of each of several hashes."""
        return self._members[self._starts[numbers]]

    def members_of(self, number: int) -> np.ndarray:
        """The images of a hash, darkest first."""
        start = self._starts[number]
        return self._members[start : start + self.counts[number]]


class Index:
    """An index of distinct hashes, uint64."""

    def __init__(self, unique: np.ndarray) -> None:
        self._unique = unique
        self._tables = [Table(_band(unique, shift)) for shift in BANDS]

    def search(self, queries: np.ndarray) -> Iterator[Pairs]:
        """Pairs of positions in `queries`, uint64, and in the index, within MOST_BITS; in parts.

        Of each query the MOST_NEIGHBOURS closest, and one more, as it may be in the index itself.
        """
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            yield from self._search(queries[start : start + QUERIES_AT_ONCE], start)

    def _search(self, queries: np.ndarray, start: int) -> Iterator[Pairs]:
        """The same for queries that begin at the position `start`."""
        words = [
            (_band(queries, shift)[:, None] ^ FLIPS).astype(np.int64).ravel() for shift in BANDS
        ]
        candidate_count = sum(
            int(table.counts[word].sum()) for table, word in zip(self._tables, words, strict=True)
        )
        if candidate_count > MOST_CANDIDATES and len(queries) > 1:
            half = len(queries) // 2
            yield from self._search(queries[:half], start)
            yield from self._search(queries[half:], start + half)
            return
        close = [no_pairs()]
        for table, word in zip(self._tables, words, strict=True):
            looked_up = table.look_up(word)
            query, found = looked_up.first // len(FLIPS), looked_up.second
            near = np.bitwise_count(queries[query] ^ self._unique[found]) <= MOST_BITS
            close.append(Pairs(query[near], found[near]))
        yield self._closest(queries, start, join(close))

    def _closest(self, queries: np.ndarray, start: int, pairs: Pairs) -> Pairs:
        """Each pair once, and of each query the closest."""
        distances = np.bitwise_count(queries[pairs.first] ^ self._unique[pairs.second])
        order = np.lexsort((pairs.second, distances, pairs.first))
        query, found = pairs.first[order], pairs.second[order]
        again = (np.diff(query, prepend=-1) == 0) & (np.diff(found, prepend=-1) == 0)
        query, found = query[~again], found[~again]
        nearness = np.arange(len(query)) - np.searchsorted(query, query)
        chosen = nearness <= MOST_NEIGHBOURS
        return Pairs(start + query[chosen], found[chosen])


def _band(hashes: np.ndarray, shift: int) -> np.ndarray:
    return (hashes >> np.uint64(shift)) & np.uint64((1 << BAND_BITS) - 1)


class Table:
    """The positions of each value in an array of numbers of BAND_BITS.

    `counts`: how often each occurs.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._positions = np.argsort(values, kind="stable")
        self.counts = np.bincount(values.astype(np.int64), minlength=1 << BAND_BITS)
        self._starts = np.cumsum(self.counts) - self.counts

    def look_up(self, values: np.ndarray) -> Pairs:
        """All pairs of a position in `values` and one of the same value in the table."""
        counts = self.counts[values]
        first = np.repeat(np.arange(len(values)), counts)
        within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        return Pairs(first, self._positions[np.repeat(self._starts[values], counts) + within])


def pairs_within(groups: Groups, index: Index, brightness: np.ndarray) -> Iterator[Pairs]:
    """Pairs of images with close hashes; in parts.

    Of images that share a hash, or two close ones, not every pair is proposed if they are many:
    each image is paired with the MOST_NEIGHBOURS that come before it by brightness, which is nearly
    the same in a copy.
    """
    counts = groups.counts
    for number in np.flatnonzero(counts > 1).tolist():
        yield pair_neighbours(groups.members_of(number))
    done: set[tuple[int, int]] = set()
    for close in index.search(groups.unique):
        other = close.first != close.second
        left, right = close.first[other], close.second[other]
        single = (counts[left] == 1) & (counts[right] == 1)
        yield Pairs(groups.first_of(left[single]), groups.first_of(right[single]))
        for one, two in zip(left[~single].tolist(), right[~single].tolist(), strict=True):
            pair = min(one, two), max(one, two)  # both orders may come
            if pair not in done:
                done.add(pair)
                both = np.concatenate([groups.members_of(one), groups.members_of(two)])
                yield pair_neighbours(both[np.argsort(brightness[both], kind="stable")])


def pairs_across(
    queries: Groups, groups: Groups, index: Index, brightness: np.ndarray
) -> Iterator[Pairs]:
    """Pairs of an image among `queries` and another in `groups` with close hashes; in parts.

    Each image of the first is paired with MOST_NEIGHBOURS of the others at most, by brightness.
    """
    for close in index.search(queries.unique):
        left, right = close
        single = (queries.counts[left] == 1) & (groups.counts[right] == 1)
        first, second = queries.first_of(left[single]), groups.first_of(right[single])
        yield Pairs(first[first != second], second[first != second])
        for one, two in zip(left[~single].tolist(), right[~single].tolist(), strict=True):
            yield pair_alike(queries.members_of(one), groups.members_of(two), brightness)


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


def pair_alike(some: np.ndarray, others: np.ndarray, brightness: np.ndarray) -> Pairs:
    """Each of `some` with the MOST_NEIGHBOURS of `others`, darkest first, nearest in brightness."""
    width = min(MOST_NEIGHBOURS, len(others))
    middle = np.searchsorted(brightness[others], brightness[some])
    starts = np.clip(middle - width // 2, 0, len(others) - width)
    first = np.repeat(some, width)
    second = others[(starts[:, None] + np.arange(width)).ravel()]
    return Pairs(first[first != second], second[first != second])


def in_batches(parts: Iterator[Pairs], count: int) -> Iterator[Pairs]:
    """The same pairs in batches of `count` or a few more, the last one smaller."""
    waiting: list[Pairs] = []
    gathered = 0
    for part in parts:
        waiting.append(part)
        gathered += len(part.first)
        if gathered >= count:
            yield join(waiting)
            waiting, gathered = [], 0
    if gathered:
        yield join(waiting)
