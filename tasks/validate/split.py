"""Split into train, validation and test: as folders or tables name them, or else by hashes.

Splits that are made here never part a lineage (see lineage.py).
"""

import hashlib
import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.dataset.columns import SPLITS
from tasks.dataset.selections import count_by_class, is_usable, usable
from tasks.validate.exact_split import exact_split
from tasks.validate.params import ValidateParams

GIVEN = "the given split"
DEVIATIONS = 3  # standard deviations: how far from its fraction a split by hashes may lie


def split_hash(seed: int, sha256: str) -> float:
    """A number in [0, 1) that depends on the seed and the image's bytes alone."""
    digest = hashlib.sha256(f"split {seed} {sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def lineage_hashes(seed: int, sha256: pd.Series, lineages: np.ndarray) -> pd.Series:
    """The split_hash() of each row's lineage: that of the smallest SHA-256 in it.

    So a further member seldom changes the hash of a lineage.
    """
    smallest = sha256.groupby(lineages).transform("min")
    hashes = {value: split_hash(seed, value) for value in smallest.unique()}
    return smallest.map(hashes).astype(float)


def stable_split(hashes: pd.Series, fractions: dict[str, float]) -> pd.Series:
    """The split of each image by fixed thresholds on its hash, whatever other images there are."""
    names = np.asarray(list(fractions), object)
    thresholds = np.cumsum(list(fractions.values()))[:-1]
    return pd.Series(names[np.searchsorted(thresholds, hashes, side="right")], hashes.index)


class SplitPlan(NamedTuple):
    """Which splits the dataset names itself, and the fractions of those that are made here.

    The fractions add up to one; there are none where nothing is left to make.
    """

    given: list[str]
    fractions: dict[str, float]


def plan_splits(rows: pd.DataFrame, params: ValidateParams) -> SplitPlan:
    """Splits that usable images are given stay; those that lack are carved out of train."""
    names = set(usable(rows)["given_split"].dropna())
    given = [split for split in SPLITS if split in names]
    made = [split for split in SPLITS if split == "train" or split not in names]
    if made == ["train"] or open_rows(rows).empty:
        return SplitPlan(given, {})
    total = sum(getattr(params, split) for split in made)
    return SplitPlan(given, {split: getattr(params, split) / total for split in made})


def assign_splits(rows: pd.DataFrame, params: ValidateParams) -> pd.DataFrame:
    """Give every usable image its `split`, and none to the others.

    Args:
        rows: the table with `given_split` and `lineage`.
        params: of the stage.
    """
    plan = plan_splits(rows, params)
    splits = usable(rows)["given_split"].copy()
    if plan.fractions:
        made = open_rows(rows)
        splits.loc[made.index] = _make_splits(made, plan.fractions, params)
    return rows.assign(split=splits.reindex(rows.index))


def open_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The usable images whose split is decided here, where there is any to make."""
    given = rows["given_split"]
    return rows[is_usable(rows) & (given.isna() | (given == "train"))]


def _make_splits(
    rows: pd.DataFrame, fractions: dict[str, float], params: ValidateParams
) -> pd.Series:
    lineages = rows["lineage"].to_numpy()
    hashes = lineage_hashes(params.seed, rows["sha256"], lineages)
    if params.stratify == "exact":
        return exact_split(hashes, rows["label"], lineages, fractions)
    return stable_split(hashes, fractions)


def class_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Usable images, int64: a row per class that has any, a column per split."""
    return count_by_class(usable(rows), "split", list(SPLITS))


def describe_splits(rows: pd.DataFrame, params: ValidateParams) -> str:
    """How the splits of assign_splits() were decided, and their shares; GIVEN if none was made."""
    if usable(rows).empty:
        return "no image to split"
    plan = plan_splits(rows, params)
    if not plan.fractions:
        return GIVEN
    made = open_rows(rows)
    spread = 0.0 if params.stratify == "exact" else spread_of(made["lineage"].to_numpy())
    shares = _shares(made["split"], plan.fractions, spread)
    origin = f"{' and '.join(plan.given)} as given; of the rest " if plan.given else "by content: "
    return f"split {origin}{shares}; {params.stratify}"


def spread_of(lineages: np.ndarray) -> float:
    """How far shares that are drawn lineage by lineage scatter.

    1 / sqrt(n) for n lineages of one size.
    """
    sizes = np.bincount(lineages).astype(float)
    return math.sqrt(float((sizes**2).sum())) / max(len(lineages), 1)


def _shares(splits: pd.Series, fractions: dict[str, float], spread: float) -> str:
    """Each split's share with the fraction asked for, and how far they may differ by chance."""
    words = []
    for name, fraction in fractions.items():
        tolerance = DEVIATIONS * math.sqrt(fraction * (1 - fraction)) * spread
        asked = f"wanted {fraction:.0%}" + (f", tolerance {tolerance:.1%}" if spread else "")
        words.append(f"{name} {(splits == name).mean():.1%} ({asked})")
    return ", ".join(words)
