import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.validate import split
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
