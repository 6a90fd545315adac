"""The rows of the ingested manifest: each image with its label, split and group."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

import pyarrow as pa

from tasks.dataset.columns import INGESTED_COLUMNS
from tasks.dataset.raw_files import path_key
from tasks.dataset.split_names import split_named
from tasks.ingest.folder_labels import Layout, label_and_split, why_unlabelled
from tasks.ingest.list_images import ImageList, ListedImage
from tasks.ingest.params import IngestParams
from tasks.ingest.tables.merging import MergedTables
from tasks.ingest.tables.names import as_key
from tasks.ingest.tables.values import Annotation

ROWS_PER_PART = 4096


def manifest_rows(
    images: ImageList, layout: Layout, params: IngestParams, tables: MergedTables
) -> pa.Table:
    """The manifest, sorted by name; names that come twice are numbered."""
    rows = (_row_of(image, layout, params, tables) for image in images)
    return _with_unique_names(_as_table(rows))


def _row_of(
    image: ListedImage, layout: Layout, params: IngestParams, tables: MergedTables
) -> dict[str, Any]:
    """One row. A table overrules the image's container, and a container overrules folders."""
    key = as_key(image.name)
    table = tables.entries.get(key, Annotation())
    container = image.annotation
    folder_label, folder_split = label_and_split(image.path, layout, params.label_from)
    container_split = split_named(image.container) if image.container else None
    label = table.label or container.label or folder_label
    reason, detail = image.facts.reason, image.facts.detail
    if key in tables.conflicts:
        reason, detail = "label_conflict", tables.conflicts[key]
    if label is not None and reason is None:
        detail = None  # it said why the container gives no label
    elif reason is None and layout.kind == "tables":
        named = key in tables.entries
        table_detail = "its table gives it no label" if named else "no table names it"
        detail = f"{table_detail}; {detail}" if detail else table_detail
    elif reason is None:
        detail = detail or why_unlabelled(image.path, layout)
    return {
        "file_name": image.name,
        "label": label,
        "split": table.split or container.split or folder_split or container_split,
        "group_id": table.group_id
        or container.group_id
        or _group_in_name(image.name, params.group_pattern),
        "sample": image.sample,
        "container": image.container,
        "offset": image.offset,
        "bytes": image.facts.bytes,
        "sha256": image.facts.sha256,
        "reason": reason,
        "detail": detail,
    }


def _group_in_name(name: str, pattern: str | None) -> str | None:
    """What the pattern's first group finds in a name, or the whole pattern where it has none."""
    match = re.search(pattern, name) if pattern else None
    return match and match[1 if match.re.groups else 0]


def _as_table(rows: Iterator[dict[str, Any]]) -> pa.Table:
    """Made in parts: as many dictionaries as rows would take more memory than the table."""
    parts = [INGESTED_COLUMNS.empty_table()]
    while part := list(islice(rows, ROWS_PER_PART)):
        parts.append(pa.Table.from_pylist(part, INGESTED_COLUMNS))
    return pa.concat_tables(parts).combine_chunks()


def _with_unique_names(table: pa.Table) -> pa.Table:
    """The rows sorted by name. A name that comes twice (twice in one tar, say) gets a number.

    The first of equal names stays as it is: a file of its own, or else one that could be read.
    """
    names = table["file_name"].to_pylist()
    in_container = table["container"].is_valid().to_pylist()
    unread = table["sha256"].is_null().to_pylist()
    keys = [
        (path_key(name), *rest) for name, *rest in zip(names, in_container, unread, strict=True)
    ]
    order = sorted(range(len(names)), key=keys.__getitem__)
    unique = _numbered(names[row] for row in order)
    return table.take(order).set_column(0, "file_name", pa.array(unique, pa.string()))


def _numbered(sorted_names: Iterable[str]) -> Iterator[str]:
    """The names, where `a, a, b` becomes `a, a (2), b`."""
    for name, equals in groupby(sorted_names):
        for number, _ in enumerate(equals, 1):
            yield name if number == 1 else f"{name} ({number})"
