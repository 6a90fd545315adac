"""Render reports/index.html: one page that contains its pictures and loads nothing."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from tasks.dataset import image_bytes
from tasks.dataset.captions import relabelled_in_words
from tasks.dataset.columns import SPLITS
from tasks.dataset.selections import (
    count_by_class,
    example_rows,
    planned_variants,
    usable,
    written_variants,
)
from tasks.dataset.variant_measures import Measured
from tasks.evaluate.image_quality import quality_section
from tasks.model.image_array import read_bytes
from tasks.model.images import InputForm
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.pixels.thumbnails import picture
from tasks.train.curves import training_curves

THUMBNAIL = 96  # pixels a side
SHEET_ROWS = 8
SHEET_VARIANTS = 6


@dataclass(frozen=True)
class Findings:
    """What the report shows: manifests, history, metrics and predictions."""

    validated: pd.DataFrame
    ledger: pd.DataFrame
    measured: Measured  # of the ledger
    history: pd.DataFrame  # of training, a row for each epoch
    numbers: dict[str, Any]  # see metrics.summarise()
    confusion: np.ndarray  # int (classes, classes), rows true
    predictions: pd.DataFrame  # a row for each test image
    card: dict[str, Any]  # of the model


def render(findings: Findings, worst_mistakes: int) -> str:
    """The page as HTML; `worst_mistakes`: how many wrong predictions it shows."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    classes = count_table(findings.validated, findings.ledger)
    preprocessing = InputForm.from_card(findings.card).preprocessing
    return environment.get_template("report.html.j2").render(
        card=findings.card,
        numbers=findings.numbers,
        classes=classes,
        never_trained=[row["label"] for row in classes if row["shown"] == 0],
        relabelled=any(row["shown"] != row["after"] for row in classes),
        totals=pd.DataFrame(classes).drop(columns="label").sum().to_dict(),
        files=len(findings.validated),
        set_aside=findings.validated["reason"].value_counts().to_dict(),
        duplicates=int((findings.validated["status"] == "duplicate").sum()),
        sheet=variant_sheet(findings.validated, findings.ledger, preprocessing),
        quality=quality_section(
            findings.measured, findings.validated, findings.ledger, preprocessing
        ),
        curves=Markup(training_curves(findings.history)),
        confusion=confusion_cells(findings.confusion),
        mistakes=find_mistakes(
            findings.predictions, findings.validated, worst_mistakes, preprocessing
        ),
    )


def count_table(validated: pd.DataFrame, ledger: pd.DataFrame) -> list[dict[str, Any]]:
    """Images of each class: by split, variants written and rejected, and `after`: trained on.

    Variants count for the class of their source. `shown`: how many are trained on that show the
    class, see tasks/variants/relabelling.py.
    """
    images = count_by_class(usable(validated), "split", list(SPLITS))
    variants, states = planned_variants(ledger), ["written", "rejected"]
    of_sources = variants.assign(label=variants["source_label"])
    new = count_by_class(of_sources, "status", states).reindex(images.index, fill_value=0)
    shown = count_by_class(variants, "status", states).reindex(images.index, fill_value=0)
    table = images.join(new)
    table["after"] = table["train"] + table["written"]
    table["shown"] = table["train"] + shown["written"]
    return table.reset_index().to_dict("records")


def variant_sheet(
    validated: pd.DataFrame, ledger: pd.DataFrame, preprocessing: Preprocessing
) -> list[list[dict[str, str]]]:
    """A few training images, preprocessed, each followed by its variants as they are stored.

    Returns:
        A row for each image, of cells: `picture`, a `data:` URI, and `caption`.
    """
    written = image_bytes.locate_variants(written_variants(ledger))
    sources = image_bytes.locate_images(example_rows(usable(validated, "train"), SHEET_ROWS))
    rows = []
    for source in sources.itertuples():
        variants = written[written["source_id"] == source.source_id].head(SHEET_VARIANTS)
        caption = f"{source.label}: {source.file_name}"
        original = _cell(image_bytes.read_row(source), caption, preprocessing)
        rows.append([original, *(_variant_cell(variant) for variant in variants.itertuples())])
    return rows


def _variant_cell(variant: Any) -> dict[str, str]:
    names = ", ".join(operation["name"] for operation in json.loads(variant.operations))
    change = relabelled_in_words(variant._asdict())
    done = f"{names or 'unchanged'}{f' ({change})' if change else ''}"
    return _cell(read_bytes(variant), f"{variant.variant_id}: {done}")


def _cell(data: bytes, caption: str, preprocessing: Preprocessing = AS_DECODED) -> dict[str, str]:
    return {"picture": picture(data, THUMBNAIL, preprocessing), "caption": caption}


def confusion_cells(confusion: np.ndarray) -> list[list[dict[str, float]]]:
    """The counts of the confusion matrix, each with its share of the row, 0..1, for shading."""
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shares = confusion / totals
    return [_shaded_row(*row) for row in zip(confusion.tolist(), shares.tolist(), strict=True)]


def _shaded_row(counts: list[int], shares: list[float]) -> list[dict[str, float]]:
    cells = zip(counts, shares, strict=True)
    return [{"count": count, "share": round(share, 4)} for count, share in cells]


def find_mistakes(
    predictions: pd.DataFrame,
    validated: pd.DataFrame,
    limit: int,
    preprocessing: Preprocessing = AS_DECODED,
) -> list[dict[str, Any]]:
    """The worst wrong predictions, those with the least probability of the true label first.

    Returns:
        At most `limit` rows of `predictions`, each with its `picture`, a `data:` URI.
    """
    located = image_bytes.locate_images(validated).set_index("file_name")
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    worst = wrong.sort_values(["probability_of_label", "file_name"], kind="stable").head(limit)
    images = [image_bytes.read_row(located.loc[name]) for name in worst["file_name"]]
    pictures = [picture(data, THUMBNAIL, preprocessing) for data in images]
    return worst.assign(picture=pictures).to_dict("records")
