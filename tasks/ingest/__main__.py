"""Run the ingest stage: list the images of data/raw with their labels, splits and groups."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common import errors, events
from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.common.tables import write_arrow, write_csv, write_json
from tasks.dataset import clutter, raw_files
from tasks.dataset.manifests import preprocessing_metadata
from tasks.dataset.paths import INGEST_FINDINGS, INGESTED, INGESTED_MANIFEST, RAW
from tasks.dataset.raw_files import RawListing
from tasks.ingest import read_files, samples
from tasks.ingest.findings import MISSING, find_missing, findings_of
from tasks.ingest.folder_labels import Layout, find_layout
from tasks.ingest.label_files import LabelFiles, find_label_files
from tasks.ingest.list_images import ImageList
from tasks.ingest.manifest_rows import manifest_rows
from tasks.ingest.params import IngestParams
from tasks.ingest.tables.merging import merge_tables


class Ingested(NamedTuple):
    """What the stage writes.

    `rows`: the manifest. `findings`: counts and notes, see findings_of(). `missing`: the files that
    tables name and data/raw lacks.
    """

    rows: pa.Table
    findings: dict[str, Any]
    missing: pd.DataFrame


def ingest(params: IngestParams) -> Ingested:
    """List everything below data/raw that DVC versions and that is no clutter.

    Raises:
        UserError: where there are no files, where it cannot be decided what names the classes, and
            where files changed while they were read.
    """
    raw_files.require_own_folder()
    listing = raw_files.list_raw()
    _require_files(listing)
    states = read_files.file_states(listing.files)
    contents = read_files.read_all(states)
    label_files = find_label_files(contents, params)
    images = ImageList(contents, label_files)
    layout = choose_layout(params, (image.path for image in images), label_files)
    table_labels = merge_tables(label_files.tables)
    rows = manifest_rows(images, layout, params, table_labels)
    rows = samples.choose(samples.join_names(rows), params)
    rows = rows.replace_schema_metadata(preprocessing_metadata(params.preprocessing))
    missing = find_missing(label_files.tables)
    findings = findings_of(images, listing, layout, params, rows)
    read_files.require_unchanged(states)
    return Ingested(rows, findings, missing)


def _require_files(listing: RawListing) -> None:
    if listing.files:
        return
    found = "no files" if RAW.is_dir() else "no folder"
    if listing.clutter:
        left_out = clutter.words(clutter.count(listing.clutter))
        found = f"none ({left_out}): rename what begins with a dot"
    raise UserError(f"{RAW}: needs images in class folders, found {found}")


def choose_layout(params: IngestParams, paths: Iterable[str], label_files: LabelFiles) -> Layout:
    """What names the classes: tables where one of them has labels, else folders.

    Raises:
        UserError: where tables are asked for and there are none, and see find_layout().
    """
    have_labels = any(table.has_labels for table in label_files.tables)
    if params.layout == "tables" and not have_labels:
        found = next(iter(label_files.notes), "none")
        need = f"needs a table with the columns file_name and label, found {found}"
        raise UserError(f"{RAW}: ingest.layout is tables: {need}")
    if params.layout == "tables" or (params.layout == "auto" and have_labels):
        return Layout("tables")
    return find_layout(paths, params.layout, params.label_from)


def main() -> None:
    """Run the stage."""
    result = ingest(read_params("ingest", IngestParams))
    report(result)
    write(result)


def report(result: Ingested) -> None:
    """Print the layout that was chosen, what was left out, and what looks like a mistake."""
    events.say(f"layout: {result.findings['layout']}")
    if result.findings["clutter"]["files"]:
        events.say(f"clutter: {clutter.words(result.findings['clutter'])}")
    for note in result.findings["notes"]:
        events.say(f"note: {note}")


def write(result: Ingested) -> None:
    """Write data/ingested: the manifest comes last, so one that exists is complete."""
    INGESTED.mkdir(parents=True, exist_ok=True)
    write_csv(MISSING, result.missing)
    write_json(INGEST_FINDINGS, result.findings)
    write_arrow(INGESTED_MANIFEST, result.rows)
    events.report_counts(
        images=len(result.rows),
        labels=len(pc.unique(pc.drop_null(result.rows["label"]))),
        unreadable=int(pc.sum(pc.equal(result.rows["reason"], "unreadable")).as_py() or 0),
    )


if __name__ == "__main__":
    errors.run(main)
