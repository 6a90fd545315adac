"""Labels from tables: CSV, TSV, JSONL and Parquet files of `file_name,label[,split][,group_id]`, and lists.

File names count from the table's own folder, as in the `metadata.csv` and `metadata.jsonl` of Hugging Face's
ImageFolder. A list (`.txt`, `.lst`) has a path and a label on each line. Without a column `split`, the split is
what the table's name or folder says (`train.csv`, `train/metadata.csv`).
"""

import codecs
import csv
import json
import posixpath
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.dataset.raw_files import problem_of
from tasks.dataset.split_names import SPLIT_WORDS, split_named

START_BYTES = 4096
LONGEST = 1000  # characters of a name or label
FILE, LABEL, SPLIT, GROUP = "file_name", "label", "split", "group_id"
Rows = Iterator[tuple[int, Mapping[str, Any]]]  # with the number of each row's line, from 1


class Entry(NamedTuple):
    """What a table says of one file; null where it says nothing."""

    label: str | None
    split: str | None
    group_id: str | None


class Table(NamedTuple):
    """What a table says, by file name below data/raw. `conflicts`: files that it names with several labels."""

    name: str
    has_labels: bool
    entries: dict[str, Entry]
    conflicts: dict[str, str]


def is_table(name: str, known: Collection[str]) -> bool:
    """True where the file is a table or list of labels: known by its columns, or by a first line that names a file.

    Args:
        name: below data/raw.
        known: all files there.
    """
    path, ending = RAW / name, Path(name).suffix.lower()
    if ending not in READERS or problem_of(name):
        return False
    try:
        if ending == ".parquet":
            return FILE in pq.read_schema(path).names
        with path.open("rb") as file:
            start = file.read(START_BYTES).replace(b"\0", b"")  # UTF-16 is told later, as an error
    except (OSError, pa.ArrowException):
        return False  # no table, whatever its name says; validate will say what it is
    first = next(iter(start.removeprefix(codecs.BOM_UTF8).splitlines()), b"")
    if ending not in (".txt", ".lst"):
        return re.search(rb"\b%s\b" % FILE.encode(), first) is not None
    file_name, label = _path_and_label(first.decode("utf-8", "replace"))
    return (
        bool(label)
        and posixpath.normpath(posixpath.join(posixpath.dirname(name), file_name)) in known
    )


def header_of(name: str) -> str | None:
    """The first line of a CSV or TSV file, to show what is in its place of a header; None for other files."""
    if Path(name).suffix.lower() not in (".csv", ".tsv") or problem_of(name):
        return None
    with (RAW / name).open("rb") as file:
        start = file.read(START_BYTES)
    return repr(next(iter(start.decode("utf-8-sig", "replace").splitlines()), "")[:100])


def find(names: list[str], known: Collection[str]) -> list[Table]:
    """The tables among the files `names`, read."""
    return [read(name) for name in names if is_table(name, known)]


def join(found: list[Table]) -> tuple[dict[str, Entry], dict[str, str]]:
    """What all tables say of each file, each adding what those before it leave open; and conflicts, in words.

    Raises:
        UserError: where two name a file with two splits or groups.
    """
    entries: dict[str, Entry] = {}
    conflicts: dict[str, str] = {}
    said_by: dict[str, str] = {}
    for table in found:
        conflicts |= table.conflicts
        for path, entry in table.entries.items():
            before = entries.get(path, Entry(None, None, None))
            if None not in (before.label, entry.label) and before.label != entry.label:
                conflicts[path] = (
                    f"{said_by[path]} says {before.label} and {table.name} {entry.label}"
                )
            for what in (SPLIT, GROUP):
                one, two = getattr(before, what), getattr(entry, what)
                if None not in (one, two) and one != two:
                    raise UserError(
                        f"{RAW / table.name}: {path} is of {what} {two!r}, and {one!r} in {said_by[path]}"
                    )
            said_by.setdefault(path, table.name)
            entries[path] = Entry(
                *(one if one is not None else two for one, two in zip(before, entry, strict=True))
            )
    return entries, conflicts


def read(name: str) -> Table:
    """Read a table.

    Raises:
        UserError: where it cannot be read, with the line.
    """
    entries: dict[str, Entry] = {}
    conflicts: dict[str, str] = {}
    has_labels = False
    folder = posixpath.dirname(name)
    named = split_named(name) or next(
        (SPLIT_WORDS[part] for part in folder.lower().split("/") if part in SPLIT_WORDS), None
    )
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
        entry = Entry(label, SPLIT_WORDS[split.lower()] if split else named, group_id)
        path = as_key(posixpath.normpath(posixpath.join(folder, file)))
        before = entries.setdefault(path, entry)
        if before.label != entry.label:
            conflicts[path] = f"{name} says {before.label} and {entry.label}"
        elif before != entry:
            raise UserError(
                f"{RAW / name} line {line}: {file} is named before, with another split or group"
            )
    return Table(name, has_labels, entries, conflicts)


def as_key(name: str) -> str:
    """A file's name as tables are asked for it: Unicode has two forms of many letters, and they look the same."""
    return unicodedata.normalize("NFC", name)


def text_of(value: Any) -> str | None:
    """A label, split, group or name as text, None where it is empty. Numbers too: 3 and 3.0 are `3`.

    Raises:
        ValueError: where it is no text that can be written, or a label could not be read for its length.
    """
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float):
        raise ValueError(f"needs text or a number, found {type(value).__name__}")
    text = str(value).strip()
    if len(text) > LONGEST:
        raise ValueError(f"needs at most {LONGEST:,} characters, found {len(text):,}")
    if re.search("[\ud800-\udfff]", text):
        raise ValueError(f"needs text in UTF-8, found {text!r}")
    return text or None


# --- readers ------------------------------------------------------------------------------------------------------


def _csv_rows(path: Path, delimiter: str = ",") -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            if FILE not in header or len(set(header)) < len(header):
                need = f"needs columns parted by {delimiter!r}, each once, {FILE} among them"
                raise UserError(f"{path}: {need}; found {', '.join(header)[:200]!r}")
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(header):
                    need = f"needs {len(header)} fields, found {len(fields)}"
                    raise UserError(
                        f"{path} line {reader.line_num}: {need}; a field with a {delimiter!r} needs quotes"
                    )
                yield reader.line_num, dict(zip(header, fields, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(f"{path} line {reader.line_num}: cannot be read: {error}") from None


def _tsv_rows(path: Path) -> Rows:
    return _csv_rows(path, "\t")


def _jsonl_rows(path: Path) -> Rows:
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} line {number}: not valid JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(
                f"{path} line {number}: needs an object with file_name and label, found {type(row).__name__}"
            )
        yield number, row


def _parquet_rows(path: Path) -> Rows:
    try:
        with pq.ParquetFile(path) as file:
            columns = [
                name for name in (FILE, LABEL, SPLIT, GROUP) if name in file.schema_arrow.names
            ]
            number = 0
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


def _list_rows(path: Path) -> Rows:
    for number, line in _lines(path):
        file, label = _path_and_label(line)
        if not (file and label):
            raise UserError(f"{path} line {number}: needs a path and a label, found {line[:200]!r}")
        yield number, {FILE: file, LABEL: label}


def _path_and_label(line: str) -> tuple[str, str]:
    """A tab parts them, or else the last blank: paths may hold blanks."""
    file, _, label = line.partition("\t") if "\t" in line else line.rpartition(" ")
    return file.strip(), label.strip()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


READERS: dict[str, Callable[[Path], Rows]] = {
    ".csv": _csv_rows,
    ".tsv": _tsv_rows,
    ".jsonl": _jsonl_rows,
    ".parquet": _parquet_rows,
    ".txt": _list_rows,
    ".lst": _list_rows,
}
