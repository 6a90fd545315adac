"""Checks: what is odd about classes and images, as warnings or, where asked, as failures.

The measures are those that cleanvision has for odd images (blank, blurred, dark, bright, odd
sizes). They are taken when an image is decoded (see measure.py): decoding it a second time would
take as long as the first.
"""

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.common.texts import counted, noun
from tasks.dataset.clutter import is_document
from tasks.dataset.selections import count_by_class, quarantined, usable
from tasks.dataset.split_names import split_of_folder
from tasks.pixels.decode import CUT_TO_8_BITS
from tasks.pixels.preprocess import Range
from tasks.validate.params import THRESHOLDS, CheckName, ValidateParams

BLURRED_FROM = 64  # pixels, the shorter side: in smaller images sharpness means nothing
DEEPEST = 65_535  # the largest sample of 16 bits
DETECTOR_BITS = (8, 10, 12, 14)  # of detectors whose samples are stored in 16
NEARLY_ALL = 0.9
# Checks of grey levels: of 16-bit images that use little of their range, all find all of them.
TONE_CHECKS = ("blank", "blurred", "dark", "bright")


class Finding(NamedTuple):
    """What a check found.

    `images`: index labels of the odd images, none for a finding about classes; `fails`: whether
    the run is to fail.
    """

    check: CheckName
    text: str
    images: pd.Index
    fails: bool


def run_checks(rows: pd.DataFrame, params: ValidateParams, range: Range = "depth") -> list[Finding]:
    """What every check that is on finds.

    Args:
        rows: with the columns of the validated manifest.
        params: of the stage.
        range: what is black and white in 16-bit images, see Preprocessing. Where it is not their
            depth, grey levels of the file say nothing.
    """
    findings = []
    narrow = range == "depth" and _is_narrow(rows, params)
    in_range = rows[rows["bits"] != 16] if narrow or range != "depth" else rows
    images = _without_documents(rows)
    for name in THRESHOLDS:
        action, threshold = params.check(name)
        fails = action == "fail"
        if action == "off":
            continue
        if name == "small_range" and range != "depth":
            texts = _range_is_wrong(usable(rows), range, threshold)
            findings += [Finding(name, text, pd.Index([]), fails) for text in texts]
        elif name in CLASS_CHECKS:
            texts = CLASS_CHECKS[name](images, threshold)
            findings += [Finding(name, text, pd.Index([]), fails) for text in texts]
        else:
            odd = find_odd_images(in_range if name in TONE_CHECKS else rows, name, threshold)
            if len(odd):
                text = _describe_images(name, threshold, rows.loc[odd, "file_name"])
                findings.append(Finding(name, text, odd, fails))
    return findings


def _without_documents(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows but for texts, such as a README: nobody misses an image or a class there."""
    no_images = rows.loc[rows["reason"] == "not_an_image", "file_name"]
    return rows.drop(no_images.index[no_images.map(is_document).astype(bool)])


def find_odd_images(rows: pd.DataFrame, name: CheckName, threshold: float) -> pd.Index:
    """Index labels of the usable images that a check of IMAGE_CHECKS finds odd."""
    images = usable(rows)
    return images.index[IMAGE_CHECKS[name].is_odd(images, threshold)]


def _describe_images(name: CheckName, threshold: float, file_names: pd.Series) -> str:
    count = counted(len(file_names), "image")
    kind = IMAGE_CHECKS[name].text.format(threshold)
    return f"{kind}: {count}, {file_names.iloc[0]} for one"


# --- of classes and the dataset -------------------------------------------------------------------


def _few_images(rows: pd.DataFrame, least: float) -> list[str]:
    return [
        f"class {label!r} has {counted(count, 'usable image')}, fewer than {least:g}"
        for label, count in _usable_per_class(rows).items()
        if count < least
    ]


def _imbalance(rows: pd.DataFrame, most: float) -> list[str]:
    counts = _usable_per_class(rows)
    counts = counts[counts > 0]
    if counts.empty or counts.max() <= most * counts.min():
        return []
    large, small = counts.idxmax(), counts.idxmin()
    sizes = f"{large!r} has {counted(counts.max(), 'image')} and {small!r} {counts.min():,}"
    return [f"class {sizes}: over {most:g} times as many"]


def _usable_per_class(rows: pd.DataFrame) -> pd.Series:
    """How many usable images each class has, 0 for a class that has none."""
    return count_by_class(rows, "status", ["ok"])["ok"]


def _class_names(rows: pd.DataFrame, _: float) -> list[str]:
    """Names of splits, and names that differ in case, blanks, - and _, or Unicode form alone."""
    labels = pd.Series(sorted(rows["label"].dropna().unique()), dtype=object)
    texts = []
    splits = [repr(label) for label in labels if split_of_folder(label)]
    if splits:
        texts.append(f"classes {', '.join(splits)} have names of splits: is that what they are?")
    for _, similar in labels.groupby(labels.map(_simplify)):
        if len(similar) > 1:
            names = " and ".join(map(repr, similar))
            texts.append(f"classes {names} differ in case or blanks alone")
    return texts


IGNORED = str.maketrans("", "", " \t-_\u00a0")


def _simplify(label: str) -> str:
    if label.removeprefix("-").isdecimal():  # -1 is another number than 1
        return label
    return unicodedata.normalize("NFKC", label).casefold().translate(IGNORED)


def _quarantined(rows: pd.DataFrame, most: float) -> list[str]:
    chosen = rows[rows["reason"] != "not_chosen"]
    count = len(quarantined(chosen))
    if count <= most * len(chosen):
        return []
    images = counted(len(chosen), "image")
    return [f"{count:,} of {images} {noun(count, 'is', 'are')} quarantined, over {most:.0%}"]


def _large_cluster(rows: pd.DataFrame, most: float) -> list[str]:
    sizes = usable(rows)["cluster"].value_counts()
    names = rows.drop_duplicates("source_id").set_index("source_id")["file_name"]
    return [
        f"{size:,} images look the same as {names[cluster]}, over {most:.0%} of the set"
        for cluster, size in sizes.items()
        if size > max(most * len(rows), 2)
    ]


def _is_narrow(rows: pd.DataFrame, params: ValidateParams) -> bool:
    """Whether `small_range` is on and finds something."""
    action, threshold = params.check("small_range")
    return action != "off" and bool(_small_range(rows, threshold))


def _range_is_wrong(images: pd.DataFrame, range: Range, share: float) -> list[str]:
    """Usable 16-bit images that lie beyond `ingest.range`, use little of it, or do not get it."""
    lines = []
    deep = images[images["bits"] == 16]
    shallow = images[images["detail"].str.contains(CUT_TO_8_BITS, regex=False, na=False)]
    if len(shallow):
        example = f"{len(shallow):,}, {shallow['file_name'].iloc[0]} for one"
        lines.append(
            f"images that are read as 8 bits, which ingest.range does not change: {example}"
        )
    if not isinstance(range, list) or deep.empty:
        return lines
    black, white = range
    beyond = deep[(deep["highest"] > white) | (deep["lowest"] < black)]
    if len(beyond):
        used = f"{deep['lowest'].min():,} to {deep['highest'].max():,}"
        found = (
            f"samples beyond ingest.range {range} are cut off in {len(beyond):,} of {len(deep):,}"
        )
        lines.append(f"{found} images of 16 bits, which use {used}")
    elif deep["highest"].max() - black < share * (white - black):
        used = f"{deep['highest'].max():,} at most"
        lines.append(f"images of 16 bits use little of ingest.range {range}: {used}")
    return lines


def _small_range(rows: pd.DataFrame, share: float) -> list[str]:
    """Nearly all 16-bit images together use little of their range, as those of 12-bit detectors do.

    Few may have a dead pixel that is white, or come from elsewhere.
    """
    deep = usable(rows)[lambda images: images["bits"] == 16]
    whole = deep[deep["highest"] < share * DEEPEST]
    used = whole if len(whole) >= NEARLY_ALL * len(deep) else deep
    if used.empty:
        return []
    lowest, highest = int(used["lowest"].min()), int(used["highest"].max())
    if not 0 < highest - lowest < share * DEEPEST:
        return []
    # a detector's own depth, but for samples that lie around an offset
    depths = [2**bits - 1 for bits in DETECTOR_BITS if 2**bits > highest]
    limits = [0, depths[0]] if used is whole and depths else [lowest, highest]
    several = f"{len(used):,} of {len(deep):,}" if len(used) < len(deep) else f"{len(used):,}"
    count = f"{several} {noun(len(deep), 'image')} of 16 bits"
    return [
        f"{count} use {lowest:,} to {highest:,} of 0 to {DEEPEST:,} and show few grey levels; if "
        f"that is all that they can hold, set ingest.range: {limits}"
    ]


CLASS_CHECKS: dict[str, Callable[[pd.DataFrame, float], list[str]]] = {
    "few_images": _few_images,
    "imbalance": _imbalance,
    "class_names": _class_names,
    "quarantined": _quarantined,
    "large_cluster": _large_cluster,
    "small_range": _small_range,
}


# --- of images ------------------------------------------------------------------------------------


def _shorter_side(rows: pd.DataFrame) -> pd.Series:
    return rows[["width", "height"]].astype(float).min(axis=1)


def _tiny(rows: pd.DataFrame, least: float) -> pd.Series:
    return _shorter_side(rows) < least


def _huge(rows: pd.DataFrame, most: float) -> pd.Series:
    return rows[["width", "height"]].astype(float).max(axis=1) > most


def _blank(rows: pd.DataFrame, least: float) -> pd.Series:
    return rows["contrast"] < least


def _blurred(rows: pd.DataFrame, least: float) -> pd.Series:
    return (rows["sharpness"] < least) & (_shorter_side(rows) >= BLURRED_FROM)


def _dark(rows: pd.DataFrame, most: float) -> pd.Series:
    return -_deviations(rows["brightness"]) > most


def _bright(rows: pd.DataFrame, most: float) -> pd.Series:
    return _deviations(rows["brightness"]) > most


def _odd_size(rows: pd.DataFrame, times: float) -> pd.Series:
    pixels = np.log(rows[["width", "height"]].astype(float).prod(axis=1))
    return (pixels - pixels.median()).abs() > np.log(max(times, 1))


def _odd_channels(rows: pd.DataFrame, least: float) -> pd.Series:
    kinds = rows["channels"].astype(str) + " " + rows["bits"].astype(str)
    return kinds.map(kinds.value_counts(normalize=True)).astype(float) < least


def _deviations(values: pd.Series) -> pd.Series:
    """How many deviations each value lies from the median, by the median deviation.

    Unlike the standard deviation, that does not grow with the outliers to be found. Source:
    B. Iglewicz, D. Hoaglin, "How to Detect and Handle Outliers", ASQC 1993: the modified z-score.
    """
    away = values - values.median()
    return 0.6745 * away / max(away.abs().median(), 1.0)


class ImageCheck(NamedTuple):
    """`text`: what is odd, with {} for the threshold; `is_odd`: a mask of rows, by threshold."""

    text: str
    is_odd: Callable[[pd.DataFrame, float], pd.Series]


IMAGE_CHECKS = {
    "tiny": ImageCheck("a side of less than {:g} pixels", _tiny),
    "huge": ImageCheck("a side of more than {:g} pixels", _huge),
    "blank": ImageCheck("blank (contrast below {:g})", _blank),
    "blurred": ImageCheck("blurred (sharpness below {:g})", _blurred),
    "dark": ImageCheck("darker than the rest by {:g} deviations", _dark),
    "bright": ImageCheck("brighter than the rest by {:g} deviations", _bright),
    "odd_size": ImageCheck("{:g} times as many pixels as the median, or as few", _odd_size),
    "odd_channels": ImageCheck("channels or bits that less than {:.0%} of all have", _odd_channels),
}
