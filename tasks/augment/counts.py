"""Counts: new images planned, written, rejected; per image (counts.csv), per class, in all."""

from pathlib import Path
from typing import IO, Any

import pandas as pd

from tasks.dataset.paths import COUNTS
from tasks.dataset.selections import usable


def count_rows(validated: pd.DataFrame, planned: pd.Series, written: pd.Series) -> pd.DataFrame:
    """The lines of counts.csv: each usable image with its new images planned, written and rejected.

    `planned` and `written` are on the index of `validated`, and hold training images alone.
    """
    lines = usable(validated)[["source_id", "file_name", "label", "split"]].copy()
    lines["planned"] = planned.reindex(lines.index, fill_value=0)
    lines["written"] = written.reindex(lines.index, fill_value=0)
    lines["rejected"] = lines["planned"] - lines["written"]
    return lines


def read_counts(file: Path | IO[bytes] = COUNTS) -> pd.DataFrame:
    """The lines of counts.csv, all as text: a class may be called `01` or `NA`."""
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def summary(counts: pd.DataFrame, recipe_hash: str) -> dict[str, Any]:
    """The content of metrics/augment.json: totals of the training split."""
    classes = pd.DataFrame(counts_by_class(counts).values())
    return {
        "recipe_hash": recipe_hash,
        **{str(name): int(total) for name, total in classes.sum().items()},
    }


def counts_by_class(counts: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Totals of each class, from the lines of counts.csv.

    Returns:
        By class: sources (of the training split), planned, written, rejected and training_images.
        A class without training images has zeros.
    """
    numbers = counts[["planned", "written", "rejected"]].astype(int)
    numbers.insert(0, "sources", (counts["split"] == "train").astype(int))
    table = numbers.groupby(counts["label"]).sum()
    table["training_images"] = table["sources"] + table["written"]
    names = [str(name) for name in table.columns]
    totals = table.itertuples(name=None)  # a tuple of the label and Python's own integers
    return {str(label): dict(zip(names, row, strict=True)) for label, *row in totals}
