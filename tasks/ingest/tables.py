"""Labels from tables: CSV, TSV, JSONL and Parquet files of `file_name,label[,split][,group_id]`, and lists.

File names count from the table's own folder, as in the `metadata.csv` and `metadata.jsonl` of Hugging Face's
ImageFolder. A list (`.txt`, `.lst`) has a path and a label on each line. Without a column `split`, the split is
what the table's name or folder says (`train.csv`, `train/metadata.csv`).
"""

import csv
import json
import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import UserError
from tasks.ingest import RAW
from tasks.ingest.folders import SPLITS, split_named

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
    try:
        match ending:
            case ".csv" | ".tsv":
                with path.open(encoding="utf-8-sig", newline="") as file:
                    header = next(csv.reader(file, delimiter="\t" if ending == ".tsv" else ","), [])
                return FILE in map(str.strip, header)
            case ".jsonl":
                return f'"{FILE}"' in next((line for _, line in _lines(path)), "")
            case ".parquet":
                return FILE in pq.read_schema(path).names
            case ".txt" | ".lst":
                first, label = _path_and_label(next((line for _, line in _lines(path)), ""))
                return bool(label) and posixpath.normpath(posixpath.join(posixpath.dirname(name), first)) in known
    except (UserError, OSError, UnicodeDecodeError, csv.Error, pa.ArrowException):
        pass  # no table, whatever its name says; validate will say what it is
    return False


def find(names: list[str], known: Collection[str]) -> list[Table]:
    """The tables among the files `names`, read."""
    return [read(name) for name in names if is_table(name, known)]


def join(found: list[Table]) -> tuple[dict[str, Entry], dict[str, str]]:
    """What all tables say of each file, each adding what those before it leave open; and conflicts, in words."""
    entries: dict[str, Entry] = {}
    conflicts: dict[str, str] = {}
    said_by: dict[str, str] = {}
    for table in found:
        conflicts |= table.conflicts
        for path, entry in table.entries.items():
            before = entries.get(path, Entry(None, None, None))
            if None not in (before.label, entry.label) and before.label != entry.label:
                conflicts[path] = f"{said_by[path]} says {before.label} and {table.name} {entry.label}"
            if entry.label is not None:
                said_by[path] = table.name
            entries[path] = Entry(*(one if one is not None else two for one, two in zip(before, entry, strict=True)))
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
    named = split_named(name) or next((SPLITS[part] for part in folder.lower().split("/") if part in SPLITS), None)
    for line, row in READERS[Path(name).suffix.lower()](RAW / name):
        has_labels = has_labels or LABEL in row
        file = _text(row.get(FILE))
        if file is None:
            raise UserError(f"{RAW / name} line {line}: needs a file_name, found none")
        label, group_id = _text(row.get(LABEL)), _text(row.get(GROUP))
        entry = Entry(label, _split(row.get(SPLIT), f"{RAW / name} line {line}") or named, group_id)
        path = posixpath.normpath(posixpath.join(folder, file))
        before = entries.setdefault(path, entry)
        if before.label != entry.label:
            conflicts[path] = f"{name} says {before.label} and {entry.label}"
        elif before != entry:
            raise UserError(f"{RAW / name} line {line}: {file} is named before, with another split or group")
    return Table(name, has_labels, entries, conflicts)


def _text(value: Any) -> str | None:
    """Labels may be numbers: 3 and 3.0 are `3`."""
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def _split(value: Any, place: str) -> str | None:
    text = _text(value)
    if text is not None and text.lower() not in SPLITS:
        raise UserError(f"{place}: split needs to be train, validation or test, found {text!r}")
    return None if text is None else SPLITS[text.lower()]


# --- readers ------------------------------------------------------------------------------------------------------


def _csv_rows(path: Path, delimiter: str = ",") -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(header):
                    need = f"needs {len(header)} fields, found {len(fields)}"
                    raise UserError(f"{path} line {reader.line_num}: {need}; a field with a {delimiter!r} needs quotes")
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
            columns = [name for name in (FILE, LABEL, SPLIT, GROUP) if name in file.schema_arrow.names]
            number = 0
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


def _list_rows(path: Path) -> Rows:
    for number, line in _lines(path):
        file, label = _path_and_label(line)
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
