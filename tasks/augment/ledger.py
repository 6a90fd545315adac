"""The ledger: for each training source a row for itself (index 0) and one for every variant planned of it."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks import ingest, manifest, validate
from tasks.augment.segments import Segment
from tasks.augment.variants import Recipe, Source, variant_id
from tasks.errors import UserError

FOLDER = Path("data/augmented")
MANIFEST = FOLDER / "manifest.parquet"
SEGMENTS = FOLDER / "segments"
COUNTS = FOLDER / "counts.csv"
METRICS = Path("metrics/augment.json")
COLUMNS = pa.schema(
    {
        "variant_id": pa.string(),
        "source_id": pa.string(),
        "label": pa.string(),
        "split": pa.string(),  # train: no other split is augmented
        "variant_index": pa.int32(),  # 0 is the source itself
        "seed": pa.uint64(),  # of the attempt that was kept, or of the last; 0 for index 0
        "attempt": pa.int32(),  # from 0; a redraw raises it
        "recipe_hash": pa.string(),
        "operations": pa.string(),  # JSON: name and applied parameters of each
        "sha256": pa.string(),  # of the encoded bytes
        "pixel_sha256": pa.string(),  # of the pixels before encoding
        "width": pa.int32(),
        "height": pa.int32(),
        "segment": pa.string(),  # file name below data/augmented/segments; null for index 0
        "offset": pa.int64(),  # of the image's first byte in the segment
        "length": pa.int64(),  # in bytes
        "status": pa.string(),  # written, rejected
        "reason": pa.string(),  # not_distinct, policy_failed: ...
    }
)


def read_validated() -> pd.DataFrame:
    """The validated manifest."""
    return manifest.read_table(validate.MANIFEST, validate.COLUMNS, made_by="validate")


def training_sources(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the validated manifest that are augmented, in order of their paths.

    Raises:
        UserError: where two of them share a source_id (64 bits of a SHA-256).
    """
    sources = rows[(rows["status"] == "ok") & (rows["split"] == "train")].reset_index(drop=True)
    twins = sources[sources["source_id"].duplicated(keep=False)]
    if len(twins):
        names = " and ".join(twins["file_name"].head(2))
        raise UserError(f"{validate.MANIFEST}: source_id needs to be unique, found one for {names}")
    return sources


def to_sources(rows: pd.DataFrame, counts: pd.Series) -> list[Source]:
    """What the workers need to know of each training row."""
    columns = (rows[name] for name in ("file_name", "source_id", "sha256", "pixel_sha256", "format"))
    return [
        Source(ingest.RAW / name, source_id, sha256, pixel_sha256, kind, int(planned))
        for name, source_id, sha256, pixel_sha256, kind, planned in zip(*columns, counts, strict=True)
    ]


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


def summary(counts: pd.DataFrame, recipe: Recipe) -> dict[str, Any]:
    """The content of metrics/augment.json: counts in all and per class, of the training split."""
    training = counts[counts["split"] == "train"]

    def totals(rows: pd.DataFrame) -> dict[str, int]:
        numbers = {"sources": len(rows)}
        numbers |= {name: int(rows[name].sum()) for name in ("planned", "written", "rejected")}
        return {**numbers, "training_images": numbers["sources"] + numbers["written"]}

    return {
        "recipe_hash": recipe.hash,
        **totals(training),
        "per_class": {str(label): totals(rows) for label, rows in training.groupby("label")},
    }
