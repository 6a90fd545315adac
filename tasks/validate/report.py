"""data/validated/report.html: what was found, with pictures. It needs no other file."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.dataset import clutter, image_bytes
from tasks.dataset.columns import REASONS, SPLITS
from tasks.dataset.selections import count_by_class, is_usable, quarantined
from tasks.pixels import thumbnails
from tasks.pixels.decode import UndecodableError
from tasks.reports.templates import environment
from tasks.validate.summary import Validated

THUMBNAIL = 96  # pixels a side
MOST_SHOWN = 12  # of each kind
Figure = dict[str, str]  # picture, label, name, detail


def render(validated: Validated, metrics: dict[str, Any]) -> str:
    """The page, as HTML.

    Args:
        validated: the dataset.
        metrics: the content of metrics/validate.json.
    """
    rows = validated.rows
    return (
        environment(Path(__file__).parent)
        .get_template("report.html.j2")
        .render(
            numbers=metrics,
            clutter=clutter.words(metrics["clutter"]),
            splits=SPLITS,
            classes=count_table(rows),
            pairs=list(pair_sections(validated)),
            findings=[
                (finding.text, figures(rows.loc[finding.images]))
                for finding in validated.findings
                if len(finding.images)
            ],
            set_aside=list(quarantined_sections(rows)),
            most_shown=MOST_SHOWN,
        )
    )


def count_table(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """For each class: `label`, usable images per split, `duplicate`, `quarantined`."""
    counted = rows.assign(kind=rows["split"].where(is_usable(rows), rows["status"]))
    table = count_by_class(counted, "kind", [*SPLITS, "duplicate", "quarantined"])
    return [{"label": label, **counts} for label, counts in table.to_dict("index").items()]


def pair_sections(validated: Validated) -> Iterator[dict[str, Any]]:
    """What is shown two by two: leaks, label conflicts, images that look the same, copies."""
    leaks, pairs = validated.leaks, validated.pairs
    by_name = validated.rows.set_index("file_name")
    leaked = leaks.assign(file_name=validated.rows.loc[leaks.index, "file_name"])
    copies = pairs[pairs["kind"] != "group"]
    two_labels = copies["label"] != copies["other_label"]
    near = copies["kind"] == "near"
    moved = copies["kind"].isin(["mirrored", "turned"])
    equal = ~near & ~moved
    for title, section in (
        ("Leaks: in two splits, and belonging together", leaked),
        ("Label conflicts: equal pixels, two labels", copies[two_labels & equal]),
        ("Look the same, and have two labels", copies[two_labels & near]),
        ("Look the same", copies[~two_labels & near]),
        ("Look the same, mirrored or turned", copies[moved]),
        ("Copies: equal bytes or equal pixels", copies[~two_labels & equal]),
    ):
        if len(section):
            shown = section.head(MOST_SHOWN)
            left = figures(by_name.loc[shown["file_name"]])
            right = figures(by_name.loc[shown["other"]])
            figure_pairs = list(zip(left, right, strict=True))
            yield {"title": title, "count": len(section), "pairs": figure_pairs}


def quarantined_sections(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The quarantined images, by reason."""
    set_aside = quarantined(rows)
    for reason, words in REASONS.items():
        images = set_aside[set_aside["reason"] == reason]
        if len(images):
            shown = figures(images)
            yield {"reason": reason, "words": words, "count": len(images), "figures": shown}


def figures(rows: pd.DataFrame) -> list[Figure]:
    """Pictures and captions of the first MOST_SHOWN rows, in order."""
    shown = image_bytes.locate_images(rows.reset_index().head(MOST_SHOWN))
    return [
        {
            "picture": picture(row),
            "label": "" if pd.isna(row.label) else row.label,
            "name": row.file_name,
            "detail": "" if pd.isna(row.detail) else row.detail,
        }
        for row in shown.itertuples()
    ]


def picture(row: Any) -> str:
    """A row's image as a `data:` URI; empty if it cannot be read or decoded."""
    if pd.isna(row.format):
        return ""
    with suppress(OSError, UndecodableError):
        return thumbnails.picture(image_bytes.read_row(row), THUMBNAIL)
    return ""
