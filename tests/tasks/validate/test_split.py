import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.validate import split
from tasks.validate.exact_split import exact_split
from tasks.validate.params import ValidateParams
from tests.tasks.validate.rows import rows_of

FRACTIONS = {"train": 0.7, "validation": 0.15, "test": 0.15}


def described(rows: pd.DataFrame) -> str:
    return split.describe_splits(split.assign_splits(rows, ValidateParams()), ValidateParams())


@settings(deadline=None)  # of a machine that is busy with other tests
@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=50), st.data())
def test_a_stable_split_of_an_image_depends_on_that_image_alone(
    hashes: list[float], data: st.DataObject
) -> None:
    all_splits = split.stable_split(pd.Series(hashes), FRACTIONS)
    kept = data.draw(st.lists(st.sampled_from(range(len(hashes))), unique=True))
    part = split.stable_split(pd.Series(hashes)[kept], FRACTIONS)
    assert part.tolist() == all_splits[kept].tolist()


def test_a_stable_split_cuts_at_the_fractions() -> None:
    hashes = pd.Series([0.0, 0.6999, 0.7001, 0.8499, 0.8501, 0.9999])
    assert (
        split.stable_split(hashes, FRACTIONS).tolist()
        == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    )
    many = pd.Series([split.split_hash(42, str(number)) for number in range(20_000)])
    shares = split.stable_split(many, FRACTIONS).value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx(FRACTIONS, abs=0.01)


def test_a_given_split_is_kept_and_missing_ones_are_carved_out_of_train() -> None:
    names = [(f"train/{i}", f"t{i}", "cd"[i % 2], "train") for i in range(400)]
    names += [(f"test/{i}", f"e{i}", "cd"[i % 2], "test") for i in range(50)]
    rows = split.assign_splits(rows_of(*names), ValidateParams())
    line = split.describe_splits(rows, ValidateParams())
    pattern = (
        r"split train and test as given; of the rest "
        r"train .*% \(wanted 82%, tolerance 5.7%\), validation .*; stable"
    )
    assert re.fullmatch(pattern, line)
    assert (rows["split"] == "test").sum() == 50
    assert 40 <= (rows["split"] == "validation").sum() <= 100
    with_all = rows_of(*names, ("val/0", "v", "c", "validation"))
    with_all = split.assign_splits(with_all, ValidateParams())
    assert split.describe_splits(with_all, ValidateParams()) == split.GIVEN
    assert with_all["split"].value_counts().to_dict() == {"train": 400, "test": 50, "validation": 1}


# --- lineages -------------------------------------------------------------------------------------

SIZES = st.lists(st.integers(1, 6), min_size=3, max_size=40)


def lineages_of(sizes: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize("stratify", ["stable", "exact"])
@settings(deadline=None)  # of a machine that is busy with other tests
@given(SIZES, st.randoms(use_true_random=False))
def test_no_lineage_is_in_two_splits(stratify: str, sizes: list[int], random: object) -> None:
    lineages = lineages_of(sizes)
    rows = rows_of(
        *((str(i), f"{random.random()}", random.choice("ab"), None) for i in range(len(lineages)))
    )  # type: ignore[attr-defined]
    params = ValidateParams(stratify=stratify)
    rows = split.assign_splits(rows.assign(lineage=lineages), params)
    assert rows["split"].notna().all()
    assert (rows.groupby(lineages)["split"].nunique() == 1).all()


def test_the_smallest_sha256_of_a_lineage_decides_its_split() -> None:
    alone = pd.Series(["b", "c", "a"])
    hashes = split.lineage_hashes(42, alone, np.array([0, 1, 2]))
    assert hashes.tolist() == [split.split_hash(42, sha256) for sha256 in "bca"]
    together = split.lineage_hashes(42, pd.Series(["b", "c", "x", "a"]), np.array([0, 1, 1, 2]))
    assert together.tolist() == [
        hashes[0],
        hashes[1],
        hashes[1],
        hashes[2],
    ]  # `x` joins `c`, which stays


def test_the_tolerance_grows_with_the_lineages() -> None:
    """Three standard deviations of a share of n independent lineages: 3 sqrt(f (1 - f) / n)."""
    rows = rows_of(*((str(i), str(i), "ab"[i % 2], None) for i in range(400)))
    alone = described(rows)
    grouped = described(rows.assign(lineage=np.arange(400) // 4))
    assert "wanted 70%, tolerance 6.9%" in alone  # 3 sqrt(0.7 0.3 / 400)
    assert "wanted 70%, tolerance 13.7%" in grouped  # of 100 lineages


# --- by hand --------------------------------------------------------------------------------------


def test_a_split_hash_is_the_first_64_bits_of_a_sha256() -> None:
    # printf "split 42 cat" | sha256sum
    assert split.split_hash(42, "cat") == 0x974FA91C12773697 / 2**64
    assert split.split_hash(43, "cat") != split.split_hash(42, "cat")


def test_a_threshold_belongs_to_the_split_after_it() -> None:
    hashes = pd.Series([0.0, 0.4999, 0.5, 0.74, 0.75, 0.99], index=list("fedcba"))
    found = split.stable_split(hashes, {"train": 0.5, "validation": 0.25, "test": 0.25})
    assert found.to_dict() == {
        "f": "train",
        "e": "train",
        "d": "validation",
        "c": "validation",
        "b": "test",
        "a": "test",
    }


ASKED = ValidateParams(train=0.5, validation=0.3, test=0.2, seed=7)


@pytest.mark.parametrize(
    ("given", "named", "fractions"),
    [
        ([None], [], {"train": 0.5, "validation": 0.3, "test": 0.2}),
        (["train"], ["train"], {"train": 0.5, "validation": 0.3, "test": 0.2}),
        (["train", "test"], ["train", "test"], {"train": 0.5 / 0.8, "validation": 0.3 / 0.8}),
        ([None, "validation"], ["validation"], {"train": 0.5 / 0.7, "test": 0.2 / 0.7}),
        (["test", "validation", "train"], ["train", "validation", "test"], {}),
        (["test", "validation", None], ["validation", "test"], {}),
        (["test"], ["test"], {}),  # nothing that could be divided
    ],
)
def test_which_splits_are_made_and_of_what_size(
    given: list[str | None], named: list[str], fractions: dict[str, float]
) -> None:
    rows = rows_of(*((str(n), str(n), "a", name) for n, name in enumerate(given)))
    plan = split.plan_splits(rows, ASKED)
    assert plan.given == named and plan.fractions == pytest.approx(fractions)
    unused = rows_of(("x", "x", "a", "test"), ("y", "y", "a", None)).assign(status="quarantined")
    with_unused = pd.concat([unused, rows], ignore_index=True)
    assert split.plan_splits(with_unused, ASKED) == plan


def test_open_are_usable_images_without_a_split_and_those_of_train() -> None:
    rows = rows_of(
        ("0", "0", "a", "train"),
        ("1", "1", "a", None),
        ("2", "2", "a", "test"),
        ("3", "3", "a", "train"),
        ("4", "4", "a", None),
        ("5", "5", "a", "validation"),
    )
    rows.loc[[3, 4], "status"] = ["quarantined", "duplicate"]
    assert split.open_rows(rows).index.tolist() == [0, 1]
    # nothing is asked for a test split that is given
    rows = split.assign_splits(rows, ASKED)
    assert rows["split"][[2, 5]].tolist() == ["test", "validation"]
    assert rows["split"][[3, 4]].isna().all()
    assert rows["split"][0] == "train" and pd.isna(rows["split"][1])  # all three are given


@pytest.mark.parametrize("stratify", ["stable", "exact"])
def test_splits_are_those_of_the_seeds_hashes(stratify: str) -> None:
    rows = rows_of(*((str(n), f"{n:02}", "ab"[n % 2], None) for n in range(40)))
    params = ASKED.model_copy(update={"stratify": stratify})
    hashes = pd.Series([split.split_hash(7, sha256) for sha256 in rows["sha256"]])
    wanted = {"train": 0.5, "validation": 0.3, "test": 0.2}
    if stratify == "stable":
        expected = split.stable_split(hashes, wanted)
    else:
        expected = exact_split(hashes, rows["label"], rows["lineage"].to_numpy(), wanted)
    found = split.assign_splits(rows, params)
    assert found["split"].tolist() == expected.tolist()
    counts = split.class_counts(found)
    assert counts.columns.tolist() == ["train", "validation", "test"]
    assert counts.index.tolist() == ["a", "b"]
    assert counts.loc["a"].tolist() == [
        int(((found["split"] == name) & (found["label"] == "a")).sum()) for name in counts.columns
    ]
    if stratify == "exact":
        assert counts.to_numpy().tolist() == [[10, 6, 4]] * 2


def test_the_line_about_splits_by_hand() -> None:
    rows = rows_of(*((str(n), str(n), "a", None) for n in range(8)))
    rows["split"] = ["train"] * 5 + ["validation"] * 2 + ["test"]
    # 8 lineages: 3 sqrt(0.5 0.5 / 8) = 53.0%, 3 sqrt(0.3 0.7 / 8) = 48.6%, 3 sqrt(0.16 / 8) = 42.4%
    assert split.describe_splits(rows, ASKED) == (
        "split by content: train 62.5% (wanted 50%, tolerance 53.0%), "
        "validation 25.0% (wanted 30%, tolerance 48.6%), "
        "test 12.5% (wanted 20%, tolerance 42.4%); stable"
    )
    exact = ASKED.model_copy(update={"stratify": "exact"})
    assert split.describe_splits(rows, exact) == (
        "split by content: train 62.5% (wanted 50%), validation 25.0% (wanted 30%), "
        "test 12.5% (wanted 20%); exact"
    )
    rows["given_split"] = ["train"] * 7 + ["test"]
    assert split.describe_splits(rows, exact).startswith(
        "split train and test as given; of the rest train 71.4% (wanted 62%), "
        "validation 28.6% (wanted 37%); exact"
    )
    gone = rows.assign(status="quarantined")
    assert split.describe_splits(gone, ASKED) == "no image to split"


def test_lineages_of_several_images_scatter_more() -> None:
    assert split.spread_of(np.arange(16)) == 1 / 4
    assert split.spread_of(np.repeat(np.arange(4), 4)) == 1 / 2
    assert split.spread_of(np.array([0, 0, 0, 1])) == math.sqrt(10) / 4
    assert split.spread_of(np.empty(0, int)) == 0
