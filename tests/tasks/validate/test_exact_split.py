from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.validate.exact_split import (
    Table,
    assign_several,
    count_cells,
    exact_split,
    fill,
    fill_empty,
    follow_circle,
    follow_path,
    has_in_test,
    movers,
    round_classes,
    round_total,
)
from tasks.validate.split import split_hash

FRACTIONS = {"train": 0.7, "validation": 0.15, "test": 0.15}
SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=40)  # of classes
SHARES = st.sampled_from([(0.7, 0.15, 0.15), (0.6, 0.3, 0.1), (0.34, 0.33, 0.33), (0.8, 0.2)])


def divide(
    labels: list, lineages: np.ndarray | None = None, fractions: dict = FRACTIONS
) -> pd.Series:
    numbers = np.arange(len(labels)) if lineages is None else lineages
    hashes = pd.Series([split_hash(42, str(number)) for number in numbers])
    return exact_split(hashes, pd.Series(labels), numbers, fractions)


def counted(labels: list, splits: pd.Series, names: list[str]) -> np.ndarray:
    """How many images each class, in order, has in each split."""
    table = pd.crosstab(pd.Series(labels), splits)
    return table.reindex(columns=names, fill_value=0).to_numpy()


def named(shares: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(FRACTIONS, shares, strict=False))


@pytest.mark.parametrize(
    ("classes", "size", "totals"),
    [
        (100, 3, [210, 45, 45]),
        (10, 4, [28, 6, 6]),
        (10, 5, [35, 7, 8]),  # 35, 7.5, 7.5
        (10, 10, [70, 15, 15]),
        (1, 3, [2, 0, 1]),
        (3, 100, [210, 45, 45]),
        (20_000, 1, [14_000, 3_000, 3_000]),
    ],
)
def test_the_totals_are_those_of_the_fractions(classes: int, size: int, totals: list) -> None:
    splits = divide(np.repeat(np.arange(classes), size).tolist())
    assert [int((splits == name).sum()) for name in FRACTIONS] == totals


@given(SIZES, SHARES)
def test_rows_columns_and_cells_are_all_rounded_values_of_theirs(
    sizes: list[int], shares: tuple[float, ...]
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes).tolist()
    fractions = named(shares)
    found = counted(labels, divide(labels, fractions=fractions), list(fractions))
    exact = np.round(np.outer(sizes, shares), 9)
    assert (found.sum(axis=1) == sizes).all()
    assert (found >= np.floor(exact)).all() and (found <= np.ceil(exact)).all()
    assert found.sum(axis=0).tolist() == round_total(len(labels), np.array(shares)).tolist()
    total = len(labels) * np.array(shares)
    remainders = np.round(total % 1, 6) % 1
    raised = found.sum(axis=0) > np.round(total, 6)  # the largest remainders are rounded up
    assert min(remainders[raised], default=1) >= max(remainders[~raised], default=0)


def least_lacking(sizes: list[int], fractions: dict[str, float]) -> int:
    """How many classes of three or more images lack one in test, at least.

    Of all tables whose cells, rows and totals are rounded values: class by class, from the totals
    reached so far to the fewest classes that lack one.
    """
    shares = np.array(list(fractions.values()))
    wanted = tuple(round_total(sum(sizes), shares).tolist())
    reached = {(0,) * len(shares): 0}
    for size in sizes:
        exact = np.round(size * shares, 9)
        cells = product(*({int(np.floor(each)), int(np.ceil(each))} for each in exact))
        rows = [row for row in cells if sum(row) == size]
        after: dict[tuple[int, ...], int] = {}
        for (totals, lacking), row in product(reached.items(), rows):
            sums = tuple(map(sum, zip(totals, row, strict=True)))
            count = lacking + (size >= 3 and row[-1] == 0)
            after[sums] = min(count, after.get(sums, count))
        reached = after
    return reached[wanted]


@given(SIZES.map(lambda sizes: sizes[:8]))
@example([3, 3, 12])  # three test images are asked for, and 12 cannot spare its second
def test_as_few_classes_of_three_lack_a_test_image_as_the_totals_allow(sizes: list[int]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes).tolist()
    found = counted(labels, divide(labels), list(FRACTIONS))
    lacking = (np.array(sizes) >= 3) & (found[:, 2] == 0)
    assert lacking.sum() == least_lacking(sizes, FRACTIONS)


def test_not_the_same_classes_lose_with_other_images() -> None:
    labels = np.repeat(np.arange(100), 3)
    tested = []
    for seed in (1, 2):
        hashes = pd.Series([split_hash(seed, str(number)) for number in range(300)])
        splits = exact_split(hashes, pd.Series(labels), np.arange(300), FRACTIONS)
        tested.append(set(labels[splits == "test"].tolist()))
    assert len(tested[0]) == len(tested[1]) == 45 and tested[0] != tested[1]
    assert max(tested[0]) > 80 and min(tested[0]) < 20  # neither the first nor the last


@given(SIZES, st.randoms(use_true_random=False))
def test_the_order_of_the_images_changes_nothing(sizes: list[int], random: object) -> None:
    labels = pd.Series(np.repeat(np.arange(len(sizes)), sizes))
    hashes = pd.Series([split_hash(42, str(number)) for number in range(len(labels))])
    order = list(range(len(labels)))
    random.shuffle(order)  # type: ignore[attr-defined]
    first = exact_split(hashes, labels, np.arange(len(labels)), FRACTIONS)
    other = exact_split(hashes[order], labels[order], np.array(order, int), FRACTIONS)
    assert other[first.index].tolist() == first.tolist()


# --- lineages of several images -------------------------------------------------------------------


@given(st.lists(st.sampled_from("abc"), min_size=40, max_size=120), st.integers(0, 10))
def test_pairs_among_single_images_leave_totals_and_classes_exact(
    labels: list[str], pairs: int
) -> None:
    lineages = np.arange(len(labels))
    lineages[1 : 2 * pairs : 2] = lineages[: 2 * pairs : 2]
    splits = divide(labels, lineages)
    found = np.array([(splits == name).sum() for name in FRACTIONS])
    wanted = round_total(len(labels), np.array(list(FRACTIONS.values())))
    assert np.abs(found - wanted).max() <= 1
    assert (splits.groupby(lineages).nunique() == 1).all()


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 15)), min_size=6, max_size=40),
    st.randoms(use_true_random=False),
)
def test_the_order_of_lineages_changes_nothing(images: list[tuple], random: object) -> None:
    labels = pd.Series([label for label, _ in images])
    lineages = np.array([number for _, number in images])
    hashes = pd.Series([split_hash(42, str(number)) for number in lineages])
    first = exact_split(hashes, labels, pd.factorize(lineages)[0], FRACTIONS)
    order = list(range(len(images)))
    random.shuffle(order)  # type: ignore[attr-defined]
    numbers = pd.factorize(lineages[order])[0]
    other = exact_split(hashes[order], labels[order], numbers, FRACTIONS)
    assert other[first.index].tolist() == first.tolist()


@pytest.mark.parametrize(
    ("lineages", "totals"),
    [
        (np.repeat([0, 1, 2], 100), [100, 100, 100]),  # none stays empty
        (np.r_[np.zeros(300, int), 1, 2], [300, 1, 1]),
        (np.repeat(np.arange(30), 10), [210, 40, 50]),  # 210, 45, 45: in tens
    ],
)
def test_large_lineages_fill_each_split_as_nearly_as_they_can(
    lineages: np.ndarray, totals: list[int]
) -> None:
    splits = divide(["a"] * len(lineages), lineages)
    assert sorted((splits == name).sum() for name in FRACTIONS) == sorted(totals)


def test_two_classes_of_one_large_lineage_each_fill_both_small_splits() -> None:
    lineages = np.r_[np.zeros(150, int), np.ones(150, int), 2, 3]
    labels = ["a"] * 150 + ["b"] * 150 + ["a", "b"]
    splits = divide(labels, lineages)
    assert sorted(splits[-2:]) == ["test", "validation"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), min_size=12, max_size=60))
def test_no_split_stays_empty_where_there_are_three_lineages(images: list[tuple]) -> None:
    lineages = pd.factorize(np.array([number for _, number in images]))[0]
    splits = divide([label for label, _ in images], lineages)
    assert splits.nunique() == min(3, len(set(lineages)))


# --- the steps, by hand ---------------------------------------------------------------------------


def test_of_equal_remainders_the_later_split_is_rounded_up() -> None:
    assert round_total(10, np.array([0.5, 0.25, 0.25])).tolist() == [5, 2, 3]
    assert round_total(11, np.array([0.5, 0.25, 0.25])).tolist() == [5, 3, 3]
    assert round_total(300, np.array([0.7, 0.15, 0.15])).tolist() == [210, 45, 45]
    assert round_total(0, np.array([0.7, 0.3])).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        ([2.1, 0.45, 0.45], [2, 0, 1]),
        ([1.5, 1.2, 0.3], [1, 1, 1]),
        ([1.4, 0.8, 0.8], [1, 1, 1]),
        ([0.7, 0.15, 0.15], [1, 0, 0]),
        ([1.4, 0.5, 0.1], [1, 1, 0]),  # two images: test may lack one
        ([2.1, 0.7, 0.2], [2, 0, 1]),  # three: test comes first
        ([3.0, 1.0, 0.0], [3, 1, 0]),  # unless no fraction of it is asked for
        ([3.5, 1.3, 1.2], [4, 1, 1]),  # it has one already
    ],
)
def test_a_class_is_rounded_by_its_largest_remainders_and_test_first(
    exact: list[float], rounded: list[int]
) -> None:
    assert round_classes(np.array([exact])).tolist() == [rounded]


def table(
    counts: list, exact: list, movable: list | None = None, hashes: list | None = None
) -> Table:
    return Table(
        np.array(counts),
        np.array(counts if movable is None else movable),
        np.array(exact, float),
        np.array(hashes or np.arange(len(counts)) / 10),
    )


def test_images_move_only_within_the_rounded_values_of_their_fractions() -> None:
    exact = [[3.5, 1.5], [3.0, 2.0], [3.5, 1.5], [3.2, 1.8]]
    # the second may not move at all, the third stands at its lower value, the fourth's are bound
    found = table([[4, 1], [3, 2], [3, 2], [4, 1]], exact, [[4, 1], [3, 2], [3, 2], [0, 1]])
    assert movers(found, 0, 1).tolist() == [0]
    assert movers(found, 1, 0).tolist() == [2]


def test_who_moves_first_gains_a_test_image_then_comes_nearest_then_has_the_smaller_hash() -> None:
    exact = [[2.6, 0.4], [2.2, 0.8], [5.4, 1.6], [2.2, 0.8], [1.6, 0.4]]
    found = table([[3, 0], [3, 0], [6, 1], [3, 0], [2, 0]], exact, hashes=[0.1, 0.9, 0, 0.3, 0.2])
    # 0, 1 and 3 are large and have none; 4 has two images alone
    assert movers(found, 0, 1).tolist() == [3, 1, 0, 2, 4]
    assert has_in_test(found, 0).tolist() == [True, True, False, True, False]
    assert has_in_test(found, 1).tolist() == [False, False, True, False, False]
    # out of test: who would lose the only one comes last
    found = table([[2, 1], [5, 2], [5, 2]], [[2.1, 0.9], [5.4, 1.6], [5.2, 1.8]])
    assert movers(found, 1, 0).tolist() == [1, 2, 0]


def test_images_follow_a_path_from_too_many_to_too_few() -> None:
    exact = [[2.5, 1.5], [2.5, 1.5], [2.5, 1.5]]
    found = table([[3, 1]] * 3, exact, hashes=[0.3, 0.1, 0.2])
    wanted = np.array([7, 5])
    assert follow_path(found, (1, 0), wanted) == 0
    assert follow_path(found, (0, 1), wanted) == 2
    assert found.counts.tolist() == [[3, 1], [2, 2], [2, 2]]
    assert follow_path(found, (0, 1), wanted) == 0
    # by way of a third split, where no class can move at once
    found = table([[3, 1, 1], [3, 1, 1]], [[2.5, 1.5, 1], [3, 1.5, 0.5]], hashes=[0, 1])
    found.counts[1] = [3, 2, 0]
    found.movable[1] = [3, 2, 0]
    assert follow_path(found, (0, 2), np.array([5, 3, 2])) == 0
    assert follow_path(found, (0, 1, 2), np.array([5, 3, 2])) == 1
    assert found.counts.tolist() == found.movable.tolist() == [[2, 2, 1], [3, 1, 1]]


def test_a_class_that_lacks_a_test_image_gets_that_of_one_that_has_two() -> None:
    exact = [[2.5, 0.5], [3.5, 1.5], [1.5, 0.5]]
    found = table([[3, 0], [3, 2], [2, 0]], exact)
    assert follow_circle(found, (0, 1, 0)) == 1
    assert found.counts.tolist() == [[2, 1], [4, 1], [2, 0]]  # two images need none
    assert follow_circle(found, (0, 1, 0)) == 0
    one_each = table([[3, 0], [2, 1]], [[2.5, 0.5], [2.5, 0.5]])
    assert follow_circle(one_each, (0, 1, 0)) == 0  # nobody's only one


def test_an_empty_split_gets_an_image_of_the_class_with_most() -> None:
    found = table([[3, 0, 1], [5, 0, 0]], [[2, 1, 1], [4, 1, 0]], [[3, 0, 1], [4, 0, 0]])
    fill_empty(found, np.array([6, 2, 1]))
    assert found.counts.tolist() == [[3, 0, 1], [4, 1, 0]]
    assert found.movable.tolist() == [[3, 0, 1], [3, 1, 0]]
    fill_empty(found, np.array([6, 2, 1]))
    assert found.counts.tolist() == [[3, 0, 1], [4, 1, 0]]
    nobody = table([[5, 0]], [[4, 1]], [[0, 0]])  # one lineage
    fill_empty(nobody, np.array([4, 1]))
    assert nobody.counts.tolist() == [[5, 0]]
    last = table([[1, 0]], [[0.5, 0.5]])
    fill_empty(last, np.array([0, 1]))
    assert last.counts.tolist() == [[1, 0]]  # no other split is emptied for it
    unwanted = table([[5, 0]], [[5, 0]])
    fill_empty(unwanted, np.array([5, 0]))
    assert unwanted.counts.tolist() == [[5, 0]]


def test_single_images_fill_what_is_lacking() -> None:
    assert fill(np.array([[3, 1, 1]]), np.array([5])).tolist() == [[3, 1, 1]]
    assert fill(np.array([[3, 1, 1]]), np.array([7])).tolist() == [[5, 1, 1]]
    assert fill(np.array([[3, 1, 1]]), np.array([3])).tolist() == [[1, 1, 1]]
    # a split that large lineages have filled beyond what is wanted takes none
    assert fill(np.array([[3, -1, 1]]), np.array([3])).tolist() == [[2, 0, 1]]
    # of equal ones that which gets most of other classes
    assert fill(np.array([[2, 2], [0, 5]]), np.array([3, 5])).tolist() == [[2, 1], [0, 5]]
    assert fill(np.array([[2, 2], [5, 0]]), np.array([3, 5])).tolist() == [[1, 2], [5, 0]]
    assert fill(np.array([[2, 2], [3, 1]]), np.array([1, 4])).tolist() == [[0, 1], [3, 1]]


def test_large_lineages_go_first_and_where_most_of_their_classes_is_lacking() -> None:
    frame = pd.DataFrame(
        {
            "lineage": [7, 7, 7, 8, 8, 9, 5, 5],
            "hash": [0.9] * 3 + [0.5] * 2 + [0.1] + [0.2] * 2,
            "label": [0, 0, 1, 1, 1, 0, 0, 0],
            "size": [3, 3, 3, 2, 2, 1, 2, 2],
        }
    )
    chosen = np.full(8, -1)
    # lineage 7: gains 3 in the first split, 1 in the second. Then 5, of the smaller hash: the
    # first split lacks none of its class any more, the second one. Then 8: two of class 1 in the
    # first, where two are lacking still.
    assign_several(frame, np.array([[2, 1], [3, 0]]), chosen)
    assert chosen.tolist() == [0, 0, 0, 0, 0, -1, 1, 1]
    assert count_cells(frame["label"], chosen, (2, 2)).tolist() == [[2, 2], [3, 0]]
    # as many empty splits as lineages: each gets one
    chosen = np.full(8, -1)
    assign_several(frame, np.array([[4, 0, 0, 0], [4, 0, 0, 0]]), chosen)
    assert chosen.tolist() == [0, 0, 0, 2, 2, -1, 1, 1]
