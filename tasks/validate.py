"""Validate: decode every image once, set aside what cannot be used and say why, and split what is left.

Every file that ingest listed leaves with one status:

    ok            an image with a label and a split
    duplicate     its pixels stand in an `ok` row with the same label already (`duplicate_of` names it)
    quarantined   `reason` says why: see REASONS
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field, model_validator

from tasks import errors, images, manifest, progress, workers
from tasks import ingest as ingest_stage
from tasks.errors import UserError
from tasks.params import Block, read_params

FOLDER = Path("data/validated")
MANIFEST = FOLDER / "manifest.parquet"
METRICS = Path("metrics/validate.json")
COLUMNS = pa.schema(
    {
        "source_id": pa.string(),  # first 16 hex digits of sha256; unique among the ok rows
        "sha256": pa.string(),  # of the file's bytes
        "pixel_sha256": pa.string(),  # of the decoded pixels
        "file_name": pa.string(),
        "label": pa.string(),
        "split": pa.string(),  # null unless status is ok
        "group_id": pa.string(),  # what may not be parted by a split; null where each image stands alone
        "format": pa.string(),  # Pillow's name: JPEG, PNG, ...
        "width": pa.int32(),  # upright, in pixels
        "height": pa.int32(),
        "channels": pa.int8(),  # 1: grey, 3: RGB, as decoded
        "bits": pa.int8(),  # of a sample, 8 or 16
        "status": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),  # the decoder's own words
        "duplicate_of": pa.string(),  # file_name
    }
)
REASONS = {
    "unreadable": "the file cannot be read",
    "not_an_image": "no decoder knows the bytes",
    "corrupt": "the decoder failed on the bytes",
    "too_large": f"over {images.MAX_PIXELS:,} pixels",
    "no_label": "it lies outside any class folder",
    "no_split": "it lies outside any split folder, beside others that lie in one",
    "label_conflict": "the same pixels stand under another label too",
}
SPLITS = ("train", "validation", "test")
KEEP_FIRST = ("test", "validation", "train")  # which copy of a duplicate stays
FILES_PER_TASK = 64


class ValidateParams(Block):
    """How images are split where the folders do not say it all."""

    seed: int = 42
    train: float = Field(0.70, gt=0, lt=1)
    validation: float = Field(0.15, gt=0, lt=1)
    test: float = Field(0.15, gt=0, lt=1)
    stratify: Literal["stable", "exact"] = "stable"

    @model_validator(mode="after")
    def _add_up_to_one(self) -> "ValidateParams":
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, validation and test need to add up to 1, found {total:g}")
        return self


# --- looking at files ---------------------------------------------------------------------------------------------


def look(files: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Decode each (file name, SHA-256 when listed) once: its facts, or the reason why it is set aside."""
    return [_look_at_one(name, sha256) for name, sha256 in files]


def _look_at_one(name: str, sha256: str) -> dict[str, Any]:
    try:
        data = (ingest_stage.RAW / name).read_bytes()
        if images.sha256(data) != sha256:
            raise UserError(f"{ingest_stage.RAW / name}: changed while it was read; run again")
        decoded = images.decode(data, keep_depth=True)  # what differs in the lower bits alone is no duplicate
    except OSError as error:
        return _set_aside("unreadable", error.strerror)
    except images.UndecodableError as error:
        return _set_aside(error.reason, str(error))
    height, width = decoded.pixels.shape[:2]
    return {
        "pixel_sha256": images.pixel_sha256(decoded.pixels),
        "format": decoded.format,
        "width": width,
        "height": height,
        "channels": 1 if decoded.pixels.ndim == 2 else 3,
        "bits": decoded.bits,
        "status": "ok",
    }


def _set_aside(reason: str, detail: str | None) -> dict[str, Any]:
    return {"status": "quarantined", "reason": reason, "detail": detail}


def decode_all(listed: pd.DataFrame) -> pd.DataFrame:
    """One row for each file listed, with its facts; files that ingest could not read are set aside unopened."""
    readable = listed[listed["problem"].isna()]
    files = list(zip(readable["file_name"], readable["sha256"], strict=True))
    parts = [files[start : start + FILES_PER_TASK] for start in range(0, len(files), FILES_PER_TASK)]
    looked = workers.map_ordered(look, parts, preload="tasks.ingest")
    facts = [fact for part in progress.track(looked, len(parts), "decoding", "part") for fact in part]
    unreadable = listed[listed["problem"].notna()]
    facts += [_set_aside("unreadable", problem) for problem in unreadable["problem"]]
    index = readable.index.append(unreadable.index)
    rows = pd.DataFrame(facts, index=index).reindex(index=listed.index, columns=COLUMNS.names).astype(object)
    for column in ("sha256", "file_name", "label", "split"):
        rows[column] = listed[column]
    rows["source_id"] = rows["sha256"].str[:16]
    unlabelled = (rows["status"] == "ok") & rows["label"].isna()
    rows.loc[unlabelled, ["status", "reason"]] = ["quarantined", "no_label"]
    return rows


# --- duplicates ---------------------------------------------------------------------------------------------------


def mark_duplicates(rows: pd.DataFrame) -> None:
    """Of equal pixels under one label keep one row `ok`; under several labels quarantine them all. In place.

    The copy that stays is the one in test before validation before train, then the first in order.
    """
    usable = rows[rows["status"] == "ok"]
    labels = usable.groupby("pixel_sha256")["label"].transform("nunique")
    conflicts = usable.index[labels > 1]
    rows.loc[conflicts, ["status", "reason"]] = ["quarantined", "label_conflict"]

    usable = usable.drop(conflicts)
    rank = usable["split"].map({split: place for place, split in enumerate(KEEP_FIRST)}).fillna(len(KEEP_FIRST))
    ordered = usable.loc[rank.sort_values(kind="stable").index]
    kept = ordered.groupby("pixel_sha256")["file_name"].transform("first")
    copies = ordered.index[kept != ordered["file_name"]]
    rows.loc[copies, "status"] = "duplicate"
    rows.loc[copies, "duplicate_of"] = kept[copies]


# --- split --------------------------------------------------------------------------------------------------------


def split_hash(seed: int, sha256: str) -> float:
    """A number in [0, 1) that a seed and a content always share, and nothing else has a part in."""
    digest = hashlib.sha256(f"split {seed} {sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def stable_split(hashes: pd.Series, fractions: dict[str, float]) -> pd.Series:
    """The split of each image by fixed thresholds on its hash: other images have no say in it."""
    names = list(fractions)
    edges = np.cumsum([fractions[name] for name in names])[:-1]
    return pd.Series(np.asarray(names, object)[np.searchsorted(edges, hashes, side="right")], hashes.index)


def exact_split(hashes: pd.Series, labels: pd.Series, fractions: dict[str, float]) -> pd.Series:
    """Stratified: in each class the images in order of their hashes, cut at the fractions (rounded)."""
    names = list(fractions)
    edges = np.cumsum([fractions[name] for name in names])[:-1]
    place = hashes.groupby(labels).rank(method="first") - 1
    size = hashes.groupby(labels).transform("size")
    cut = np.column_stack([np.rint(size * edge) for edge in edges])
    return pd.Series(np.asarray(names, object)[(place.to_numpy()[:, None] >= cut).sum(axis=1)], hashes.index)


def assign_splits(rows: pd.DataFrame, params: ValidateParams) -> list[str]:
    """Give every ok row its split, in place: the folders' own, and what they lack is carved out of train.

    Returns what was decided, in lines for people.
    """
    usable = rows[rows["status"] == "ok"]
    rows.loc[rows["status"] != "ok", "split"] = None
    found = [split for split in SPLITS if (usable["split"] == split).any()]
    if found:
        astray = usable.index[usable["split"].isna()]
        rows.loc[astray, ["status", "reason"]] = ["quarantined", "no_split"]
        usable = usable.drop(astray)
    fractions = {split: getattr(params, split) for split in SPLITS if split == "train" or split not in found}
    if len(fractions) == 1:
        return ["split: the folders' own"]
    open_rows = usable[usable["split"].isna() | (usable["split"] == "train")]
    total = sum(fractions.values())
    fractions = {name: fraction / total for name, fraction in fractions.items()}
    hashes = open_rows["sha256"].map(lambda sha256: split_hash(params.seed, sha256)).astype(float)
    if params.stratify == "exact":
        rows.loc[open_rows.index, "split"] = exact_split(hashes, open_rows["label"], fractions)
    else:
        rows.loc[open_rows.index, "split"] = stable_split(hashes, fractions)
    shares = ", ".join(f"{name} {fraction:.0%}" for name, fraction in fractions.items())
    origin = f"the folders' own {' and '.join(found)}; of the rest " if found else "by content: "
    return [f"split: {origin}{shares} ({params.stratify})"]


# --- checks -------------------------------------------------------------------------------------------------------


def class_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Images per class (rows) and split (columns), of the ok rows."""
    usable = rows[rows["status"] == "ok"]
    return pd.crosstab(usable["label"], usable["split"]).reindex(columns=list(SPLITS), fill_value=0)


def check(counts: pd.DataFrame, rows: pd.DataFrame, stratify: str) -> list[str]:
    """Warnings about classes that cannot be learned or judged.

    Raises:
        UserError: where nothing could be trained or tested at all.
    """
    if len(counts) < 2:
        quarantined = rows.loc[rows["status"] == "quarantined", "reason"].value_counts()
        why = ", ".join(f"{count} {reason}" for reason, count in quarantined.items()) or "none quarantined"
        raise UserError(f"{ingest_stage.RAW}: needs usable images of at least 2 classes, found {len(counts)} ({why})")
    for split in SPLITS:
        if counts[split].sum() == 0:
            advice = "add images" if stratify == "exact" else "add images or set validate.stratify: exact"
            raise UserError(f"{ingest_stage.RAW}: the {split} split is empty; {advice}")
    if counts["train"].sum() < 2:
        raise UserError(f"{ingest_stage.RAW}: needs at least 2 training images, found 1")
    return [
        f"class {label!r} has no {split} image ({counts.loc[label].sum()} in all)"
        for split in SPLITS
        for label in counts.index[counts[split] == 0]
    ]


def summary(rows: pd.DataFrame, counts: pd.DataFrame, warnings: list[str]) -> dict[str, Any]:
    """The content of metrics/validate.json."""
    reasons = rows["reason"].value_counts()
    return {
        "files": len(rows),
        "status": {name: int((rows["status"] == name).sum()) for name in ("ok", "duplicate", "quarantined")},
        "quarantined": {reason: int(reasons[reason]) for reason in REASONS if reason in reasons},
        "splits": {split: int(counts[split].sum()) for split in SPLITS},
        "classes": len(counts),
        "warnings": warnings,
    }


# --- the stage ----------------------------------------------------------------------------------------------------


def validate(listed: pd.DataFrame, params: ValidateParams, tell: Callable[[str], None]) -> tuple[pd.DataFrame, dict]:
    """The validated manifest's rows and their summary."""
    rows = decode_all(listed)
    mark_duplicates(rows)
    for line in assign_splits(rows, params):
        tell(line)
    counts = class_counts(rows)
    warnings = check(counts, rows, params.stratify)
    for warning in warnings:
        tell(f"warning: {warning}")
    return rows, summary(rows, counts, warnings)


def read(columns: Sequence[str] = tuple(COLUMNS.names)) -> pd.DataFrame:
    """The validated manifest, or some of its columns."""
    schema = pa.schema([COLUMNS.field(name) for name in columns])
    return manifest.read_table(MANIFEST, schema, made_by="validate")


def main() -> None:
    """Run the stage."""
    params = read_params("validate", ValidateParams)
    listed = manifest.read_table(ingest_stage.MANIFEST, ingest_stage.COLUMNS, made_by="ingest")
    rows, numbers = validate(listed, params, progress.say)
    FOLDER.mkdir(parents=True, exist_ok=True)
    set_aside = rows[rows["status"] == "quarantined"]
    manifest.write_csv(FOLDER / "quarantine.csv", set_aside[["file_name", "label", "reason", "detail"]])
    copies = rows[rows["status"] == "duplicate"]
    manifest.write_csv(FOLDER / "duplicates.csv", copies[["file_name", "duplicate_of", "label"]])
    manifest.write_json(METRICS, numbers)
    manifest.write_table(MANIFEST, rows, COLUMNS)
    progress.counts(files=len(rows), **numbers["status"], **numbers["splits"])


if __name__ == "__main__":
    errors.run(main)
