"""What the ingest stage tells people: counts, the layout, notes on likely mistakes."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.dataset import clutter
from tasks.dataset.paths import INGESTED
from tasks.dataset.raw_files import RawListing
from tasks.ingest import table_labels
from tasks.ingest.folder_labels import Layout
from tasks.ingest.list_images import ImageList
from tasks.ingest.params import IngestParams
from tasks.ingest.samples import notes_on_samples
from tasks.ingest.table_labels import Table
from tasks.ingest.tar_shards import key_rule, misnamed_sidecars

MISSING = INGESTED / "missing.csv"
TABLES_SHOWN = 3


def findings_of(
    images: ImageList,
    listing: RawListing,
    layout: Layout,
    params: IngestParams,
    rows: pa.Table,
    missing: pd.DataFrame,
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
            *_notes_on_tables(images.contents, label_files),
            *_notes_on_missing_files(missing),
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
    shown = ", ".join(table.name for table in tables[:TABLES_SHOWN])
    names = shown + (", ..." if len(tables) > TABLES_SHOWN else "")
    if layout.kind == "tables":
        parts.append(f"tables ({names})")
    elif tables or any(image.annotation.label is None for image in images):
        with_tables = f", with {names}" if tables else ""
        parts.append(layout.words + _which_folder(params) + with_tables)
    if count := images.containers:
        parts.append(f"{len(count)} container{'s' if len(count) > 1 else ''} read in place")
    if (classes := images.class_tars) and layout.kind != "tables":
        parts.append(f"classes by the names of {len(classes)} tars")
    return "; ".join(parts) + (" (detected)" if params.layout == "auto" else "")


def _which_folder(params: IngestParams) -> str:
    return {
        "first": "",
        "last": ", classes by the last folder",
        "path": ", classes by the whole path",
    }[params.label_from]


def find_missing(tables: list[Table], present: Iterable[str]) -> pd.DataFrame:
    """The rows of tables that name files which are not among `present`: table, file_name, label."""
    keys = set(map(table_labels.as_key, present))
    rows = []
    for table in tables:
        for path, entry in table.entries.items():
            if path not in keys:
                rows.append((table.name, path, entry.label))
    return pd.DataFrame(rows, columns=["table", "file_name", "label"])


def _notes_on_tables(names: Iterable[str], label_files: Collection[str]) -> Iterator[str]:
    """CSV and TSV files without the columns that would make them tables of labels."""
    for name in names:
        header = table_labels.header_of(name) if name not in label_files else None
        if header is not None:
            need = "needs the columns file_name and label"
            yield f"{name} labels nothing: {need}, found {header}"


def _notes_on_missing_files(missing: pd.DataFrame) -> Iterator[str]:
    if len(missing):
        first = missing.iloc[0]
        example = f"{len(missing):,}, {first['file_name']} in {first['table']} for one"
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
