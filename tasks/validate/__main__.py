"""Run the stage: look at every image, set aside what cannot be used, split what is left, say what is odd."""

from tasks import workers

if __name__ == "__main__":
    workers.start_early("tasks.validate.look")  # beside the imports below

import numpy as np
import pandas as pd

from tasks import errors, manifest, progress
from tasks import ingest as ingest_stage
from tasks.errors import CheckFailedError
from tasks.params import read_params
from tasks.validate import COLUMNS, FOLDER, MANIFEST, METRICS, PAGE, duplicates, lineage, look, page, summary
from tasks.validate.checks import run_checks
from tasks.validate.near import find_near, not_compared
from tasks.validate.params import ValidateParams
from tasks.validate.split import assign_splits
from tasks.validate.summary import Validated

TEXTS = {field.name: "str" for field in COLUMNS if field.type == "string"}
LISTED = ("sha256", "file_name", "label", "split", "group_id", "container", "offset", "bytes")  # from ingest


def facts_of(listed: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """One row for each image listed, with what looking at it told, and its hash."""
    facts = look.look_at_all(listed[listed["reason"].isna()]).reindex(listed["sha256"]).set_axis(listed.index)
    rows = facts.reindex(columns=COLUMNS.names).astype(TEXTS)
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
        near = find_near(rows, hashes, params.near_duplicates == "all")
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
    return Validated(rows, copies, leaks, run_checks(rows, params), told, not_compared(rows, params))


def main() -> None:
    """Run the stage."""
    params = read_params("validate", ValidateParams)
    listed = manifest.read_table(ingest_stage.MANIFEST, ingest_stage.COLUMNS, made_by="ingest")
    besides = manifest.read_json(ingest_stage.FOUND, made_by="ingest")
    done = validate(listed, params)
    numbers = summary.summarise(done, besides, params)
    warnings = [f"warning: {text}" for text in numbers["warnings"]]
    for line in [f"split: {done.split}", *warnings, *(f"failure: {text}" for text in numbers["failures"])]:
        progress.say(line)
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = done.rows
    set_aside = rows[rows["status"] == "quarantined"]
    manifest.write_csv(FOLDER / "quarantine.csv", set_aside[["file_name", "label", "reason", "detail"]])
    manifest.write_csv(FOLDER / "duplicates.csv", done.copies)
    manifest.write_json(METRICS, numbers)
    manifest.write_text(PAGE, page.render(rows, done.copies, done.leaks, done.findings, numbers))
    summary.require_enough(done, params)  # after the page, which shows why
    manifest.write_table(MANIFEST, rows, COLUMNS)
    progress.counts(images=len(rows), **numbers["status"], **numbers["splits"])
    progress.report("link", text="images", path=str(PAGE))
    if numbers["failures"]:
        found = f"found what is asked to fail: {numbers['failures'][0]}"
        more = f", and {len(numbers['failures']) - 1} more" if len(numbers["failures"]) > 1 else ""
        raise CheckFailedError(f"{found}{more}; {PAGE} shows it")


if __name__ == "__main__":
    errors.run(main)
