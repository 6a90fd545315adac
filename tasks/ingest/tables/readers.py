"""Rows of JSONL and Parquet files; which reader opens which kind of file."""

import json
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common.errors import UserError
from tasks.ingest.tables.choosing import ColumnFinder
from tasks.ingest.tables.columns import (
    FILE,
    GROUP,
    LABEL,
    SPLIT,
    Refused,
    Rows,
    TableFile,
)
from tasks.ingest.tables.delimited import open_csv, open_list, open_tsv
from tasks.ingest.tables.text_lines import first_lines, lines_of

ROWS_LOOKED_AT = 100  # of a Parquet file, to decide on its columns


# --- JSONL ----------------------------------------------------------------------------------------


def open_jsonl(path: Path, finder: ColumnFinder) -> TableFile | Refused:
    """The JSONL file at `path`: an object on each line. Keys that a line lacks are empty."""
    lines = first_lines(path)
    objects = [found for line in lines if isinstance(found := _json_or_none(line), dict)]
    names = list(dict.fromkeys(chain.from_iterable(objects)))
    if not objects and lines and f'"{FILE}"' in lines[0]:
        names = [FILE]  # a line that is not valid is told when it is read
    columns = finder.of_named(names, [list(map(row.get, names)) for row in objects])
    if isinstance(columns, Refused):
        return columns
    positions = (columns.file, columns.label, columns.split, columns.group)
    keys = [
        default if at is None else names[at]
        for at, default in zip(positions, (FILE, LABEL, SPLIT, GROUP), strict=True)
    ]
    return TableFile(columns, names, _jsonl_rows(path, keys))


def _json_or_none(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _jsonl_rows(path: Path, keys: list[str]) -> Rows:
    file, label, split, group = keys
    for number, line in enumerate(lines_of(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            problem = getattr(error, "msg", error)  # without json's own count of lines
            raise UserError(f"{path} line {number}: not valid JSON: {problem}") from None
        if not isinstance(row, dict):
            need = "needs an object with file_name and label"
            raise UserError(f"{path} line {number}: {need}, found {type(row).__name__}")
        yield number, (row.get(file), row.get(label), row.get(split), row.get(group))


# --- Parquet --------------------------------------------------------------------------------------


def open_parquet(path: Path, finder: ColumnFinder) -> TableFile | Refused:
    """The Parquet file at `path`. Columns of structures and lists are no labels."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            names = [field.name for field in schema if not pa.types.is_nested(field.type)]
            columns = finder.of_named(names, _first_parquet_rows(file, names))
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return Refused("is no Parquet file")
    if isinstance(columns, Refused):
        return columns
    positions = (columns.file, columns.label, columns.split, columns.group)
    chosen = [None if at is None else names[at] for at in positions]
    return TableFile(columns, names, _parquet_rows(path, chosen, _class_names(schema, chosen[1])))


def _first_parquet_rows(file: pq.ParquetFile, names: list[str]) -> list[list[Any]]:
    """The first rows; columns of bytes are left empty: they may be images."""
    types = {field.name: field.type for field in file.schema_arrow}
    read = [name for name in names if not _holds_bytes(types[name])]
    batch = next(file.iter_batches(ROWS_LOOKED_AT, columns=read), None)
    rows = batch.to_pylist() if batch is not None else []
    return [list(map(row.get, names)) for row in rows]


def _holds_bytes(kind: pa.DataType) -> bool:
    return any(
        check(kind)
        for check in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    )


def _class_names(schema: pa.Schema, label: str | None) -> list[str] | None:
    """The names of numbered classes that Hugging Face's `datasets` keeps in a file (ClassLabel)."""
    try:
        info = json.loads((schema.metadata or {})[b"huggingface"])
        feature = info["info"]["features"][label]
        return list(feature["names"]) if feature["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError):
        return None


def _parquet_rows(path: Path, names: list[str | None], class_names: list[str] | None) -> Rows:
    file, label, split, group = names
    rows = _parquet_dicts(path, [name for name in names if name is not None])
    for number, row in enumerate(rows, 1):
        value = row.get(label)
        if class_names is not None and isinstance(value, int):
            # -1: datasets' own mark of what has no label
            value = class_names[value] if 0 <= value < len(class_names) else None
        yield number, (row[file], value, row.get(split), row.get(group))


def _parquet_dicts(path: Path, names: list[str]) -> Iterator[dict[Any, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=names):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


# --- all ------------------------------------------------------------------------------------------


OPENERS: dict[str, Callable[[Path, ColumnFinder], TableFile | Refused]] = {
    ".csv": open_csv,
    ".tsv": open_tsv,
    ".jsonl": open_jsonl,
    ".parquet": open_parquet,
    ".txt": open_list,
    ".lst": open_list,
}
