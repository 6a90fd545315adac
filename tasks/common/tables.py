"""Read and write tables: Parquet manifests, CSV for people, JSON metrics; each write is atomic.

A manifest is written last of what a stage writes: one that exists is complete. Its bytes depend on
the rows and on the version of pyarrow alone, so that DVC sees the same data as the same file.
"""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common.errors import UserError
from tasks.common.temporary import atomic_write

CONTROL = r"[\x00-\x1f\x7f]"
ROWS_PER_GROUP = 16_384  # a row group is held in memory until it is full


def write_table(
    path: Path, rows: pd.DataFrame, schema: pa.Schema, metadata: dict[str, str] | None = None
) -> None:
    """Write `rows` as Parquet with exactly the columns of `schema`.

    `metadata`: key-value pairs of the file, about all of its rows.
    """
    write_arrow(path, to_arrow(rows, schema).replace_schema_metadata(metadata))


def write_arrow(path: Path, rows: pa.Table) -> None:
    """Write an Arrow table as Parquet, with its schema's metadata."""
    with atomic_write(path) as temporary, ParquetWriter(temporary, rows.schema) as writer:
        writer.write(rows)


def to_arrow(rows: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """`rows` as an Arrow table of exactly the columns of `schema`."""
    table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
    return table.replace_schema_metadata(None)


class ParquetWriter:
    """A Parquet file written in parts: its bytes do not depend on how the rows are cut into them.

    Row groups hold a fixed number of rows.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        # Most strings differ from row to row: without dictionaries the file is smaller, and it is
        # written faster.
        self.file = pq.ParquetWriter(
            path, schema, compression="zstd", use_dictionary=False, write_page_checksum=True
        )
        self.buffer = schema.empty_table()

    def write(self, part: pa.Table) -> None:
        self.buffer = pa.concat_tables([self.buffer, part])
        while len(self.buffer) >= ROWS_PER_GROUP:
            self.file.write_table(self.buffer.slice(0, ROWS_PER_GROUP).combine_chunks())
            self.buffer = self.buffer.slice(ROWS_PER_GROUP)

    def __enter__(self) -> "ParquetWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if len(self.buffer):
            self.file.write_table(self.buffer.combine_chunks())
        self.file.close()


def read_table(path: Path, schema: pa.Schema, made_by: str) -> pd.DataFrame:
    """Read the manifest at `path`: the columns of `schema`.

    Args:
        path: of the Parquet file.
        schema: its columns.
        made_by: the stage that writes it, for the error.

    Raises:
        UserError: where it is missing or is not a manifest with the columns of `schema`.
    """
    if not path.is_file():
        hint = f"the {made_by} stage makes it: run `variegate run --until {made_by}`"
        raise UserError(f"{path}: not found; {hint}")
    try:
        missing = [name for name in schema.names if name not in pq.read_schema(path).names]
        if missing:
            raise ValueError(f"has no column {missing[0]}, and may be of another version")
        table = pq.read_table(path, columns=schema.names, page_checksum_verification=True)
        return table.cast(schema).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        problem = f"cannot be read as a manifest: {str(error).splitlines()[0]}"
        raise UserError(f"{path}: {problem}; {_how_to_repair(made_by)}") from None


def write_csv(path: Path, rows: pd.DataFrame) -> None:
    """Write `rows` as CSV for people: a header, Unix line ends, control characters as \\xNN."""
    for name in rows.select_dtypes(["object", "str"]).columns:
        odd = rows[name].astype("str").str.contains(CONTROL, regex=True).fillna(False)
        if odd.any():
            rows = rows.assign(**{name: rows[name].mask(odd, rows.loc[odd, name].map(_escaped))})
    with atomic_write(path) as temporary:
        rows.to_csv(temporary, index=False, lineterminator="\n")


def _escaped(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return re.sub(CONTROL, lambda character: f"\\x{ord(character[0]):02x}", value)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON with a final newline; NaN is an error."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, made_by: str) -> Any:
    """Read what write_json() wrote. `made_by`: the stage that writes it, for the error.

    Raises:
        UserError: where it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}; {_how_to_repair(made_by)}") from None


def _how_to_repair(made_by: str) -> str:
    return f"`variegate run --until {made_by} --force` makes it anew"


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
