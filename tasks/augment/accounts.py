"""The accounts: the ledger's rows, counts.csv and the totals, from what was planned and what was written."""

from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa

from tasks.augment.ledger import COLUMNS, COUNTS
from tasks.augment.segments import Segment
from tasks.augment.variants import Recipe, Source, variant_id


def rows_of(segment: Segment, facts: dict[str, dict[str, Any]], recipe: Recipe) -> pa.Table:
    """The ledger's rows of a segment. `facts` holds each source's row of the validated manifest, by source_id."""
    rows: list[dict[str, Any]] = []
    for source, variants in segment.expanded:
        fact = facts[source.source_id]
        shared = {"label": fact["label"], "split": fact["split"]}
        rows.append({**_source_row(source, fact, recipe), **shared})
        rows += [{**variant.row, **shared} for variant in variants]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def _source_row(source: Source, fact: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    return {
        "variant_id": variant_id(source.source_id, 0),
        "source_id": source.source_id,
        "variant_index": 0,
        "seed": 0,
        "attempt": 0,
        "recipe_hash": recipe.hash,
        "operations": "[]",
        "sha256": source.sha256,
        "pixel_sha256": source.pixel_sha256,
        "width": fact["width"],
        "height": fact["height"],
        "status": "written",
    }


def count_rows(validated: pd.DataFrame, planned: pd.Series, written: dict[str, int]) -> pd.DataFrame:
    """The lines of counts.csv: each usable image with its new images planned, written and rejected."""
    lines = validated.loc[validated["status"] == "ok", ["source_id", "file_name", "label", "split"]].copy()
    lines["planned"] = lines["source_id"].map(planned).fillna(0).astype(int)
    lines["written"] = lines["source_id"].map(written).fillna(0).astype(int)
    lines["rejected"] = lines["planned"] - lines["written"]
    return lines


def read_counts(file: Path | IO[bytes] = COUNTS) -> pd.DataFrame:
    """The lines of counts.csv, all as text: a class may be called `01` or `NA`."""
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def summary(counts: pd.DataFrame, recipe: Recipe) -> dict[str, Any]:
    """The content of metrics/augment.json: totals of the training split. Those of each class are in counts.csv."""
    classes = pd.DataFrame(per_class(counts).values())
    return {"recipe_hash": recipe.hash, **{str(name): int(total) for name, total in classes.sum().items()}}


def per_class(counts: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Of each class, from the lines of counts.csv: training sources, variants planned, written and rejected, and
    training images. A class without training images has zeros.
    """
    numbers = counts[["planned", "written", "rejected"]].astype(int)
    numbers.insert(0, "sources", (counts["split"] == "train").astype(int))
    table = numbers.groupby(counts["label"]).sum()
    table["training_images"] = table["sources"] + table["written"]
    return {str(label): {str(k): int(v) for k, v in row.items()} for label, row in table.to_dict("index").items()}
