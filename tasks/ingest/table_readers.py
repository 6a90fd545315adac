"""Read the rows of label tables: CSV, TSV, JSONL and Parquet files, and lists of paths and labels.

Each reader yields the number of a row's line, from 1, and the row's values by column.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common.errors import UserError

FILE, LABEL, SPLIT, GROUP = "file_name", "label", "split", "group_id"
Rows = Iterator[tuple[int, Mapping[str, Any]]]


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
                    hint = f"a field with a {delimiter!r} needs quotes"
                    raise UserError(f"{path} line {reader.line_num}: {need}; {hint}")
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
            need = "needs an object with file_name and label"
            raise UserError(f"{path} line {number}: {need}, found {type(row).__name__}")
        yield number, row


def _parquet_rows(path: Path) -> Rows:
    try:
        with pq.ParquetFile(path) as file:
            known = file.schema_arrow.names
            columns = [name for name in (FILE, LABEL, SPLIT, GROUP) if name in known]
            number = 0
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


def _list_rows(path: Path) -> Rows:
    for number, line in _lines(path):
        file, label = split_list_line(line)
        if not (file and label):
            raise UserError(f"{path} line {number}: needs a path and a label, found {line[:200]!r}")
        yield number, {FILE: file, LABEL: label}


def split_list_line(line: str) -> tuple[str, str]:
    """The path and the label on a line of a list.

    A tab stands between them, or else the last blank: paths may hold blanks.
    """
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
