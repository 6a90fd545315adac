"""Run the stage: list what lies under data/raw and give each image its label, split and group."""

import posixpath
import re
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common import errors, events
from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.common.tables import write_arrow, write_csv, write_json
from tasks.dataset import idx_format, raw_files
from tasks.dataset.columns import INGESTED_COLUMNS
from tasks.dataset.paths import INGEST_FINDINGS, INGESTED, INGESTED_MANIFEST, RAW
from tasks.dataset.split_names import split_named
from tasks.ingest import folder_labels, idx, read_files, table_labels, tar_shards
from tasks.ingest.containers import Contents
from tasks.ingest.folder_labels import Layout
from tasks.ingest.params import IngestParams
from tasks.ingest.read_files import Content, FileFacts
from tasks.ingest.table_labels import Table

MISSING = INGESTED / "missing.csv"
ROWS_AT_ONCE = 4096


class Listed(NamedTuple):
    """One image. `place` is its path for labels and splits: as if its container were a folder."""

    name: str
    place: str
    facts: FileFacts
    container: str | None = None
    offset: int | None = None
    told: tuple[str | None, str | None, str | None] = (
        None,
        None,
        None,
    )  # label, split, group by its container


# --- what is there ------------------------------------------------------------------------------------------------


def list_images(
    name: str, content: Content, labels: list[str] | None, classes: dict[str, str]
) -> Iterator[Listed]:
    """The images of one file: itself, or those that it contains and, where it is damaged, itself besides.

    Args:
        name: of the file.
        content: what reading it gave.
        labels: of the images of an idx file, in order; None where nothing names them.
        classes: the names of numbered classes.

    Raises:
        UserError: where there are not as many labels as images.
    """
    if isinstance(content, FileFacts):
        yield Listed(raw_files.printable(name), raw_files.printable(name), content)
        return
    if labels is not None and len(labels) != len(content.images):
        found = f"{len(content.images):,} images and {len(labels):,} labels"
        raise UserError(f"{RAW / name}: needs a label for each image, found {found}")
    folder = posixpath.dirname(name)
    for number, member in enumerate(content.images):
        label = labels[number] if labels else member.label
        facts = FileFacts(member.bytes, member.sha256, member.reason, member.detail)
        place = posixpath.normpath(posixpath.join("/", folder, member.name)).lstrip(
            "/"
        )  # `..` leads nowhere
        told = (classes.get(label or "", label), member.split, member.group_id)
        yield Listed(f"{name}::{member.name}", place, facts, name, member.offset, told)
    if content.damage:
        yield Listed(name, name, FileFacts(reason="corrupt", detail=content.damage))


# --- labels -------------------------------------------------------------------------------------------------------


def choose_layout(params: IngestParams, places: Iterable[str], found: list[Table]) -> Layout:
    """What names the classes: tables where one has labels, else folders.

    Raises:
        UserError: where tables are asked for and there are none, and see folders.find_layout().
    """
    if params.layout == "tables" and not any(table.has_labels for table in found):
        raise UserError(
            f"{RAW}: ingest.layout is tables: needs a table with the columns file_name and label, found none"
        )
    if params.layout == "tables" or (
        params.layout == "auto" and any(table.has_labels for table in found)
    ):
        return Layout("tables")
    return folder_labels.find_layout(places) if params.layout == "auto" else Layout(params.layout)


def row_of(
    image: Listed,
    layout: Layout,
    params: IngestParams,
    said: dict[str, table_labels.Entry],
    conflicts: dict[str, str],
) -> dict[str, Any]:
    """The image's row. A table knows better than a container, and a container better than folders."""
    by_folder, split = folder_labels.label_and_split(image.place, layout, params.label_from)
    key = table_labels.as_key(image.name)
    entry = said.get(key, table_labels.Entry(None, None, None))
    told_label, told_split, told_group = image.told
    reason, detail = image.facts.reason, image.facts.detail
    if key in conflicts:
        reason, detail = "label_conflict", conflicts[key]
    row_label = entry.label or told_label or by_folder
    if row_label is None and reason is None and layout.kind == "tables":
        detail = "no table names it" if key not in said else "its table gives it no label"
    group = re.search(params.group_pattern, image.name) if params.group_pattern else None
    return {
        "file_name": image.name,
        "label": row_label,
        "split": entry.split
        or told_split
        or split
        or (split_named(image.container) if image.container else None),
        "group_id": entry.group_id or told_group or (group and group[1 if group.re.groups else 0]),
        "container": image.container,
        "offset": image.offset,
        "bytes": image.facts.bytes,
        "sha256": image.facts.sha256,
        "reason": reason,
        "detail": detail,
    }


# --- the stage ----------------------------------------------------------------------------------------------------


class Ingested(NamedTuple):
    """`rows`: the manifest. `found`: what else there is. `missing`: files that tables name and that are not there."""

    rows: pa.Table
    found: dict[str, Any]
    missing: pd.DataFrame


def ingest(params: IngestParams) -> Ingested:
    """List everything below data/raw.

    Raises:
        UserError: where there is nothing, or nobody can tell what names the classes, or files changed meanwhile.
    """
    states = read_files.file_states()
    names = list(states)
    if not names:
        raise UserError(
            f"{RAW}: needs images in class folders, found {'no files' if RAW.is_dir() else 'no folder'}"
        )
    contents = dict(read_files.read_all(states))
    containers = {
        name: content for name, content in contents.items() if isinstance(content, Contents)
    }
    helpers = find_label_files(names, containers, params)
    label_files = helpers.names
    labels = {name: idx.read_labels(other) for name, other in helpers.labels.items()}
    classes = {name: tar_shards.read_classes(other) for name, other in helpers.classes.items()}

    def images() -> Iterator[Listed]:
        for name in names:
            if name not in label_files:
                yield from list_images(
                    name, contents[name], labels.get(name), classes.get(name, {})
                )

    layout = choose_layout(params, (image.place for image in images()), helpers.tables)
    said, conflicts = table_labels.join(helpers.tables)
    rows = as_table(row_of(image, layout, params, said, conflicts) for image in images())
    missing = find_missing(
        helpers.tables,
        {table_labels.as_key(name) for name in (*rows["file_name"].to_pylist(), *names)},
    )
    by_folder = any(image.told[0] is None for image in images())
    found = {
        "files": len(names),
        "layout": words_for(layout, params, helpers.tables, containers, by_folder),
        "containers": {
            name: {"members": content.members, "images": len(content.images)}
            for name, content in containers.items()
        },
        "label_files": sorted(label_files),
        "empty_folders": raw_files.empty_folders(RAW),
        "notes": [*notes_on_tables(names, label_files, missing), *notes_on_groups(rows, params)],
    }
    read_files.require_unchanged(states)
    return Ingested(rows, found, missing)


class LabelFiles(NamedTuple):
    """The files that only label others: tables, and by the container that they label idx files and classes.json."""

    tables: list[Table]
    labels: dict[str, str]
    classes: dict[str, str]

    @property
    def names(self) -> set[str]:
        return {table.name for table in self.tables} | {
            *self.labels.values(),
            *self.classes.values(),
        }


def find_label_files(
    names: list[str], containers: dict[str, Contents], params: IngestParams
) -> LabelFiles:
    """Which of the files `names` label others."""
    found = [] if params.layout.endswith("folders") else table_labels.find(names, set(names))
    usable = {name for name in names if raw_files.problem_of(name) is None} if containers else set()
    labels = {}
    for name in containers:
        other = idx.labels_name(name, usable)
        if other and idx_format.read_header(RAW / name) is not None:
            labels[name] = other
    classes = {
        name: other for name in containers if (other := tar_shards.classes_name(name)) in usable
    }
    return LabelFiles(found, labels, classes)


def as_table(rows: Iterator[dict[str, Any]]) -> pa.Table:
    """The manifest, sorted by name. Made in parts: as many dictionaries would take more memory than the table."""
    parts = [INGESTED_COLUMNS.empty_table()]
    while some := list(islice(rows, ROWS_AT_ONCE)):
        parts.append(pa.Table.from_pylist(some, INGESTED_COLUMNS))
    table = pa.concat_tables(parts).combine_chunks()
    names = table["file_name"].to_pylist()
    inside, unread = (
        table["container"].is_valid().to_pylist(),
        table["sha256"].is_null().to_pylist(),
    )
    # a name that comes twice (twice in one tar, say) stays with the file that is found by it
    order = sorted(
        range(len(names)),
        key=lambda row: (raw_files.path_key(names[row]), inside[row], unread[row]),
    )
    return table.take(order).set_column(
        0, "file_name", pa.array(numbered(names[row] for row in order), pa.string())
    )


def numbered(names: Iterable[str]) -> Iterator[str]:
    """The names, each of which stands by its equals, with a number after all but the first of these."""
    for name, equals in groupby(names):
        yield from (
            name if number == 1 else f"{name} ({number})" for number, _ in enumerate(equals, 1)
        )


def find_missing(found: list[Table], present: set[str]) -> pd.DataFrame:
    """What tables name and nobody finds."""
    rows = [
        (table.name, path, entry.label)
        for table in found
        for path, entry in table.entries.items()
        if path not in present
    ]
    return pd.DataFrame(rows, columns=["table", "file_name", "label"])


def notes_on_tables(
    names: list[str], label_files: set[str], missing: pd.DataFrame
) -> Iterator[str]:
    """What is to be said of tables that were not taken for ones of labels, and of files that are not there."""
    for name in names:
        header = table_labels.header_of(name) if name not in label_files else None
        if header is not None:
            yield f"{name} labels nothing: needs the columns file_name and label, found {header}"
    if len(missing):
        one = missing.iloc[0]
        what = f"{len(missing):,}, {one['file_name']} in {one['table']} for one"
        yield f"tables name files that are not there: {what}; names count from the table's folder; see {MISSING}"


def notes_on_groups(rows: pa.Table, params: IngestParams) -> Iterator[str]:
    """A pattern that finds a group in some files only, or in none, is seldom what was meant."""
    without = rows["group_id"].null_count
    if params.group_pattern and without:
        yield f"ingest.group_pattern finds no group in {without:,} of {len(rows):,} images: each stands alone"


def words_for(
    layout: Layout,
    params: IngestParams,
    found: list[Table],
    containers: dict[str, Contents],
    by_folder: bool,
) -> str:
    """The layout in one line. `by_folder`: there are images of which no container says a class."""
    parts = []
    names = ", ".join(table.name for table in found[:3]) + (", ..." if len(found) > 3 else "")
    if layout.kind == "tables":
        parts.append(f"tables ({names})")
    elif by_folder or found:
        chosen = {
            "first": "",
            "last": ", classes by the last folder",
            "path": ", classes by the whole path",
        }
        parts.append(
            layout.words + chosen[params.label_from] + (f", with {names}" if found else "")
        )
    if containers:
        parts.append(
            f"{len(containers)} container{'s' if len(containers) > 1 else ''} read in place"
        )
    return "; ".join(parts) + (" (detected)" if params.layout == "auto" else "")


def main() -> None:
    """Run the stage."""
    params = read_params("ingest", IngestParams)
    done = ingest(params)
    events.say(f"layout: {done.found['layout']}")
    for note in done.found["notes"]:
        events.say(f"note: {note}")
    INGESTED.mkdir(parents=True, exist_ok=True)
    write_csv(MISSING, done.missing)
    write_json(INGEST_FINDINGS, done.found)
    write_arrow(INGESTED_MANIFEST, done.rows)
    unreadable = int(pc.sum(pc.equal(done.rows["reason"], "unreadable")).as_py() or 0)
    events.report_counts(
        images=len(done.rows),
        labels=len(pc.unique(pc.drop_null(done.rows["label"]))),
        unreadable=unreadable,
    )


if __name__ == "__main__":
    errors.run(main)
