"""Train, validation and test: given by folders or tables, or else made here, with no lineage in two of them."""

import hashlib
import math

import numpy as np
import pandas as pd

from tasks.dataset.columns import SPLITS
from tasks.validate.params import ValidateParams

GIVEN = "the given split"
DEVIATIONS = 3  # how far from its fraction a split by hashes may lie


def split_hash(seed: int, sha256: str) -> float:
    """A number in [0, 1) that a seed and a content always share, and nothing else has a part in."""
    digest = hashlib.sha256(f"split {seed} {sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def lineage_hashes(seed: int, sha256: pd.Series, lineages: np.ndarray) -> pd.Series:
    """The hash of each row's lineage: that of its smallest SHA-256, so that another member seldom changes it."""
    smallest = sha256.groupby(lineages).transform("min")
    hashes = {value: split_hash(seed, value) for value in smallest.unique()}
    return smallest.map(hashes).astype(float)


def stable_split(hashes: pd.Series, fractions: dict[str, float]) -> pd.Series:
    """The split of each image by fixed thresholds on its hash: other images have no say in it."""
    names = list(fractions)
    edges = np.cumsum([fractions[name] for name in names])[:-1]
    return pd.Series(
        np.asarray(names, object)[np.searchsorted(edges, hashes, side="right")], hashes.index
    )


def exact_split(
    hashes: pd.Series, labels: pd.Series, lineages: np.ndarray, fractions: dict[str, float]
) -> pd.Series:
    """Stratified: each class is cut at the fractions (rounded).

    Lineages of several images are placed first, the largest before others, each where its classes lack most; the others
    fill what is left of each class, in order of their hashes.
    """
    names = list(fractions)
    label, classes = pd.factorize(labels, sort=True)
    edges = np.rint(np.outer(np.bincount(label), np.cumsum([0, *fractions.values()])))
    lacking = np.diff(edges)  # (classes, splits)
    chosen = np.full(len(hashes), -1)
    frame = pd.DataFrame(
        {
            "lineage": lineages,
            "hash": hashes.to_numpy(),
            "label": label,
            "place": range(len(hashes)),
        }
    )
    size = frame.groupby("lineage")["place"].transform("size")
    several = (
        frame[size > 1]
        .assign(size=size)
        .sort_values(["size", "hash", "lineage"], ascending=[False, True, True])
    )
    for _, members in several.groupby("lineage", sort=False):
        counts = np.bincount(members["label"], minlength=len(classes))
        split = int(np.argmax(counts @ np.minimum(lacking, counts[:, None])))
        chosen[members["place"]] = split
        lacking[:, split] -= counts
    for number, members in frame[size == 1].sort_values("hash").groupby("label"):
        cut = np.cumsum(_fill(lacking[int(number)], len(members)))[:-1]
        chosen[members["place"]] = np.searchsorted(cut, np.arange(len(members)), side="right")
    return pd.Series(np.asarray(names, object)[chosen], hashes.index)


def _fill(lacking: np.ndarray, count: int) -> np.ndarray:
    """How many of `count` images go to each split: what it lacks, and what is too much is taken from the largest."""
    places = np.maximum(lacking, 0).astype(int)
    while places.sum() > count:
        places[np.argmax(places)] -= 1
    places[0] += count - places.sum()
    return places


def assign_splits(rows: pd.DataFrame, lineages: np.ndarray, params: ValidateParams) -> str:
    """Give every ok row its split, in place: the given one, and what is lacking is carved out of train.

    Returns what was decided, in words.
    """
    usable = rows[rows["status"] == "ok"]
    rows.loc[rows["status"] != "ok", "split"] = None
    found = [split for split in SPLITS if (usable["split"] == split).any()]
    if found:
        astray = usable.index[usable["split"].isna()]
        rows.loc[astray, ["status", "reason"]] = ["quarantined", "no_split"]
        usable = usable.drop(astray)
    fractions = {
        split: getattr(params, split) for split in SPLITS if split == "train" or split not in found
    }
    if len(fractions) == 1:
        return GIVEN
    open_rows = usable[usable["split"].isna() | (usable["split"] == "train")]
    total = sum(fractions.values())
    fractions = {name: fraction / total for name, fraction in fractions.items()}
    own = lineages[open_rows.index]
    hashes = lineage_hashes(params.seed, open_rows["sha256"], own)
    if params.stratify == "exact":
        splits, spread = exact_split(hashes, open_rows["label"], own, fractions), 0.0
    else:
        splits, spread = stable_split(hashes, fractions), spread_of(own)
    rows.loc[open_rows.index, "split"] = splits
    origin = f"{' and '.join(found)} as given; of the rest " if found else "by content: "
    return f"split {origin}{_shares(splits, fractions, spread)}; {params.stratify}"


def spread_of(lineages: np.ndarray) -> float:
    """How far shares that are drawn lineage by lineage scatter: 1 / sqrt(n) for n lineages of one size."""
    sizes = np.bincount(lineages).astype(float)
    return math.sqrt(float((sizes**2).sum())) / max(len(lineages), 1)


def _shares(splits: pd.Series, fractions: dict[str, float], spread: float) -> str:
    """Each split's share beside what was asked for, and how far apart the two may lie by chance."""
    words = []
    for name, fraction in fractions.items():
        tolerance = DEVIATIONS * math.sqrt(fraction * (1 - fraction)) * spread
        asked = f"wanted {fraction:.0%}" + (f", tolerance {tolerance:.1%}" if spread else "")
        words.append(f"{name} {(splits == name).mean():.1%} ({asked})")
    return ", ".join(words)
