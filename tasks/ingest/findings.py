"""What the ingest stage tells people: counts, the layout, notes on likely mistakes."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.common.texts import counted
from tasks.dataset import clutter
from tasks.dataset.paths import INGESTED
from tasks.dataset.raw_files import RawListing
from tasks.ingest.folder_labels import Layout
from tasks.ingest.list_images import ImageList
from tasks.ingest.params import IngestParams
from tasks.ingest.samples import notes_on_samples
from tasks.ingest.tables.merging import Table
from tasks.ingest.tables.names import DIFFERENCES, MatchNames, NameMatcher
from tasks.ingest.tar_shards import key_rule, misnamed_sidecars

MISSING = INGESTED / "missing.csv"
TABLES_SHOWN = 3


def findings_of(
    images: ImageList,
    listing: RawListing,
    layout: Layout,
    params: IngestParams,
    rows: pa.Table,
) -> dict[str, Any]:
    """The content of data/ingested/found.json."""
    label_files = images.label_files.names
    return {
        "files": len(images.contents),
        "layout": _describe_layout(layout, params, images),
        "containers": {
            name: {"members": content.members, "images": len(content.images)}
            for name, content in images.containers.items()
        },
        "label_files": sorted(label_files),
        "clutter": clutter.count([*listing.clutter, *_clutter_inside(images)]),
        "empty_folders": listing.empty_folders,
        "notes": [
            *layout.notes,
            *images.label_files.notes,
            *_notes_on_tables(images.label_files.tables, rows),
            *_notes_on_missing_files(images.label_files.tables, images.label_files.matcher),
            *_notes_on_groups(rows, params),
            *notes_on_samples(rows, params),
            *_notes_on_keys(images),
        ],
    }


def _clutter_inside(images: ImageList) -> Iterator[str]:
    """The clutter in containers, by its names in the manifest."""
    for name, content in images.containers.items():
        for member in content.clutter:
            yield f"{name}::{member}"


def _describe_layout(layout: Layout, params: IngestParams, images: ImageList) -> str:
    """The layout in one line, as in `class folders; 1 container read in place (detected)`."""
    parts = []
    tables = images.label_files.tables
    shown = ", ".join(map(_with_columns, tables[:TABLES_SHOWN]))
    names = shown + (", ..." if len(tables) > TABLES_SHOWN else "")
    if layout.kind == "tables":
        parts.append(f"tables ({names})")
    elif tables or any(image.annotation.label is None for image in images):
        with_tables = f", with {names}" if tables else ""
        parts.append(layout.words + _which_folder(params) + with_tables)
    if count := images.containers:
        parts.append(f"{counted(len(count), 'container')} read in place")
    if (classes := images.class_tars) and layout.kind != "tables":
        parts.append(f"classes by the names of {counted(len(classes), 'tar')}")
    return "; ".join(parts) + (" (detected)" if params.layout == "auto" else "")


def _with_columns(table: Table) -> str:
    """A table's name, with the columns that were taken for those of files and labels."""
    guessed = table.columns.guessed
    return f"{table.name}: {guessed}" if guessed else table.name


def _which_folder(params: IngestParams) -> str:
    return {
        "first": "",
        "last": ", classes by the last folder",
        "path": ", classes by the whole path",
    }[params.label_from]


def find_missing(tables: list[Table]) -> pd.DataFrame:
    """The rows of tables that name files which are not there: table, file_name, label."""
    rows = []
    for table in tables:
        for key in table.unmatched:
            rows.append((table.name, key, table.entries[key].label))
    return pd.DataFrame(rows, columns=["table", "file_name", "label"])


def _notes_on_tables(tables: list[Table], rows: pa.Table) -> Iterator[str]:
    """Tables that could label their files: all where most images have no label.

    Where folders name the classes, those that say nothing else of their files.
    """
    are_missed = rows["label"].null_count > len(rows) / 2
    for table in tables:
        says_nothing = (table.columns.split, table.columns.group) == (None, None)
        if table.columns.advice and not table.has_labels and (are_missed or says_nothing):
            yield f"{table.name} labels nothing: {table.columns.advice}"


def _notes_on_missing_files(tables: list[Table], matcher: NameMatcher) -> Iterator[str]:
    """Names in tables that no file has: whether one has nearly this name, or several, or none."""
    near: dict[MatchNames, list[str]] = defaultdict(list)  # names by what they differ in
    several: list[str] = []
    gone: list[str] = []
    for table in tables:
        for key, written in table.unmatched.items():
            found = matcher.near(table.name, written)
            if found is None:
                gone.append(f"{key} in {table.name}")
            elif len(found.files) > 1:
                both = f"{found.files[0]} and {found.files[1]}"
                several.append(f"{written} in {table.name} for {both}")
            else:
                near[found.difference].append(f"{written} in {table.name} for {found.files[0]}")
    for difference, names in near.items():
        differ = f"tables have names that differ in {DIFFERENCES[difference].words} only"
        value = difference if len(near) == 1 and matcher.match == "exact" else "loose"
        mend = f"`ingest.match_names: {value}` takes them"
        yield f"{differ}: {len(names):,}, as {names[0]}; {mend}"
    if several:
        example = f"{len(several):,}, as {several[0]}"
        yield f"tables have names that fit several files: {example}; write more of them"
    if gone:
        example = f"{len(gone):,}, {gone[0]} for one"
        hint = f"names count from the table's folder; see {MISSING}"
        yield f"tables name files that are not there: {example}; {hint}"


def _notes_on_groups(rows: pa.Table, params: IngestParams) -> Iterator[str]:
    """A pattern that finds a group in some files only, or in none, is seldom what was meant."""
    without = rows["group_id"].null_count
    if params.group_pattern and without:
        images = f"{without:,} of {len(rows):,} images"
        yield f"ingest.group_pattern finds no group in {images}: each stands alone"


def _notes_on_keys(images: ImageList) -> Iterator[str]:
    """Shards whose labels are not found because of dots in names."""
    for name, contents in images.containers.items():
        if misnamed := misnamed_sidecars(contents.images):
            first = min(misnamed)
            count = f"{len(misnamed):,} .cls and .json files label no image, {first} for one"
            yield f"{name}: {count}: {key_rule(first)}; write _ in place of the other dots"
