"""Split into train, validation and test: as folders or tables name them, or else by hashes.

Splits that are made here never part a lineage (see lineage.py).
"""

import hashlib
import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.dataset.columns import SPLITS
from tasks.dataset.selections import is_usable, usable
from tasks.validate.params import ValidateParams
from tasks.validate.status import quarantine

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


def exact_split(
    hashes: pd.Series, labels: pd.Series, lineages: np.ndarray, fractions: dict[str, float]
) -> pd.Series:
    """Stratified: each class is cut at the fractions (rounded).

    Lineages of several images are assigned first, the largest before others, each to the split
    that lacks most of its classes. The single images then fill what is left of each class, in
    the order of their hashes.
    """
    names = list(fractions)
    label, classes = pd.factorize(labels, sort=True)
    edges = np.rint(np.outer(np.bincount(label), np.cumsum([0, *fractions.values()])))
    lacking = np.diff(edges)  # images, (classes, splits)
    chosen = np.full(len(hashes), -1)
    frame = pd.DataFrame({"lineage": lineages, "hash": hashes.to_numpy(), "label": label})
    frame["size"] = frame.groupby("lineage")["lineage"].transform("size")
    several = frame[frame["size"] > 1].sort_values(
        ["size", "hash", "lineage"], ascending=[False, True, True]
    )
    for _, members in several.groupby("lineage", sort=False):
        counts = np.bincount(members["label"], minlength=len(classes))
        split = int(np.argmax(counts @ np.minimum(lacking, counts[:, None])))
        chosen[members.index] = split
        lacking[:, split] -= counts
    for number, members in frame[frame["size"] == 1].sort_values("hash").groupby("label"):
        cut = np.cumsum(_quotas(lacking[int(number)], len(members)))[:-1]
        chosen[members.index] = np.searchsorted(cut, np.arange(len(members)), side="right")
    return pd.Series(np.asarray(names, object)[chosen], hashes.index)


def _quotas(lacking: np.ndarray, count: int) -> np.ndarray:
    """How many of `count` images go to each split, int64 (splits,).

    As many as it lacks; what is too much is taken from the largest, what is left goes to the first.
    """
    quotas = np.maximum(lacking, 0).astype(int)
    while quotas.sum() > count:
        quotas[np.argmax(quotas)] -= 1
    quotas[0] += count - quotas.sum()
    return quotas


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
    if made == ["train"]:
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
    if plan.given:
        rows = quarantine(
            rows, rows.index[is_usable(rows) & rows["given_split"].isna()], "no_split"
        )
    splits = usable(rows)["given_split"].copy()
    if plan.fractions:
        open_rows = _open_rows(rows)
        splits.loc[open_rows.index] = _make_splits(open_rows, plan.fractions, params)
    return rows.assign(split=splits.reindex(rows.index))


def _open_rows(rows: pd.DataFrame) -> pd.DataFrame:
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


def describe_splits(rows: pd.DataFrame, params: ValidateParams) -> str:
    """How the splits of assign_splits() were decided, and their shares; GIVEN if none was made."""
    plan = plan_splits(rows, params)
    if not plan.fractions:
        return GIVEN
    made = _open_rows(rows)
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
