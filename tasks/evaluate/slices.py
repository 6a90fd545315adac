"""Accuracy within slices of the test split: by size, light, folder, group and near-duplicates."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact

from tasks.evaluate.intervals import effective_units, independent_units, wilson
from tasks.evaluate.metrics import Outcomes

LEAST_IMAGES = 20  # of a slice: fewer say next to nothing
QUARTERS = 4
MEASURED = ("pixels", "brightness", "contrast", "sharpness")
MOST_BY_CHANCE = 0.05  # how often any slice at all may be marked though none differs


class Slice(NamedTuple):
    """Some of the test images. `by`: what they have in common; `name`: which value of it."""

    by: str
    name: str
    rows: np.ndarray  # their places among the test images


def summarise_slices(test: pd.DataFrame, outcomes: Outcomes) -> dict[str, Any]:
    """The accuracy of each slice, and whether it differs from that of all other images.

    Each is compared with the rest by Fisher's exact test, in independent units; its p is corrected
    for the number of slices (S. Holm, "A Simple Sequentially Rejective Multiple Test
    Procedure", 1979). Images of a rare class may lie in one slice: it says where, not why.

    Args:
        test: the rows of the validated manifest, in the order of `outcomes`.
        outcomes: of the test images.

    Returns:
        `slices`, a list of by, name, images, accuracy with accuracy_low and accuracy_high,
        accuracy_of_rest, p (corrected) and differs; `too_small`: how many slices have fewer than
        LEAST_IMAGES images, and are left out.
    """
    units = independent_units(test)
    sizes = np.bincount(units)
    found = list(_slices(test))
    large = [each for each in found if len(each.rows) >= LEAST_IMAGES]
    rows = [_row(each, outcomes.correct, units, sizes) for each in large]
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row |= {"p": round(p, 6), "differs": p < MOST_BY_CHANCE}
    return {"slices": rows, "too_small": len(found) - len(large)}


def _row(each: Slice, correct: np.ndarray, units: np.ndarray, sizes: np.ndarray) -> dict[str, Any]:
    """A row of summarise_slices(); `sizes`: how many images each unit has."""
    images, hits = len(each.rows), int(correct[each.rows].sum())
    share, rest = hits / images, (int(correct.sum()) - hits) / (len(correct) - images)
    own, inside = np.unique(units[each.rows], return_counts=True)
    of_units = effective_units(inside)
    of_rest = _units_of_rest(sizes, own, inside)
    table = [_right_and_wrong(share, of_units, rest), _right_and_wrong(rest, of_rest, share)]
    low, high = wilson(share, of_units)
    return {
        "by": each.by,
        "name": each.name,
        "images": images,
        "accuracy": round(share, 6),
        "accuracy_low": round(float(low), 6),
        "accuracy_high": round(float(high), 6),
        "accuracy_of_rest": round(rest, 6),
        "p": float(fisher_exact(table)[1]),
    }


def _units_of_rest(sizes: np.ndarray, units: np.ndarray, inside: np.ndarray) -> float:
    """As how many units the images outside a slice count, see effective_units().

    Args:
        sizes: how many images each unit has.
        units: those with images in the slice.
        inside: how many each of them has there.
    """
    left = (sizes[units] - inside).astype(float)
    squares = (sizes.astype(float) ** 2).sum() - (sizes[units].astype(float) ** 2 - left**2).sum()
    return float((sizes.sum() - inside.sum()) ** 2 / max(1.0, squares))


def _right_and_wrong(share: float, units: float, other: float) -> list[int]:
    """How many of so many units are recognised and how many are not.

    Rounded towards the share `other`, with which it is compared: rounding makes no difference.
    """
    count = max(1, round(units))
    right = round(share * count, 6)  # without what floats add to a whole number
    rounded = math.ceil(right) if share < other else math.floor(right)
    return [rounded, count - rounded]


def holm(p_values: list[float]) -> list[float]:
    """The p-values, each as it is after the correction of Holm for their number."""
    order = np.argsort(p_values, kind="stable")
    steps = np.array(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()


def _slices(test: pd.DataFrame) -> Iterator[Slice]:
    """All slices of all kinds; of a kind of which all images are one slice, none."""
    sized = test.assign(pixels=test["width"].astype("int64") * test["height"])
    for by in MEASURED:
        yield from _each(by, _quarters(sized[by]))
    alike = test["cluster"].notna().map({True: "looks like another image", False: "stands alone"})
    yield from _each("near-duplicates", alike)
    yield from _each("folder", folders(test))
    yield from _each("group", test["group_id"])


def _each(by: str, names: pd.Series) -> Iterator[Slice]:
    codes, known = pd.factorize(names, sort=True)
    counts = np.bincount(codes[codes >= 0], minlength=len(known))
    if len(names) in counts:
        return
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(counts) + (codes < 0).sum()
    for name, end, count in zip(known, ends, counts, strict=True):
        yield Slice(by, str(name), order[end - count : end])


def _quarters(values: pd.Series) -> pd.Series:
    """The quarter of each value, in words; equal values lie in one."""
    cuts = pd.qcut(values.astype(float), QUARTERS, duplicates="drop")
    names = [
        f"{number} of {len(cuts.cat.categories)}: {_ends(values[(cuts == part).to_numpy()])}"
        for number, part in enumerate(cuts.cat.categories, 1)
    ]
    return cuts.cat.rename_categories(names).astype(object)


def _ends(values: pd.Series) -> str:
    if not len(values):
        return "none"
    digits = ",.0f" if values.max() >= 1000 else ".4g"
    return f"{values.min():{digits}} to {values.max():{digits}}"


def folders(rows: pd.DataFrame) -> pd.Series:
    """The folder or container of each image, without the parts that name its class."""
    places = rows["container"].fillna(rows["file_name"].str.rpartition("/")[0])
    named = [_without(label, place) for place, label in zip(places, rows["label"], strict=True)]
    return pd.Series(named, rows.index).replace("", ".")


def _without(label: str, place: str) -> str:
    return "/".join(part for part in place.split("/") if part != label)
