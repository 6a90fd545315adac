"""Exact split: the fractions hold in all and in each class, each rounded up or down.

Rounding a table so that its rows, its columns and its total all stay rounded values of theirs is
controlled rounding: L. Cox, "A Constructive Procedure for Unbiased Controlled Rounding", Journal of
the American Statistical Association 82, 1987. With three splits, single images that move between
two of them, or by way of the third, always reach it.
"""

from itertools import pairwise, permutations
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.dataset.columns import SPLITS

DIGITS = 9  # 300 * 0.7 is 210, not 209.99999999999997
LEAST_TESTED = 3  # images: a class of so many is to have one in test where the totals allow it


class Table(NamedTuple):
    """Images in each split, an array (classes, splits) each.

    `counts`: how many there are, int64. `movable`: how many of them stand alone in their lineage.
    `exact`: how many the fractions ask for, float64. `hashes`: of the classes, float64 (classes,):
    which of equal classes move first.
    """

    counts: np.ndarray
    movable: np.ndarray
    exact: np.ndarray
    hashes: np.ndarray


def exact_split(
    hashes: pd.Series, labels: pd.Series, lineages: np.ndarray, fractions: dict[str, float]
) -> pd.Series:
    """The split of each image: see above, as nearly as lineages of several images allow.

    These are assigned first, the largest before others, each to the split that lacks most of its
    classes. The single images then fill what is left of each class, in the order of their hashes.

    Args:
        hashes: of each image's lineage, see split.lineage_hashes().
        labels: of the images.
        lineages: their numbers.
        fractions: of the splits, in the order of SPLITS, adding up to one.
    """
    names = [name for name in SPLITS if name in fractions]
    shares = np.array([fractions[name] for name in names])
    label, classes = pd.factorize(labels, sort=True)
    frame = pd.DataFrame({"lineage": lineages, "hash": hashes.to_numpy(), "label": label})
    frame["size"] = frame.groupby("lineage")["lineage"].transform("size")
    exact = np.round(np.outer(np.bincount(label, minlength=len(classes)), shares), DIGITS)
    class_hashes = frame.groupby("label")["hash"].min().to_numpy()
    wanted = round_total(len(frame), shares)
    rounded = round_classes(exact)
    balance(Table(rounded, rounded.copy(), exact, class_hashes), wanted)

    chosen = np.full(len(frame), -1)
    assign_several(frame, rounded, chosen)
    placed = count_cells(frame["label"], chosen, rounded.shape)
    singles = frame[chosen == -1]
    quotas = fill(rounded - placed, np.bincount(singles["label"], minlength=len(classes)))
    table = Table(placed + quotas, quotas, exact, class_hashes)
    balance(table, wanted)
    fill_empty(table, wanted)
    for number, members in singles.sort_values("hash").groupby("label"):
        chosen[members.index] = np.repeat(np.arange(len(names)), quotas[int(number)])
    return pd.Series(np.asarray(names, object)[chosen], hashes.index)


def round_total(count: int, shares: np.ndarray) -> np.ndarray:
    """How many of all images each split is to get, int64 (splits,), by the largest remainders.

    Of equal remainders that of the later split is rounded up: test before validation.
    """
    exact = np.round(count * shares, DIGITS)
    return round_up(exact[None], exact[None] - np.floor(exact[None]))[0]


def round_classes(exact: np.ndarray) -> np.ndarray:
    """Each class rounded by itself, by the largest remainders, int64 (classes, splits).

    The last split, test, comes first where it would otherwise have no image of a large class.
    """
    remainders = exact - np.floor(exact)
    large = exact.sum(axis=1) >= LEAST_TESTED
    remainders[:, -1] += large & (remainders[:, -1] > 0) & (exact[:, -1] < 1)
    return round_up(exact, remainders)


def round_up(exact: np.ndarray, urgency: np.ndarray) -> np.ndarray:
    """Round down, but in each row as many of the most urgent up as keep its sum, int64."""
    rounded = np.floor(exact).astype(int)
    lacking = np.rint(exact.sum(axis=1)).astype(int) - rounded.sum(axis=1)
    last_first = urgency[:, ::-1]  # of equal ones the last
    order = np.argsort(-np.round(last_first, DIGITS), axis=1, kind="stable")
    rank = np.argsort(order, axis=1)[:, ::-1]
    return rounded + (rank < lacking[:, None])


def balance(table: Table, wanted: np.ndarray) -> None:
    """Move single images between the splits of their class until each split has what is wanted.

    Then exchange images between classes, so that as few large ones as possible lack a test image.
    `counts` and `movable` are changed. No class is moved further than to the next whole number from
    what the fractions ask for; where lineages of several images stand in the way, some stay off.
    """
    splits = range(len(wanted))
    paths = [*permutations(splits, 2), *permutations(splits, 3)]
    while sum(follow_path(table, path, wanted) for path in paths):
        pass
    into_test = [path for path in paths if path[1] == splits[-1]]
    while sum(follow_circle(table, (*path, path[0])) for path in into_test):
        pass


def follow_path(table: Table, path: tuple[int, ...], wanted: np.ndarray) -> int:
    """Move images from a split with too many, by way of others, to one with too few; how many."""
    surplus = table.counts.sum(axis=0) - wanted
    limit = min(surplus[path[0]], -surplus[path[-1]])
    if limit <= 0:
        return 0
    return move(table, path, [movers(table, *step)[:limit] for step in pairwise(path)])


def follow_circle(table: Table, path: tuple[int, ...]) -> int:
    """Move images into test, to classes that lack one, and as many of others out; how many."""
    into_test, out_of_test, *others = [movers(table, *step) for step in pairwise(path)]
    into_test = into_test[has_in_test(table, 0)[into_test]]
    out_of_test = out_of_test[~has_in_test(table, 1)[out_of_test]]
    return move(table, path, [into_test, out_of_test, *others])


def movers(table: Table, source: int, target: int) -> np.ndarray:
    """The classes of which an image can move from one split to another, in the order to do so.

    First those that gain a first image in test, last those that lose their last one there; of
    equal ones those that come nearest to their fractions; of these, by hash.
    """
    counts, movable, exact, hashes = table
    can = (
        (movable[:, source] > 0)
        & (counts[:, source] > np.floor(exact[:, source]))
        & (counts[:, target] < np.ceil(exact[:, target]))
    )
    test = counts.shape[1] - 1
    loses = has_in_test(table, 1) & (source == test)
    gains = has_in_test(table, 0) & (target == test)
    apart = np.round(exact[:, source] % 1 - exact[:, target] % 1, DIGITS)
    order = np.lexsort((hashes, apart, loses.astype(int) - gains))
    return order[can[order]]


def has_in_test(table: Table, count: int) -> np.ndarray:
    """Which large classes have `count` images in the last split, test, bool (classes,)."""
    return (table.exact.sum(axis=1) >= LEAST_TESTED) & (table.counts[:, -1] == count)


def move(table: Table, path: tuple[int, ...], classes: list[np.ndarray]) -> int:
    """Move a single image of as many classes in each step of a path; how many in each."""
    count = min(map(len, classes))
    for (source, target), rows in zip(pairwise(path), classes, strict=True):
        for counts in (table.counts, table.movable):
            counts[rows[:count], source] -= 1
            counts[rows[:count], target] += 1
    return count


def fill_empty(table: Table, wanted: np.ndarray) -> None:
    """Move a single image, of the class with most, to each split that large lineages left empty."""
    for split in np.flatnonzero((table.counts.sum(axis=0) == 0) & (wanted > 0)).tolist():
        source = int(np.argmax(table.movable.sum(axis=0)))
        largest = int(np.argmax(table.movable[:, source]))
        if table.movable[largest, source] and table.counts[:, source].sum() > 1:
            move(table, (source, split), [np.array([largest])])


def assign_several(frame: pd.DataFrame, wanted: np.ndarray, chosen: np.ndarray) -> None:
    """Put the number of a split into `chosen` for each image whose lineage has several.

    As long as there are lineages enough, no split stays empty.

    Args:
        frame: `lineage`, `hash`, `label` (a number) and `size` (of the lineage), by image.
        wanted: images of each class in each split.
        chosen: the numbers, to be filled in.
    """
    lacking = wanted.copy()
    several = frame[frame["size"] > 1].sort_values(
        ["size", "hash", "lineage"], ascending=[False, True, True]
    )
    empty = np.ones(wanted.shape[1], bool)
    left = frame["lineage"].nunique()
    for _, members in several.groupby("lineage", sort=False):
        own, counts = np.unique(members["label"], return_counts=True)
        gain = counts @ np.minimum(lacking[own], counts[:, None])
        if left <= empty.sum():
            gain = np.where(empty, gain, gain.min() - 1)
        split = int(np.argmax(gain))
        chosen[members.index] = split
        lacking[own, split] -= counts
        empty[split] = False
        left -= 1


def count_cells(label: pd.Series, chosen: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How many images of each class each split has been given, int64 of `shape`."""
    counts = np.zeros(shape, int)
    placed = chosen >= 0
    np.add.at(counts, (label.to_numpy()[placed], chosen[placed]), 1)
    return counts


def fill(lacking: np.ndarray, singles: np.ndarray) -> np.ndarray:
    """How many of the `singles` of each class go to each split, int64 (classes, splits).

    As many as it lacks; what is too much is taken from the largest, of equal ones from that which
    gets most of other classes; what is left goes to the first.
    """
    quotas = np.maximum(lacking, 0)
    totals = quotas.sum(axis=0)
    for number in np.flatnonzero(quotas.sum(axis=1) > singles):
        while quotas[number].sum() > singles[number]:
            largest = np.lexsort((totals, quotas[number]))[-1]
            quotas[number, largest] -= 1
            totals[largest] -= 1
    quotas[:, 0] += singles - quotas.sum(axis=1)
    return quotas
