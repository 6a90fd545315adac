"""Run the stage: look at every image, set aside what cannot be used, split what is left, say what is odd."""

from tasks import workers

if __name__ == "__main__":
    workers.start_early("tasks.validate.look")  # beside the imports below

import json
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks import errors, manifest, progress
from tasks import ingest as ingest_stage
from tasks.errors import CheckFailedError, UserError
from tasks.params import read_params
from tasks.validate import COLUMNS, FOLDER, MANIFEST, METRICS, PAGE, REASONS, SPLITS, duplicates, lineage, look, page
from tasks.validate.checks import Finding, run_checks
from tasks.validate.near import find_near
from tasks.validate.params import ValidateParams
from tasks.validate.split import assign_splits

TEXTS = {field.name: "str" for field in COLUMNS if field.type == "string"}
LISTED = ("sha256", "file_name", "label", "split", "group_id", "container", "offset", "bytes")  # from ingest


class Validated(NamedTuple):
    """`rows`: the manifest's. `copies`: see duplicates.list_duplicates(). `leaks`: see lineage.find_leaks()."""

    rows: pd.DataFrame
    copies: pd.DataFrame
    leaks: pd.DataFrame
    findings: list[Finding]
    told: list[str]  # what was decided, for people


def facts_of(listed: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """One row for each image listed, with what looking at it told, and its hash."""
    facts = look.look_at_all(listed[listed["reason"].isna()]).reindex(listed["sha256"]).set_axis(listed.index)
    rows = facts.reindex(columns=COLUMNS.names).astype(TEXTS)
    for column in LISTED:
        rows[column] = listed[column]
    for column in (
        "reason",
        "detail",
    ):  # what ingest has set aside was not looked at, unless another has the same bytes
        rows[column] = rows[column].where(listed["reason"].isna(), listed[column])
    rows["source_id"] = rows["sha256"].str[:16]
    rows["status"] = rows["reason"].isna().map({True: "ok", False: "quarantined"}).astype("str")
    unlabelled = (rows["status"] == "ok") & rows["label"].isna()
    rows.loc[unlabelled, ["status", "reason"]] = ["quarantined", "no_label"]
    rows.loc[unlabelled, "detail"] = listed["detail"]
    return rows, facts["hash"]


def validate(listed: pd.DataFrame, params: ValidateParams) -> Validated:
    """Judge every image.

    Args:
        listed: the ingested manifest.

    Raises:
        UserError: where nothing could be trained or tested.
    """
    rows, hashes = facts_of(listed)
    given = rows["split"].copy()
    duplicates.mark_duplicates(rows)
    near = pd.DataFrame({"a": [], "b": []}, dtype=np.int64)
    if params.near_duplicates != "off":
        near = find_near(rows, hashes, params.near_duplicates == "all")
    rows["cluster"] = lineage.find_clusters(rows, near)
    lineages = lineage.find_lineages(rows)
    leaks = lineage.find_leaks(rows, lineages, given)
    dropped = leaks.index[rows.loc[leaks.index, "status"] == "ok"]
    if params.on_leak == "drop_from_train":
        rows.loc[dropped, ["status", "reason"]] = ["quarantined", "leak"]
        rows.loc[dropped, "detail"] = "belongs together with " + leaks.loc[dropped, "other"]
    told = assign_splits(rows, lineages, params)
    copies = duplicates.list_duplicates(rows, near, given)
    require_enough(rows, params)
    return Validated(rows, copies, leaks, run_checks(rows, params), told)


def class_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Images per class (rows) and split (columns), of the ok rows."""
    usable = rows[rows["status"] == "ok"]
    return pd.crosstab(usable["label"], usable["split"]).reindex(columns=list(SPLITS), fill_value=0)


def require_enough(rows: pd.DataFrame, params: ValidateParams) -> None:
    """Raises UserError where nothing could be trained or tested at all."""
    raw, counts = ingest_stage.RAW, class_counts(rows)
    if len(counts) < 2:
        quarantined = rows.loc[rows["status"] == "quarantined", "reason"].value_counts()
        why = ", ".join(f"{count} {reason}" for reason, count in quarantined.items()) or "none quarantined"
        raise UserError(f"{raw}: needs usable images of at least 2 classes, found {len(counts)} ({why})")
    for split in SPLITS:
        if counts[split].sum() == 0:
            advice = "add images" if params.stratify == "exact" else "add images or set validate.stratify: exact"
            raise UserError(f"{raw}: the {split} split is empty; {advice}")
    if counts["train"].sum() < 2:
        raise UserError(f"{raw}: needs at least 2 training images, found 1")


def warnings_of(done: Validated, listed_besides: dict[str, Any], params: ValidateParams) -> list[str]:
    """What people should know, in lines."""
    counts = class_counts(done.rows)
    advice = "" if params.stratify == "exact" else "; validate.stratify: exact would give it one if it can"
    lines = [
        f"class {label!r} has no {split} image ({counts.loc[label].sum()} in all){advice}"
        for split in SPLITS
        for label in counts.index[counts[split] == 0]
    ]
    lines += [f"folder {name!r} is empty" for name in listed_besides["empty_folders"]]
    if listed_besides["missing"]:
        lines.append(
            f"tables name {listed_besides['missing']:,} files that are not there: see data/ingested/missing.csv"
        )
    conflicts = (done.copies["kind"] == "near") & (done.copies["label"] != done.copies["other_label"])
    if conflicts.any():
        pair = done.copies[conflicts].iloc[0]
        names = f"{pair['file_name']} and {pair['other']}"
        lines.append(f"pairs that look the same and have two labels: {conflicts.sum():,}, {names} for one")
    if len(done.leaks):
        what = {"report": "kept", "drop_from_train": "left out", "fail": "kept"}[params.on_leak]
        lines.append(f"leaks, images that belong together with one of another split: {len(done.leaks):,}, {what}")
    return lines + [finding.text for finding in done.findings if not finding.fails]


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


def summary(done: Validated, besides: dict[str, Any], warnings: list[str], failures: list[str]) -> dict[str, Any]:
    """The content of metrics/validate.json."""
    rows, copies, counts = done.rows, done.copies, class_counts(done.rows)
    reasons = rows["reason"].value_counts()
    kinds = copies["kind"].value_counts()
    return {
        "files": besides["files"],
        "containers": besides["containers"],
        "label_files": besides["label_files"],
        "layout": besides["layout"],
        "images": len(rows),
        "status": {name: int((rows["status"] == name).sum()) for name in ("ok", "duplicate", "quarantined")},
        "quarantined": {reason: int(reasons[reason]) for reason in REASONS if reason in reasons},
        "pairs": {kind: int(kinds.get(kind, 0)) for kind in ("bytes", "pixels", "near")},
        "clusters": int(rows["cluster"].nunique()),
        "groups": int(rows["group_id"].nunique()),
        "leaks": len(done.leaks),
        "splits": {split: int(counts[split].sum()) for split in SPLITS},
        "classes": len(counts),
        "warnings": warnings,
        "failures": failures,
    }


def main() -> None:
    """Run the stage."""
    params = read_params("validate", ValidateParams)
    listed = manifest.read_table(ingest_stage.MANIFEST, ingest_stage.COLUMNS, made_by="ingest")
    besides = json.loads(ingest_stage.FOUND.read_text(encoding="utf-8"))
    done = validate(listed, params)
    warnings, failures = warnings_of(done, besides, params), failures_of(done, params)
    for line in [*done.told, *(f"warning: {text}" for text in warnings), *(f"failure: {text}" for text in failures)]:
        progress.say(line)
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = done.rows
    set_aside = rows[rows["status"] == "quarantined"]
    manifest.write_csv(FOLDER / "quarantine.csv", set_aside[["file_name", "label", "reason", "detail"]])
    manifest.write_csv(FOLDER / "duplicates.csv", done.copies)
    numbers = summary(done, besides, warnings, failures)
    manifest.write_json(METRICS, numbers)
    manifest.write_text(PAGE, page.render(rows, done.copies, done.leaks, done.findings, numbers))
    manifest.write_table(MANIFEST, rows, COLUMNS)
    progress.counts(images=len(rows), **numbers["status"], **numbers["splits"])
    progress.report("link", text="images", path=str(PAGE))
    if failures:
        raise CheckFailedError(f"{len(failures)} of the checks failed: {failures[0]}; {PAGE} shows what was found")


if __name__ == "__main__":
    errors.run(main)
