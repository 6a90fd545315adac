"""Render reports/index.html: one page that contains its pictures and loads nothing."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from tasks.dataset.variant_measures import UNCHANGED, Measured
from tasks.evaluate.image_quality import quality_section
from tasks.evaluate.intervals import in_numbers, in_percent
from tasks.evaluate.metrics import Outcomes, confusion
from tasks.evaluate.mistakes import THUMBNAIL
from tasks.evaluate.plots import reliability_diagram, robustness_picture
from tasks.model.image_array import read_bytes
from tasks.model.images import InputForm
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.pixels.thumbnails import picture
from tasks.reports.templates import environment
from tasks.train.curves import training_curves

SHEET_ROWS = 8
SHEET_VARIANTS = 6
MOST_CLASSES = 40  # of a confusion matrix that people can read
MOST_PAIRS = 40  # of classes that are taken for each other


@dataclass(frozen=True)
class Findings:
    """What the report shows: manifests, history, metrics and predictions."""

    validated: pd.DataFrame
    ledger: pd.DataFrame
    measured: Measured  # of the ledger
    history: pd.DataFrame  # of training, a row for each epoch
    numbers: dict[str, Any]  # see metrics.summarise()
    slices: dict[str, Any]  # see slices.summarise_slices()
    plain: Outcomes  # of the test images without the temperature
    outcomes: Outcomes  # with it
    bins: int  # of confidence
    curves: pd.DataFrame  # see robustness.curves()
    trained: tuple[str, ...]  # corruptions that the policy makes too
    mistakes: list[dict[str, Any]]  # see mistakes.find_mistakes()
    compared: int  # the training images among which the nearest were looked for
    card: dict[str, Any]  # of the model


def render(findings: Findings) -> str:
    """The page as HTML."""
    templates = environment(Path(__file__).parent)
    templates.globals |= {
        "percent": with_ends(in_percent),
        "number": with_ends(in_numbers),
        "unchanged": UNCHANGED,
    }
    classes = count_table(findings.validated, findings.ledger)
    preprocessing = InputForm.from_card(findings.card).preprocessing
    return templates.get_template("report.html.j2").render(
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
        **judgement(findings),
        mistakes=findings.mistakes,
        compared=findings.compared,
    )


def judgement(findings: Findings) -> dict[str, Any]:
    """What the template needs of the figures: slices, pictures, and who is taken for whom."""
    classes = findings.card["classes"]
    matrix = confusion(findings.outcomes, len(classes)) if len(classes) <= MOST_CLASSES else None
    corrupted = len(findings.curves) > 1
    picture = robustness_picture(findings.curves, findings.trained) if corrupted else ""
    return {
        "slices": findings.slices["slices"],
        "too_small": findings.slices["too_small"],
        "differing": [row for row in findings.slices["slices"] if row["differs"]],
        "reliability": Markup(
            reliability_diagram(findings.plain, findings.outcomes, findings.bins)
        ),
        "robustness": Markup(picture),
        "trained": [name.replace("_", " ") for name in findings.trained],
        "confusion": None if matrix is None else confusion_cells(matrix),
        "pairs": confused_pairs(findings.outcomes, classes) if matrix is None else [],
    }


def with_ends(words: Callable[[float, float, float], str]) -> Callable[[dict[str, Any], str], str]:
    """A figure of a dictionary with its interval, in words."""
    return lambda found, name: words(found[name], found[f"{name}_low"], found[f"{name}_high"])


def confused_pairs(outcomes: Outcomes, classes: list[str]) -> list[dict[str, Any]]:
    """The pairs of a class and another for which it is taken most often, with their counts."""
    wrong = ~outcomes.correct
    pairs = pd.DataFrame({"label": outcomes.targets[wrong], "predicted": outcomes.predicted[wrong]})
    counts = pairs.value_counts().rename("images").reset_index()
    ordered = counts.sort_values(["images", "label", "predicted"], ascending=[False, True, True])
    top = ordered.head(MOST_PAIRS)
    names = np.array(classes, dtype=object)
    named = top.assign(
        label=names[top["label"].to_numpy()], predicted=names[top["predicted"].to_numpy()]
    )
    return named.to_dict("records")


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
