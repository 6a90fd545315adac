"""Labels from tables: files with the columns `file_name,label[,split][,group_id]`, and lists.

File names count from the table's own folder, as in the `metadata.csv` and `metadata.jsonl` of
Hugging Face's ImageFolder. A list (`.txt`, `.lst`) has a path and a label on each line. Without a
column `split`, the split is what the table's name or folder says (`train.csv`,
`train/metadata.csv`).
"""

import codecs
import posixpath
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.dataset.raw_files import problem_of
from tasks.dataset.split_names import SPLIT_WORDS, split_named, split_of_folder
from tasks.ingest.containers import Annotation
from tasks.ingest.table_readers import FILE, GROUP, LABEL, READERS, SPLIT, split_list_line

START_BYTES = 4096
MAX_CHARACTERS = 1000  # of a name or label


class Table(NamedTuple):
    """A table of labels.

    `name`: of its file. `has_labels`: whether it has a column of them. `entries`: its annotations
    by file name below data/raw, see as_key(). `conflicts`: for the files that it names with several
    labels, a text that says so.
    """

    name: str
    has_labels: bool
    entries: dict[str, Annotation]
    conflicts: dict[str, str]


class MergedTables(NamedTuple):
    """`entries` and `conflicts` of all tables together; see Table."""

    entries: dict[str, Annotation]
    conflicts: dict[str, str]


# --- finding tables -------------------------------------------------------------------------------


def find_tables(names: list[str]) -> list[Table]:
    """The tables among the files `names` of data/raw, read.

    Raises:
        UserError: where one cannot be read.
    """
    known = set(names)
    return [read_table(name) for name in names if is_table(name, known)]


def is_table(name: str, known: Collection[str]) -> bool:
    """Whether the file is a table of labels, by its columns, or a list, by its first line.

    Args:
        name: below data/raw.
        known: all files there; the first line of a list names one of them.
    """
    path, extension = RAW / name, Path(name).suffix.lower()
    if extension not in READERS or problem_of(name):
        return False
    try:
        if extension == ".parquet":
            return FILE in pq.read_schema(path).names
        with path.open("rb") as file:
            # without the zeros of UTF-16: such a table is found, and then refused as not UTF-8
            start = file.read(START_BYTES).replace(b"\0", b"")
    except (OSError, pa.ArrowException):
        return False  # no table, whatever its name says; validate will say what it is
    first_line = next(iter(start.removeprefix(codecs.BOM_UTF8).splitlines()), b"")
    if extension not in (".txt", ".lst"):
        return re.search(rb"\b%s\b" % FILE.encode(), first_line) is not None
    file_name, label = split_list_line(first_line.decode("utf-8", "replace"))
    return bool(label) and _below_raw(name, file_name) in known


def header_of(name: str) -> str | None:
    """The first line of a CSV or TSV file, quoted, to show its columns; None for other files."""
    if Path(name).suffix.lower() not in (".csv", ".tsv") or problem_of(name):
        return None
    with (RAW / name).open("rb") as file:
        start = file.read(START_BYTES)
    first_line = next(iter(start.decode("utf-8-sig", "replace").splitlines()), "")
    return repr(first_line[:100])


# --- reading one table ----------------------------------------------------------------------------


def read_table(name: str) -> Table:
    """Read the table `name` below data/raw.

    Raises:
        UserError: where it cannot be read, with the line.
    """
    entries: dict[str, Annotation] = {}
    conflicts: dict[str, str] = {}
    has_labels = False
    default_split = split_named(name) or _split_of_folders(name)
    for line, row in READERS[Path(name).suffix.lower()](RAW / name):
        has_labels = has_labels or LABEL in row
        try:
            file, label, split, group_id = (
                text_of(row.get(column)) for column in (FILE, LABEL, SPLIT, GROUP)
            )
            if file is None:
                raise ValueError("needs a file_name, found none")
            if split is not None and split.lower() not in SPLIT_WORDS:
                raise ValueError(f"split needs to be train, validation or test, found {split!r}")
        except ValueError as error:
            raise UserError(f"{RAW / name} line {line}: {error}") from None
        split = SPLIT_WORDS[split.lower()] if split else default_split
        entry = Annotation(label, split, group_id)
        path = as_key(_below_raw(name, file))
        before = entries.setdefault(path, entry)
        if before.label != entry.label:
            conflicts[path] = f"{name} says {before.label} and {entry.label}"
        elif before != entry:
            problem = f"{file} is named before, with another split or group"
            raise UserError(f"{RAW / name} line {line}: {problem}")
    return Table(name, has_labels, entries, conflicts)


def _split_of_folders(name: str) -> str | None:
    """The split that the first folder with a split's name names."""
    folders = posixpath.dirname(name).split("/")
    return next(filter(None, map(split_of_folder, folders)), None)


def _below_raw(table: str, file: str) -> str:
    """The path below data/raw of a file that a table names: names count from the table's folder."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(table), file))


def as_key(name: str) -> str:
    """A file's name as a key of `entries`: in NFC.

    Unicode has two forms of many letters, which look the same and which file systems mix up.
    """
    return unicodedata.normalize("NFC", name)


def text_of(value: Any) -> str | None:
    """A label, split, group or name as text; None where it is empty. The numbers 3 and 3.0 are `3`.

    Raises:
        ValueError: where it is neither text nor a number, is too long, or is no valid Unicode.
    """
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float):
        raise ValueError(f"needs text or a number, found {type(value).__name__}")
    text = str(value).strip()
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"needs at most {MAX_CHARACTERS:,} characters, found {len(text):,}")
    if re.search("[\ud800-\udfff]", text):
        raise ValueError(f"needs text in UTF-8, found {text!r}")
    return text or None


# --- merging tables -------------------------------------------------------------------------------


def merge_tables(tables: list[Table]) -> MergedTables:
    """What all tables say of each file: each adds what those before it leave open.

    Raises:
        UserError: where two tables give a file different splits or groups.
    """
    merged = MergedTables({}, {})
    first_named_in: dict[str, str] = {}
    for table in tables:
        merged.conflicts.update(table.conflicts)
        for path, entry in table.entries.items():
            before = merged.entries.get(path, Annotation())
            earlier = first_named_in.setdefault(path, table.name)
            if _differ(before.label, entry.label):
                conflict = f"{earlier} says {before.label} and {table.name} {entry.label}"
                merged.conflicts[path] = conflict
            splits, groups = (before.split, entry.split), (before.group_id, entry.group_id)
            for column, (old, new) in ((SPLIT, splits), (GROUP, groups)):
                if _differ(old, new):
                    problem = f"{path} is of {column} {new!r}, and {old!r} in {earlier}"
                    raise UserError(f"{RAW / table.name}: {problem}")
            filled = (
                old if old is not None else new for old, new in zip(before, entry, strict=True)
            )
            merged.entries[path] = Annotation(*filled)
    return merged


def _differ(old: str | None, new: str | None) -> bool:
    return old is not None and new is not None and old != new
