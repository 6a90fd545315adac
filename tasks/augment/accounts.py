"""The accounts: the ledger's rows, counts.csv and the totals, from what was planned and what was written."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.augment.ledger import COLUMNS, COUNTS
from tasks.augment.variants import Recipe, Source, Variant, variant_id


def rows_of(expanded: Iterable[tuple[Source, list[Variant]]]) -> pa.Table:
    """The ledger's rows of sources and their variants; labels and places are still to come."""
    rows: list[dict[str, Any]] = []
    for source, variants in expanded:
        rows.append(_source_row(source))
        rows += [variant.row for variant in variants]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def _source_row(source: Source) -> dict[str, Any]:
    return {
        "variant_id": variant_id(source.source_id, 0),
        "source_id": source.source_id,
        "variant_index": 0,
        "seed": 0,
        "attempt": 0,
        "operations": "[]",
        "pixel_hash": 0,
        "sha256": source.sha256,
        "width": source.width,
        "height": source.height,
        "channels": source.channels,
        "bits": source.bits,
        "status": "written",
    }


def written_of(rows: pa.Table) -> np.ndarray:
    """How many variants of each source were written: int64, in the order of the sources in `rows`."""
    index = rows["variant_index"].to_numpy()
    written = (index > 0) & rows["segment"].is_valid().to_numpy()
    return np.add.reduceat(written, np.flatnonzero(index == 0), dtype=np.int64)


def count_rows(validated: pd.DataFrame, planned: pd.Series, written: pd.Series) -> pd.DataFrame:
    """The lines of counts.csv: each usable image with its new images planned, written and rejected.

    `planned` and `written` are on the index of `validated`, and hold training images alone.
    """
    lines = validated.loc[validated["status"] == "ok", ["source_id", "file_name", "label", "split"]].copy()
    lines["planned"] = planned.reindex(lines.index, fill_value=0)
    lines["written"] = written.reindex(lines.index, fill_value=0)
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
