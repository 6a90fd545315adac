import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.augment.plan import plan_by_class, plan_counts, spread_evenly
from tasks.common.errors import UserError
from tasks.variants.params import AugmentParams


def sources(**classes: int) -> pd.DataFrame:
    """So many sources of each class, with ids that do not follow their order."""
    labels = [label for label, count in classes.items() for _ in range(count)]
    ids = [f"{(number * 7919) % 100_003:016x}" for number in range(len(labels))]
    return pd.DataFrame({"source_id": ids, "label": labels})


def counted(rows: pd.DataFrame, **params: object) -> dict[str, int]:
    counts = plan_counts(rows, AugmentParams(policy=[], **params))
    return counts.groupby(rows["label"]).sum().to_dict()


def test_four_variants_of_100_sources_are_500_images() -> None:
    rows = sources(cat=100)
    table = plan_by_class(rows, plan_counts(rows, AugmentParams(policy=[], variants_per_image=4)))
    assert table.loc["cat"].to_dict() == {
        "sources": 100,
        "variants": 400,
        "training_images": 500,
        "multiplier": 5.0,
    }


def test_total_counts_the_originals() -> None:
    assert sum(counted(sources(cat=7, dog=3), total=25).values()) == 15


def test_target_per_class_balances() -> None:
    assert counted(sources(cat=10, dog=4), target_per_class=15) == {"cat": 5, "dog": 11}
    assert counted(sources(cat=10, dog=4), target_per_class="max") == {"cat": 0, "dog": 6}


def test_per_class_overrides() -> None:
    rows = sources(cat=10, dog=4, emu=2)
    override = {"dog": {"variants_per_image": 0}, "emu": {"target_per_class": 7}}
    assert counted(rows, variants_per_image=3, per_class=override) == {
        "cat": 30,
        "dog": 0,
        "emu": 5,
    }
    assert counted(rows, total=100, per_class=override) == {
        "cat": 100 - 4 - 7 - 10,
        "dog": 0,
        "emu": 5,
    }


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {"target_per_class": 8},
            "params.yaml augment.target_per_class, class 'cat': "
            "needs at least the 10 originals there are "
            "(nothing is undersampled), found 8",
        ),
        (
            {"target_per_class": 30, "max_per_image": 2},
            "params.yaml augment.target_per_class, class 'dog': "
            "30 is out of reach; max_per_image 2 allows 12",
        ),
        (
            {"total": 100, "max_per_image": 3},
            "params.yaml augment.total: 100 is out of reach; max_per_image 3 allows 56",
        ),
        (
            {"total": 13},
            "params.yaml augment.total: needs at least the 14 originals there are "
            "(nothing is undersampled), found 13",
        ),
        (
            {"variants_per_image": 1, "per_class": {"cow": {"variants_per_image": 1}}},
            "params.yaml augment.per_class 'cow': no such class in training; classes: cat, dog",
        ),
        (
            {"total": 50, "per_class": {c: {"variants_per_image": 1} for c in ("cat", "dog")}},
            "params.yaml augment.total: 50 is out of reach; per_class leaves no source to vary",
        ),
    ],
)
def test_what_cannot_be_reached_says_so(params: dict, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        counted(sources(cat=10, dog=4), **params)
    assert str(caught.value) == expected


@given(st.integers(0, 500), st.integers(1, 60))
def test_spread_is_exact_and_even(number: int, count: int) -> None:
    shares = spread_evenly(number, sources(x=count)["source_id"])
    assert shares.sum() == number
    assert shares.max() - shares.min() <= 1


@given(st.integers(0, 200), st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_order_of_the_sources_changes_nothing(number: int, count: int, random: object) -> None:
    ids = sources(x=count)["source_id"]
    shuffled = ids.sample(frac=1, random_state=random.randrange(2**31))  # type: ignore[attr-defined]
    plain = dict(zip(ids, spread_evenly(number, ids), strict=True))
    assert plain == dict(zip(shuffled, spread_evenly(number, shuffled), strict=True))


@given(st.integers(1, 300), st.integers(1, 40))
def test_one_more_source_changes_as_few_others_as_the_arithmetic_allows(
    total_new: int, count: int
) -> None:
    ids = sources(x=count + 1)["source_id"]
    before = spread_evenly(total_new, ids[:-1])
    after = spread_evenly(
        total_new - 1, ids
    )  # the new source is itself one of the images asked for
    changed = np.abs(after[:-1] - before)
    must_change = before.sum() - after[:-1].sum()
    assert changed.sum() == must_change or changed.max() <= 1
