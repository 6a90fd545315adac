"""Checks: what is odd about classes and images, told as warnings or, where asked, as failures.

The measures are those that cleanvision has for odd images (blank, blurred, dark, bright, odd sizes). They are taken
when an image is decoded (see look.py): a second decoding would take as long as the first.
"""

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.dataset.split_names import SPLIT_WORDS
from tasks.validate.params import THRESHOLDS, CheckName, ValidateParams

BLURRED_FROM = 64  # pixels, the shorter side: smaller images have no sharpness to speak of


class Finding(NamedTuple):
    """What a check found. `images`: places of rows, where it is about images; `fails`: the run is to fail."""

    check: CheckName
    text: str
    images: pd.Index
    fails: bool


def run_checks(rows: pd.DataFrame, params: ValidateParams) -> list[Finding]:
    """What every check that is on finds among `rows`, which have the columns of the validated manifest."""
    findings = []
    usable = rows[rows["status"] == "ok"]
    for name in THRESHOLDS:
        then, threshold = params.check(name)
        if then == "off":
            continue
        if name in OF_CLASSES:
            texts = OF_CLASSES[name](rows, threshold)
            findings += [Finding(name, text, pd.Index([]), then == "fail") for text in texts]
        else:
            say, select = OF_IMAGES[name]
            found = usable.index[select(usable, threshold)]
            if len(found):
                count = f"{len(found):,} image{'s' if len(found) > 1 else ''}"
                text = f"{say.format(threshold)}: {count}, {rows['file_name'][found[0]]} for one"
                findings.append(Finding(name, text, found, then == "fail"))
    return findings


# --- of classes and the whole -------------------------------------------------------------------------------------


def _few_images(rows: pd.DataFrame, least: float) -> list[str]:
    counts = _usable_per_class(rows)
    return [
        f"class {label!r} has {count:,} usable images, fewer than {least:g}"
        for label, count in counts.items()
        if count < least
    ]


def _imbalance(rows: pd.DataFrame, most: float) -> list[str]:
    counts = _usable_per_class(rows)
    counts = counts[counts > 0]
    if counts.empty or counts.max() <= most * counts.min():
        return []
    large, small = counts.idxmax(), counts.idxmin()
    return [
        f"class {large!r} has {counts.max():,} images and {small!r} {counts.min():,}: over {most:g} times as many"
    ]


def _usable_per_class(rows: pd.DataFrame) -> pd.Series:
    """How many images of each class can be used, 0 among them."""
    usable = rows.loc[rows["status"] == "ok", "label"].value_counts()
    return usable.reindex(sorted(rows["label"].dropna().unique()), fill_value=0)


def _class_names(rows: pd.DataFrame, _: float) -> list[str]:
    """Names that people take for one: equal but for case, blanks, - and _, or Unicode form."""
    labels = pd.Series(sorted(rows["label"].dropna().unique()), dtype=object)
    plain = labels.map(
        lambda text: unicodedata.normalize("NFKC", text).casefold().translate(SKIPPED)
    )
    alike = labels.groupby(plain).agg(list)
    splits = [label for label in labels if label.lower() in SPLIT_WORDS]
    texts = (
        [f"classes {', '.join(map(repr, splits))} have names of splits: is that what they are?"]
        if splits
        else []
    )
    return texts + [
        f"classes {' and '.join(map(repr, names))} differ in case or blanks alone"
        for names in alike
        if len(names) > 1
    ]


SKIPPED = str.maketrans("", "", " \t-_\u00a0")


def _quarantined(rows: pd.DataFrame, most: float) -> list[str]:
    count = int((rows["status"] == "quarantined").sum())
    if count <= most * len(rows):
        return []
    return [f"{count:,} of {len(rows):,} images are quarantined, over {most:.0%}"]


def _large_cluster(rows: pd.DataFrame, most: float) -> list[str]:
    sizes = rows.loc[rows["status"] == "ok", "cluster"].value_counts()
    names = rows.drop_duplicates("source_id").set_index("source_id")["file_name"]
    return [
        f"{size:,} images look the same as {names[cluster]}, over {most:.0%} of the set"
        for cluster, size in sizes.items()
        if size > max(most * len(rows), 2)
    ]


OF_CLASSES: dict[str, Callable[[pd.DataFrame, float], list[str]]] = {
    "few_images": _few_images,
    "imbalance": _imbalance,
    "class_names": _class_names,
    "quarantined": _quarantined,
    "large_cluster": _large_cluster,
}


# --- of images ----------------------------------------------------------------------------------------------------


def _sides(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["width", "height"]].astype(float)


def _odd_size(rows: pd.DataFrame, times: float) -> pd.Series:
    pixels = np.log(_sides(rows).prod(axis=1))
    return (pixels - pixels.median()).abs() > np.log(max(times, 1))


def _odd_channels(rows: pd.DataFrame, least: float) -> pd.Series:
    kinds = rows["channels"].astype(str) + " " + rows["bits"].astype(str)
    return kinds.map(kinds.value_counts(normalize=True)).astype(float) < least


def _blurred(rows: pd.DataFrame, least: float) -> pd.Series:
    return (rows["sharpness"] < least) & (_sides(rows).min(axis=1) >= BLURRED_FROM)


def _deviations(values: pd.Series) -> pd.Series:
    """How far each value lies from the median, in deviations of the middle half: outliers do not hide themselves.

    Source: B. Iglewicz, D. Hoaglin, "How to Detect and Handle Outliers", ASQC 1993: the modified z-score.
    """
    away = values - values.median()
    return 0.6745 * away / max(away.abs().median(), 1.0)


Select = Callable[[pd.DataFrame, float], pd.Series]
OF_IMAGES: dict[str, tuple[str, Select]] = {
    "tiny": (
        "a side of less than {:g} pixels",
        lambda rows, least: _sides(rows).min(axis=1) < least,
    ),
    "huge": ("a side of more than {:g} pixels", lambda rows, most: _sides(rows).max(axis=1) > most),
    "blank": ("blank (contrast below {:g})", lambda rows, least: rows["contrast"] < least),
    "blurred": ("blurred (sharpness below {:g})", _blurred),
    "dark": (
        "darker than the rest by {:g} deviations",
        lambda rows, most: -_deviations(rows["brightness"]) > most,
    ),
    "bright": (
        "brighter than the rest by {:g} deviations",
        lambda rows, most: _deviations(rows["brightness"]) > most,
    ),
    "odd_size": ("{:g} times as many pixels as the median, or as few", _odd_size),
    "odd_channels": ("channels or bits that less than {:.0%} of all have", _odd_channels),
}
