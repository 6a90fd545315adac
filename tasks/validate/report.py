"""data/validated/report.html: what was found, with pictures. It carries them with it and loads nothing."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from tasks.dataset import image_bytes
from tasks.dataset.columns import REASONS, SPLITS
from tasks.pixels import thumbnails
from tasks.pixels.decode import UndecodableError
from tasks.validate.checks import Finding

THUMBNAIL = 96  # pixels a side
MOST_SHOWN = 12  # of each kind
Figures = list[dict[str, str]]


def render(
    rows: pd.DataFrame,
    copies: pd.DataFrame,
    leaks: pd.DataFrame,
    findings: list[Finding],
    numbers: dict[str, Any],
) -> str:
    """The page.

    Args:
        rows: of the validated manifest.
        copies: see duplicates.list_duplicates().
        leaks: see lineage.find_leaks().
        findings: of the checks.
        numbers: the content of metrics/validate.json.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        numbers=numbers,
        reasons=REASONS,
        splits=SPLITS,
        classes=count_table(rows),
        pairs=list(pair_sections(rows, copies, leaks)),
        findings=[
            (finding.text, figures(rows.loc[finding.images]))
            for finding in findings
            if len(finding.images)
        ],
        set_aside=list(quarantined_sections(rows)),
        most_shown=MOST_SHOWN,
    )


def count_table(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """For each class: usable images per split, duplicates, quarantined."""
    table = pd.crosstab(rows["label"], rows["split"].where(rows["status"] == "ok", rows["status"]))
    table = table.reindex(columns=[*SPLITS, "duplicate", "quarantined"], fill_value=0)
    return [
        {"label": label, **{name: int(count) for name, count in row.items()}}
        for label, row in table.iterrows()
    ]


def pair_sections(
    rows: pd.DataFrame, copies: pd.DataFrame, leaks: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """What is shown two by two: leaks, label conflicts, images that look the same, copies."""
    by_name = rows.set_index("file_name")
    leaked = pd.DataFrame(
        {"file_name": rows.loc[leaks.index, "file_name"], "other": leaks["other"]}
    )
    copies = copies[copies["kind"] != "group"]
    two_labels = copies["label"] != copies["other_label"]
    near = copies["kind"] == "near"
    for title, pairs in (
        ("Leaks: in two splits, and belonging together", leaked),
        ("Label conflicts: equal pixels, two labels", copies[two_labels & ~near]),
        ("Look the same, and have two labels", copies[two_labels & near]),
        ("Look the same", copies[~two_labels & near]),
        ("Copies: equal bytes or equal pixels", copies[~two_labels & ~near]),
    ):
        shown = pairs.head(MOST_SHOWN)
        left, right = figures(by_name.loc[shown["file_name"]]), figures(by_name.loc[shown["other"]])
        if len(pairs):
            yield {
                "title": title,
                "count": len(pairs),
                "pairs": list(zip(left, right, strict=True)),
            }


def quarantined_sections(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The quarantined images, by reason."""
    aside = rows[rows["status"] == "quarantined"]
    for reason, words in REASONS.items():
        own = aside[aside["reason"] == reason]
        if len(own):
            yield {"reason": reason, "words": words, "count": len(own), "figures": figures(own)}


def figures(rows: pd.DataFrame) -> Figures:
    """Pictures of the first rows, in order, with their captions; no picture of what cannot be decoded."""
    some = image_bytes.locate(rows.reset_index().head(max(MOST_SHOWN, 1)))
    return [
        {
            "picture": picture(row),
            "label": "" if pd.isna(row.label) else row.label,
            "name": row.file_name,
            "detail": "" if pd.isna(row.detail) else row.detail,
        }
        for row in some.itertuples()
    ]


def picture(row: Any) -> str:
    """A row's image as a `data:` URI, or nothing."""
    if pd.isna(row.format):
        return ""
    with suppress(OSError, UndecodableError):
        return thumbnails.picture(image_bytes.read_row(row), THUMBNAIL)
    return ""
