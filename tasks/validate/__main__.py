"""Run the validate stage: measure the images, set aside what cannot be used, split the rest."""

from tasks.workers import processes

if __name__ == "__main__":
    processes.start_early("tasks.validate.measure")  # while the imports below run

from typing import Any

import pandas as pd

from tasks.common import errors, events, tables
from tasks.common.errors import CheckFailedError
from tasks.common.params import read_params
from tasks.dataset.columns import INGESTED_COLUMNS, VALIDATED_COLUMNS
from tasks.dataset.manifests import preprocessing_metadata, read_preprocessing
from tasks.dataset.paths import (
    INGEST_FINDINGS,
    INGESTED_MANIFEST,
    VALIDATE_METRICS,
    VALIDATE_REPORT,
    VALIDATED,
    VALIDATED_MANIFEST,
)
from tasks.dataset.selections import quarantined
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.validate import measure, report, split, status, summary
from tasks.validate.checks import run_checks
from tasks.validate.params import ValidateParams
from tasks.validate.related import duplicates, lineage, sequences
from tasks.validate.related.near_duplicates import count_not_compared, find_near_duplicates
from tasks.validate.summary import Validated


def validate(
    listed: pd.DataFrame, params: ValidateParams, preprocessing: Preprocessing = AS_DECODED
) -> Validated:
    """Give every image its facts, status, lineage and split. The order of the steps matters.

    Args:
        listed: the ingested manifest.
        params: of the stage.
        preprocessing: that of later stages; what a file is does not depend on it, but for an image
            that it would make too large.
    """
    measured = status.join_facts(listed, measure.measure_all(listed[listed["reason"].isna()]))
    fitting = status.quarantine_enlarged(measured, preprocessing)
    labelled = status.quarantine_unlabelled(fitting, listed)
    candidates = status.quarantine_unsplit(labelled)  # before any of them is held against others
    deduplicated = duplicates.mark_duplicates(candidates)
    near = find_near_duplicates(deduplicated, params)
    related = lineage.add_lineages(deduplicated, near)
    leaks = lineage.find_leaks(related)
    dropped = params.on_leak == "drop_from_train"
    leak_free = lineage.drop_leaks(related, leaks) if dropped else related
    divided = split.assign_splits(leak_free, params)
    rows = duplicates.quarantine_copies(divided)
    return Validated(
        rows,
        pairs=duplicates.list_pairs(rows, near, leaks),
        leaks=leaks,
        findings=run_checks(rows, params, preprocessing.range),
        split=split.describe_splits(rows, params),
        sequences=sequences.describe_sequences(related, params),
        not_compared=count_not_compared(rows, params),
    )


def main() -> None:
    """Run the stage."""
    params = read_params("validate", ValidateParams)
    listed = tables.read_table(INGESTED_MANIFEST, INGESTED_COLUMNS, made_by="ingest")
    ingest_findings = tables.read_json(INGEST_FINDINGS, made_by="ingest")
    preprocessing = read_preprocessing(INGESTED_MANIFEST)
    validated = validate(listed, params, preprocessing)
    metrics = summary.summarise(validated, ingest_findings, params)
    print_findings(metrics)
    write_findings(validated, metrics)
    summary.require_enough(validated, params)  # after the page, which shows why
    rows = validated.rows
    metadata = preprocessing_metadata(preprocessing)
    tables.write_table(VALIDATED_MANIFEST, rows, VALIDATED_COLUMNS, metadata)
    events.report_counts(images=len(rows), **metrics["status"], **metrics["splits"])
    events.emit("link", text="images", path=str(VALIDATE_REPORT))
    fail_if_asked(metrics["failures"])


def print_findings(metrics: dict[str, Any]) -> None:
    """Say how the data was split, and every warning and failure."""
    events.say(f"split: {metrics['split']}")
    for text in metrics["warnings"]:
        events.say(f"warning: {text}")
    for text in metrics["failures"]:
        events.say(f"failure: {text}")


def write_findings(validated: Validated, metrics: dict[str, Any]) -> None:
    """Write all outputs but the manifest: the two lists, the metrics and the page."""
    VALIDATED.mkdir(parents=True, exist_ok=True)
    set_aside = quarantined(validated.rows)[["file_name", "label", "reason", "detail"]]
    tables.write_csv(VALIDATED / "quarantine.csv", set_aside)
    tables.write_csv(VALIDATED / "duplicates.csv", validated.pairs)
    tables.write_json(VALIDATE_METRICS, metrics)
    tables.write_text(VALIDATE_REPORT, report.render(validated, metrics))


def fail_if_asked(failures: list[str]) -> None:
    """Raises CheckFailedError where checks that are asked to fail have found something."""
    if failures:
        found = f"found what is asked to fail: {failures[0]}"
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        raise CheckFailedError(f"{found}{more}; {VALIDATE_REPORT} shows it")


if __name__ == "__main__":
    errors.run(main)
