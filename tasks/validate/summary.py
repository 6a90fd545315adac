"""What people should know of a validated dataset: warnings, failures, numbers."""

from typing import Any, NamedTuple

import pandas as pd

from tasks.common.errors import UserError
from tasks.dataset.columns import REASONS, SPLITS
from tasks.dataset.paths import RAW
from tasks.validate.checks import Finding
from tasks.validate.params import THRESHOLDS, ValidateParams
from tasks.validate.split import GIVEN

MOST_LINES = 20  # of warnings of one kind


class Validated(NamedTuple):
    """`rows`: the manifest's. `copies`: see duplicates.list_duplicates(). `leaks`: see lineage.find_leaks().

    `split`: how it was made, in words. `not_compared`: how many usable images are too small to be asked whether they
    look the same.
    """

    rows: pd.DataFrame
    copies: pd.DataFrame
    leaks: pd.DataFrame
    findings: list[Finding]
    split: str
    not_compared: int


def summarise(done: Validated, besides: dict[str, Any], params: ValidateParams) -> dict[str, Any]:
    """The content of metrics/validate.json.

    Args:
        done: the dataset.
        besides: what ingest found besides images.
        params: of the stage.
    """
    rows, counts = done.rows, class_counts(done.rows)
    reasons = rows["reason"].value_counts()
    kinds = done.copies["kind"].value_counts()
    return {
        "files": besides["files"],
        "containers": besides["containers"],
        "label_files": besides["label_files"],
        "layout": besides["layout"],
        "images": len(rows),
        "status": {
            name: int((rows["status"] == name).sum()) for name in ("ok", "duplicate", "quarantined")
        },
        "quarantined": {reason: int(reasons[reason]) for reason in REASONS if reason in reasons},
        "pairs": {kind: int(kinds.get(kind, 0)) for kind in ("bytes", "pixels", "near")},
        "not_compared": done.not_compared,
        "clusters": int(rows["cluster"].nunique()),
        "groups": int(rows["group_id"].nunique()),
        "leaks": len(done.leaks),
        "split": done.split,
        "splits": {split: int(counts[split].sum()) for split in SPLITS},
        "classes": len(counts),
        "warnings": warnings_of(done, besides, params),
        "failures": failures_of(done, params),
    }


def class_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Images per class (rows) and split (columns), of the ok rows."""
    usable = rows[rows["status"] == "ok"]
    return pd.crosstab(usable["label"], usable["split"]).reindex(columns=list(SPLITS), fill_value=0)


def warnings_of(done: Validated, besides: dict[str, Any], params: ValidateParams) -> list[str]:
    """What people should know, in lines."""
    counts = class_counts(done.rows)
    advice = (
        ""
        if params.stratify == "exact" or done.split == GIVEN
        else "; validate.stratify: exact may give it one"
    )
    lines = some(
        [
            f"class {label!r} has no {split} image ({counts.loc[label].sum()} in all){advice}"
            for split in SPLITS
            for label in counts.index[counts[split] == 0]
        ],
        "classes without images in a split",
    )
    lines += some(
        [f"folder {name!r} is empty" for name in besides["empty_folders"]], "empty folders"
    )
    lines += some(besides["notes"], "notes on tables and groups")
    conflicts = (done.copies["kind"] == "near") & (
        done.copies["label"] != done.copies["other_label"]
    )
    if conflicts.any():
        pair = done.copies[conflicts].iloc[0]
        names = f"{pair['file_name']} and {pair['other']}"
        lines.append(
            f"pairs that look the same and have two labels: {conflicts.sum():,}, {names} for one"
        )
    if len(done.leaks):
        what = {"report": "kept", "drop_from_train": "left out", "fail": "kept"}[params.on_leak]
        lines.append(
            f"leaks, images that belong together with one of another split: {len(done.leaks):,}, {what}"
        )
    for check in THRESHOLDS:
        own = [
            finding.text
            for finding in done.findings
            if finding.check == check and not finding.fails
        ]
        lines += some(own, f"findings of {check}")
    return lines


def some(lines: list[str], what: str) -> list[str]:
    """The lines; of very many the first, and how many more there are."""
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES:,} more {what}"]


def failures_of(done: Validated, params: ValidateParams) -> list[str]:
    """What makes the run fail, in lines."""
    lines = [finding.text for finding in done.findings if finding.fails]
    if params.on_leak == "fail" and len(done.leaks):
        leak = done.leaks.iloc[0]
        name = done.rows.loc[done.leaks.index[0], "file_name"]
        lines.append(
            f"{len(done.leaks):,} images leak from one split into another, {name} ({leak['split']}) with "
            f"{leak['other']} ({leak['other_split']}) for one"
        )
    return lines


def require_enough(done: Validated, params: ValidateParams) -> None:
    """Raises UserError where nothing could be trained or tested at all."""
    rows, counts = done.rows, class_counts(done.rows)
    if len(counts) < 2:
        quarantined = rows.loc[rows["status"] == "quarantined", "reason"].value_counts()
        why = (
            ", ".join(f"{count} {reason}" for reason, count in quarantined.items())
            or "none quarantined"
        )
        found = f"{len(counts)}" + (f", {counts.index[0]!r}" if len(counts) else "")
        raise UserError(f"{RAW}: needs usable images of at least 2 classes, found {found} ({why})")
    for split in SPLITS:
        if counts[split].sum() == 0:
            raise UserError(f"{RAW}: the {split} split is empty; {_advice(done, params)}")
    if counts["train"].sum() < 2:
        raise UserError(f"{RAW}: needs at least 2 training images, found 1")


def _advice(done: Validated, params: ValidateParams) -> str:
    leaked = int((done.rows["reason"] == "leak").sum())
    if leaked:
        return f"{leaked:,} images belong together with one of another split: see validate.on_leak"
    if done.rows["group_id"].nunique() == 1:
        return "all images are of one group: see ingest.group_pattern"
    return (
        "add images" if params.stratify == "exact" else "add images or set validate.stratify: exact"
    )
