"""The report: one HTML page that carries its pictures with it and loads nothing."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from tasks.dataset import image_bytes
from tasks.dataset.columns import SPLITS
from tasks.dataset.selections import (
    count_by_class,
    examples,
    planned_variants,
    usable,
    written_variants,
)
from tasks.pixels.thumbnails import picture
from tasks.train.curves import training_curves
from tasks.train.image_array import read_bytes

THUMBNAIL = 96  # pixels a side
SHEET_ROWS = 8
SHEET_VARIANTS = 6


@dataclass(frozen=True)
class Findings:
    """What the pipeline found, as the report needs it: manifests, history, metrics and predictions."""

    validated: pd.DataFrame
    variants: pd.DataFrame
    history: pd.DataFrame
    numbers: dict[str, Any]
    confusion: np.ndarray  # (classes, classes), rows true
    predictions: pd.DataFrame
    card: dict[str, Any]


def render(findings: Findings, worst_mistakes: int) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    classes = count_table(findings.validated, findings.variants)
    return environment.get_template("report.html.j2").render(
        card=findings.card,
        numbers=findings.numbers,
        classes=classes,
        never_trained=[row["label"] for row in classes if row["train"] == 0],
        totals={name: sum(row[name] for row in classes) for name in classes[0] if name != "label"},
        files=len(findings.validated),
        set_aside=findings.validated["reason"].value_counts().to_dict(),
        duplicates=int((findings.validated["status"] == "duplicate").sum()),
        sheet=variant_sheet(findings.validated, findings.variants),
        curves=Markup(training_curves(findings.history)),
        confusion=confusion_cells(findings.confusion),
        mistakes=mistakes(findings.predictions, findings.validated, worst_mistakes),
    )


def count_table(validated: pd.DataFrame, variants: pd.DataFrame) -> list[dict[str, Any]]:
    """For each class: usable images per split, variants written and rejected, training images."""
    images = count_by_class(usable(validated), "split", list(SPLITS))
    new = count_by_class(planned_variants(variants), "status", ["written", "rejected"])
    table = images.join(new.reindex(images.index, fill_value=0))
    table["after"] = table["train"] + table["written"]
    return table.reset_index().to_dict("records")


def variant_sheet(validated: pd.DataFrame, variants: pd.DataFrame) -> list[list[dict[str, str]]]:
    """Some training images, each followed by its variants as they are stored: pictures with captions."""
    written = image_bytes.locate_variants(written_variants(variants))
    train = usable(validated, "train")
    rows = []
    for source in image_bytes.locate(examples(train, SHEET_ROWS)).itertuples():
        cells = [
            {
                "picture": picture(image_bytes.read_row(source), THUMBNAIL),
                "caption": f"{source.label}: {source.file_name}",
            }
        ]
        own = written[written["source_id"] == source.source_id].head(SHEET_VARIANTS)
        for variant in own.itertuples():
            names = ", ".join(operation["name"] for operation in json.loads(variant.operations))
            cells.append(
                {
                    "picture": picture(read_bytes(variant), THUMBNAIL),
                    "caption": f"{variant.variant_id}: {names or 'unchanged'}",
                }
            )
        rows.append(cells)
    return rows


def confusion_cells(confusion: np.ndarray) -> list[list[dict[str, float]]]:
    """Counts with their share of the row, for shading."""
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    return [
        [
            {"count": int(count), "share": round(float(share), 4)}
            for count, share in zip(counts, shares, strict=True)
        ]
        for counts, shares in zip(confusion, confusion / totals, strict=True)
    ]


def mistakes(
    predictions: pd.DataFrame, validated: pd.DataFrame, limit: int
) -> list[dict[str, Any]]:
    """The wrong predictions in which the true label had the least probability."""
    places = image_bytes.locate(validated).set_index("file_name")
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    worst = wrong.sort_values(["probability_of_label", "file_name"], kind="stable").head(limit)
    return [
        {**row, "picture": picture(image_bytes.read_row(places.loc[row["file_name"]]), THUMBNAIL)}
        for row in worst.to_dict("records")
    ]
