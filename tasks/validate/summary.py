"""Summary of a validated dataset: numbers, warnings, and what makes the run fail."""

from typing import Any, NamedTuple

import pandas as pd

from tasks.common.errors import UserError
from tasks.common.texts import counted
from tasks.dataset.columns import REASONS, SPLITS
from tasks.dataset.paths import RAW
from tasks.dataset.selections import is_usable, quarantined
from tasks.validate.advice import fill_split, lacking_splits, list_causes
from tasks.validate.checks import Finding
from tasks.validate.params import THRESHOLDS, ValidateParams
from tasks.validate.split import class_counts

MOST_LINES = 20  # of warnings of one kind
PAIR_KINDS = ("bytes", "pixels", "near", "mirrored", "turned")
LEAKS_ARE = {"report": "kept", "drop_from_train": "left out", "fail": "kept"}  # by on_leak


class Validated(NamedTuple):
    """The result of the stage.

    `rows`: those of the manifest. `pairs`: see duplicates.list_pairs(). `leaks`: see
    lineage.find_leaks(). `split`: see split.describe_splits(). `sequences`: see
    sequences.describe_sequences(). `not_compared`: how many usable images were not asked whether
    they look the same, since they are too small.
    """

    rows: pd.DataFrame
    pairs: pd.DataFrame
    leaks: pd.DataFrame
    findings: list[Finding]
    split: str
    sequences: list[str]
    not_compared: int


def summarise(
    validated: Validated, ingest_findings: dict[str, Any], params: ValidateParams
) -> dict[str, Any]:
    """The content of metrics/validate.json.

    Args:
        validated: the dataset.
        ingest_findings: the content of data/ingested/found.json.
        params: of the stage.
    """
    rows, counts = validated.rows, class_counts(validated.rows)
    statuses = rows["status"].value_counts()
    reasons = rows["reason"].value_counts()
    kinds = validated.pairs["kind"].value_counts()
    return {
        "files": ingest_findings["files"],
        "clutter": ingest_findings["clutter"],
        "containers": ingest_findings["containers"],
        "label_files": ingest_findings["label_files"],
        "layout": ingest_findings["layout"],
        "images": len(rows),
        "status": {name: int(statuses.get(name, 0)) for name in ("ok", "duplicate", "quarantined")},
        "quarantined": {reason: int(reasons[reason]) for reason in REASONS if reason in reasons},
        "pairs": {kind: int(kinds.get(kind, 0)) for kind in PAIR_KINDS},
        "not_compared": validated.not_compared,
        "clusters": int(rows["cluster"].nunique()),
        "groups": int(rows["group_id"].nunique()),
        "leaks": len(validated.leaks),
        "split": validated.split,
        "splits": {split: int(counts[split].sum()) for split in SPLITS},
        "classes": len(counts),
        "warnings": warnings_of(validated, ingest_findings, params),
        "failures": failures_of(validated, params),
    }


def warnings_of(
    validated: Validated, ingest_findings: dict[str, Any], params: ValidateParams
) -> list[str]:
    """What people should know, in lines."""
    empty = [f"folder {name!r} is empty" for name in ingest_findings["empty_folders"]]
    lines = [
        *shorten(lacking_splits(validated.rows, params), "classes without images in a split"),
        *shorten(empty, "empty folders"),
        *shorten(ingest_findings["notes"], "notes on tables and groups"),
        *_two_labels(validated.pairs),
        *_leaks(validated.leaks, params),
        *validated.sequences,
    ]
    for check in THRESHOLDS:
        texts = [
            finding.text
            for finding in validated.findings
            if finding.check == check and not finding.fails
        ]
        lines += shorten(texts, f"findings of {check}")
    return lines


def _two_labels(pairs: pd.DataFrame) -> list[str]:
    found = pairs[(pairs["kind"] == "near") & (pairs["label"] != pairs["other_label"])]
    if found.empty:
        return []
    example = f"{found['file_name'].iloc[0]} and {found['other'].iloc[0]} for one"
    return [f"pairs that look the same and have two labels: {len(found):,}, {example}"]


def _leaks(leaks: pd.DataFrame, params: ValidateParams) -> list[str]:
    if leaks.empty:
        return []
    count = f"{len(leaks):,}, {LEAKS_ARE[params.on_leak]}"
    return [f"leaks, images that belong together with one of another split: {count}"]


def shorten(lines: list[str], kind: str) -> list[str]:
    """The lines; of very many the first MOST_LINES, and how many more of their kind there are."""
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES:,} more {kind}"]


def failures_of(validated: Validated, params: ValidateParams) -> list[str]:
    """What makes the run fail, in lines."""
    lines = [finding.text for finding in validated.findings if finding.fails]
    leaks = validated.leaks
    if params.on_leak == "fail" and len(leaks):
        leak, name = leaks.iloc[0], validated.rows.loc[leaks.index[0], "file_name"]
        lines.append(
            f"{counted(len(leaks), 'image leaks', 'images leak')} from one split into another, "
            f"{name} ({leak['split']}) "
            f"with {leak['other']} ({leak['other_split']}) for one"
        )
    return lines


def require_enough(validated: Validated, params: ValidateParams) -> None:
    """Raises UserError where nothing could be trained or tested at all."""
    rows, counts = validated.rows, class_counts(validated.rows)
    if len(counts) < 2:
        why = (list_causes(rows[~is_usable(rows)]) or "none quarantined") + _commonest_detail(rows)
        found = f"{len(counts)}" + (f", {counts.index[0]!r}" if len(counts) else "")
        raise UserError(f"{RAW}: needs usable images of at least 2 classes, found {found} ({why})")
    for split in SPLITS:
        if counts[split].sum() == 0:
            advice = fill_split(rows, split, params)
            raise UserError(f"{RAW}: the {split} split is empty; {advice}")
    if counts["train"].sum() < 2:
        raise UserError(f"{RAW}: needs at least 2 training images, found 1")


def _commonest_detail(rows: pd.DataFrame) -> str:
    """Where most images are quarantined, the detail that most of them share, with the first one."""
    detailed = quarantined(rows).dropna(subset="detail")
    if 2 * len(detailed) < len(rows) or detailed.empty:
        return ""
    commonest = detailed["detail"].value_counts().index[0]
    name = detailed["file_name"][detailed["detail"] == commonest].iloc[0]
    return f"; {name} for one: {commonest}"
