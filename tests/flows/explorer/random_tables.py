"""Random manifests and what belongs to them, as stages write them: for the pages to show."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS, MEASURES, VALIDATED_COLUMNS
from tasks.dataset.paths import COUNTS, EXPOSURE, LEDGER, PREDICTIONS, VALIDATED_MANIFEST

LABELS = ["01", "NA", "cat, tabby", '<img src=x onerror=alert(1)> "it\'s"', "ねこ"]
OPERATIONS = ["HorizontalFlip", "Rotate", "RotateAlike"]
VARIANTS = 3  # of each training source
REASONS = ["not_distinct", "gate: border 0.5 > 0.4", "failed: ValueError: Rotate: no"]


class Tables(NamedTuple):
    """The rows of the two relations as pandas joins them, in the order of the manifests."""

    images: pd.DataFrame
    variants: pd.DataFrame


def write_tables(seed: int = 0, images: int = 300) -> Tables:
    """Write the manifests, counts.csv, exposure.csv and predictions.csv below the folder."""
    rng = np.random.default_rng(seed)
    rows = validated_rows(rng, images)
    ledger = ledger_rows(rng, rows)
    used = rows[rows["status"] == "ok"]
    train, test = used[used["split"] == "train"], used[used["split"] == "test"]
    lines = used[["source_id", "file_name", "label", "split"]].assign(planned=0, written=0)
    trained = lines["split"] == "train"
    new = ledger[ledger["variant_index"] > 0]
    written = new[new["status"] == "written"].groupby("source_id").size()
    lines.loc[trained, "planned"] = VARIANTS
    counted = written.reindex(lines["source_id"], fill_value=0).to_numpy()
    lines["written"] = counted
    lines["rejected"] = lines["planned"] - lines["written"]
    exposure = train[["source_id", "label"]].assign(
        presentations=rng.integers(0, 40, len(train)), mixed_in=0
    )
    predictions = test[["source_id", "file_name", "label"]].assign(
        predicted=rng.choice(LABELS, len(test)),
        probability=rng.random(len(test)).round(6),
        probability_of_label=rng.random(len(test)).round(6),
    )
    tables.write_table(VALIDATED_MANIFEST, rows, VALIDATED_COLUMNS)
    tables.write_table(LEDGER, ledger, LEDGER_COLUMNS)
    tables.write_csv(COUNTS, lines)
    tables.write_csv(EXPOSURE, exposure)
    tables.write_csv(PREDICTIONS, predictions)
    said = predictions.assign(correct=predictions["predicted"] == predictions["label"])
    joined = (
        used[["source_id", "file_name"]]
        .merge(said.drop(columns=["file_name", "label"]), how="left", on="source_id")
        .merge(exposure[["source_id", "presentations"]], how="left", on="source_id")
        .merge(lines.drop(columns=["file_name", "label", "split"]), how="left", on="source_id")
        .drop(columns="source_id")
    )
    names = used[["source_id", "file_name"]]
    variants = new.merge(names, how="left", on="source_id")
    return Tables(rows.merge(joined, how="left", on="file_name"), variants)


def validated_rows(rng: np.random.Generator, count: int) -> pd.DataFrame:
    """Rows of the validated manifest; values repeat, so that an order needs more than one column.

    Images that are not used have the source_id of one that is.
    """
    numbers = np.arange(count)
    status = rng.choice(["ok", "duplicate", "quarantined"], count, p=[0.8, 0.1, 0.1])
    status[0] = "ok"
    used = status == "ok"
    ids = np.array([f"{int(rng.integers(2**62)):016x}" for _ in numbers])
    label = rng.choice(LABELS, count).astype(object)
    return pd.DataFrame(
        {
            **dict.fromkeys(VALIDATED_COLUMNS.names),
            "source_id": np.where(used, ids, ids[0]),
            "file_name": [f"{label[n]}/{n:04d} é&?#.png" for n in numbers],
            "label": np.where(~used & (rng.random(count) < 0.3), None, label),
            "split": np.where(used, rng.choice(["train", "validation", "test"], count), None),
            "cluster": np.where(rng.random(count) < 0.2, rng.choice(ids[:3], count), None),
            "width": rng.integers(1, 30, count),
            "height": 16,
            "bytes": rng.integers(100, 10**6, count),
            "grey": rng.random(count) < 0.3,
            "sharpness": np.where(used, rng.integers(0, 20, count) / 4, np.nan),
            "status": status,
            "reason": np.where(status == "quarantined", "corrupt", None),
        }
    )


def ledger_rows(rng: np.random.Generator, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the ledger of the training images, itself and its VARIANTS each."""
    train = rows[(rows["status"] == "ok") & (rows["split"] == "train")]
    repeated = train.loc[train.index.repeat(VARIANTS + 1)].reset_index(drop=True)
    count = len(repeated)
    index = np.tile(np.arange(VARIANTS + 1), len(train))
    rejected = (rng.random(count) < 0.2) & (index > 0)
    measured = (index > 0) & ~rejected
    return pd.DataFrame(
        {
            **dict.fromkeys(LEDGER_COLUMNS.names),
            "variant_id": [
                f"{source}-v{number:03d}"
                for source, number in zip(repeated["source_id"], index, strict=True)
            ],
            "source_id": repeated["source_id"],
            "label": repeated["label"],
            "source_label": repeated["label"],
            "split": "train",
            "variant_index": index,
            "seed": rng.integers(0, 2**64 - 1, count, dtype=np.uint64),
            "attempt": rng.integers(0, 3, count),
            "operations": [operations(rng) for _ in range(count)],
            "status": np.where(rejected, "rejected", "written"),
            "reason": np.where(rejected, rng.choice(REASONS, count), None),
            **{
                name: np.where(measured, rng.integers(0, 9, count) / 8, np.nan) for name in MEASURES
            },
        }
    )


def operations(rng: np.random.Generator) -> str:
    """A text of `operations`; some apply one twice."""
    names = rng.choice(OPERATIONS, rng.integers(0, 4))
    return "[" + ",".join(f'{{"name":"{name}","angle":1.5}}' for name in names) + "]"
