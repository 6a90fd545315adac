"""Run the stage: look at every image, set aside what cannot be used, split what is left, say what is odd."""

from tasks.common import workers

if __name__ == "__main__":
    workers.start_early("tasks.validate.measure")  # beside the imports below

import numpy as np
import pandas as pd

from tasks.common import errors, events, tables
from tasks.common.errors import CheckFailedError
from tasks.common.params import read_params
from tasks.dataset.columns import INGESTED_COLUMNS, VALIDATED_COLUMNS
from tasks.dataset.paths import (
    INGEST_FINDINGS,
    INGESTED_MANIFEST,
    VALIDATE_METRICS,
    VALIDATE_REPORT,
    VALIDATED,
    VALIDATED_MANIFEST,
)
from tasks.validate import duplicates, lineage, measure, report, summary
from tasks.validate.checks import run_checks
from tasks.validate.near_duplicates import find_near_duplicates, not_compared
from tasks.validate.params import ValidateParams
from tasks.validate.split import assign_splits
from tasks.validate.summary import Validated

TEXTS = {field.name: "str" for field in VALIDATED_COLUMNS if field.type == "string"}
LISTED = (
    "sha256",
    "file_name",
    "label",
    "split",
    "group_id",
    "container",
    "offset",
    "bytes",
)  # from ingest


def facts_of(listed: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """One row for each image listed, with what looking at it told, and its hash."""
    facts = (
        measure.measure_all(listed[listed["reason"].isna()])
        .reindex(listed["sha256"])
        .set_axis(listed.index)
    )
    rows = facts.reindex(columns=VALIDATED_COLUMNS.names).astype(TEXTS)
    for column in LISTED:
        rows[column] = listed[column]
    # what ingest has set aside was not looked at, unless another has the same bytes
    for column in ("reason", "detail"):
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
    """
    rows, hashes = facts_of(listed)
    given = rows["split"].copy()
    duplicates.mark_duplicates(rows)
    near = pd.DataFrame({"a": [], "b": []}, dtype=np.int64)
    if params.near_duplicates != "off":
        near = find_near_duplicates(rows, hashes, params.near_duplicates == "all")
    rows["cluster"] = lineage.find_clusters(rows, near)
    lineages = lineage.find_lineages(rows)
    leaks = lineage.find_leaks(rows, lineages, given)
    dropped = leaks.index[rows.loc[leaks.index, "status"] == "ok"]
    if params.on_leak == "drop_from_train":
        rows.loc[dropped, ["status", "reason"]] = ["quarantined", "leak"]
        rows.loc[dropped, "detail"] = "belongs together with " + leaks.loc[dropped, "other"]
    told = assign_splits(rows, lineages, params)
    duplicates.follow_originals(rows)
    copies = duplicates.list_duplicates(rows, near, leaks, given)
    return Validated(
        rows, copies, leaks, run_checks(rows, params), told, not_compared(rows, params)
    )


def main() -> None:
    """Run the stage."""
    params = read_params("validate", ValidateParams)
    listed = tables.read_table(INGESTED_MANIFEST, INGESTED_COLUMNS, made_by="ingest")
    besides = tables.read_json(INGEST_FINDINGS, made_by="ingest")
    done = validate(listed, params)
    numbers = summary.summarise(done, besides, params)
    warnings = [f"warning: {text}" for text in numbers["warnings"]]
    for line in [
        f"split: {done.split}",
        *warnings,
        *(f"failure: {text}" for text in numbers["failures"]),
    ]:
        events.say(line)
    VALIDATED.mkdir(parents=True, exist_ok=True)
    rows = done.rows
    set_aside = rows[rows["status"] == "quarantined"]
    tables.write_csv(
        VALIDATED / "quarantine.csv", set_aside[["file_name", "label", "reason", "detail"]]
    )
    tables.write_csv(VALIDATED / "duplicates.csv", done.copies)
    tables.write_json(VALIDATE_METRICS, numbers)
    tables.write_text(
        VALIDATE_REPORT, report.render(rows, done.copies, done.leaks, done.findings, numbers)
    )
    summary.require_enough(done, params)  # after the page, which shows why
    tables.write_table(VALIDATED_MANIFEST, rows, VALIDATED_COLUMNS)
    events.report_counts(images=len(rows), **numbers["status"], **numbers["splits"])
    events.emit("link", text="images", path=str(VALIDATE_REPORT))
    if numbers["failures"]:
        found = f"found what is asked to fail: {numbers['failures'][0]}"
        more = f", and {len(numbers['failures']) - 1} more" if len(numbers["failures"]) > 1 else ""
        raise CheckFailedError(f"{found}{more}; {VALIDATE_REPORT} shows it")


if __name__ == "__main__":
    errors.run(main)
