import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.validate.exact_split import exact_split, round_total
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


@given(SIZES)
def test_no_class_of_three_lacks_a_test_image_that_another_need_not_have(sizes: list[int]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes).tolist()
    found = counted(labels, divide(labels), list(FRACTIONS))
    large = np.array(sizes) >= 3
    lacking = large & (found[:, 2] == 0)
    spare = (found[:, 2] > np.floor(np.round(0.15 * np.array(sizes), 9))) & (
        (found[:, 2] > 1) | ~large
    )
    assert not (lacking.any() and spare.any())


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
