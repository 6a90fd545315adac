"""DuckDB over the manifests where they lie: nothing is written, and rows stay in their files.

Relations that a query can ask:

    images      a row for each row of the validated manifest, with what became of it: `predicted`,
                `probability`, `probability_of_label` and `correct` (of test images),
                `presentations` (in training), `planned`, `written` and `rejected` (variants)
    variants    a row for each variant of the ledger, planned ones included (variant_index > 0)
    manifest, ledger    the files as they are, with `row`, the number of the row in its file, from 0
    predictions, exposure, counts    lines of these files by `source_id`, see CSV_COLUMNS

`images` joins all four files: a query that needs few of their columns is faster on `manifest`. A
file that is not there yet is a relation without rows.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common.errors import UserError
from tasks.dataset.columns import LEDGER_COLUMNS, VALIDATED_COLUMNS
from tasks.dataset.paths import COUNTS, EXPOSURE, LEDGER, PREDICTIONS, VALIDATED_MANIFEST

ATTEMPTS = 3  # at a query while a run replaces the files
REPLACED = "the files of the dataset are being replaced; reload the page in a moment"
QUERIES_AT_ONCE = 4  # so that their memory is bounded; others wait
ANSWERS_KEPT = 256  # of few rows
NUMBERS_KEPT = 8  # answers of row_numbers(): 4 MB of a million rows
# Errors of a query; all others are those of a file, or of memory.
DEFECTS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.PermissionException,
)
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 2,
    "memory_limit": "200MB",
    "temp_directory": "",  # nothing is spilled to disk
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,  # a name in a query is no variable of this program
}


class _Manifest(NamedTuple):
    """A Parquet file, its columns and the stage that writes it."""

    path: Path
    columns: pa.Schema
    made_by: str


MANIFESTS = {
    "manifest": _Manifest(VALIDATED_MANIFEST, VALIDATED_COLUMNS, "validate"),
    "ledger": _Manifest(LEDGER, LEDGER_COLUMNS, "augment"),
}
CSV_FILES = {"predictions": PREDICTIONS, "exposure": EXPOSURE, "counts": COUNTS}
PATHS = (VALIDATED_MANIFEST, LEDGER, *CSV_FILES.values())  # relative: a folder's name is no pattern
# Of each file what is asked for, by source_id: SQL of the column, and its type.
CSV_COLUMNS = {
    "predictions": {
        "predicted": "predicted",
        "probability": "probability::DOUBLE",
        "probability_of_label": "probability_of_label::DOUBLE",
        "correct": "predicted = label",
    },
    "exposure": {"presentations": "presentations::BIGINT"},
    "counts": {name: f"{name}::BIGINT" for name in ("planned", "written", "rejected")},
}
CSV_FORMAT = (
    "header = true, all_varchar = true, nullstr = '', delim = ',', quote = '\"', escape = '\"'"
)
IMAGES = """
CREATE VIEW images AS
SELECT manifest.* EXCLUDE (row), predicted, probability, probability_of_label, correct,
    presentations, planned, written, rejected
FROM manifest
LEFT JOIN predictions ON status = 'ok' AND predictions.source_id = manifest.source_id
LEFT JOIN exposure ON status = 'ok' AND exposure.source_id = manifest.source_id
LEFT JOIN counts ON status = 'ok' AND counts.source_id = manifest.source_id
"""
VARIANTS = "CREATE VIEW variants AS SELECT * EXCLUDE (row) FROM ledger WHERE variant_index > 0"


class State(NamedTuple):
    """Which files lie in which project: another state of one of them is another value.

    `files`: of each its time of change in ns, size and inode; None where it is not there.
    """

    folder: Path
    files: tuple[Any, ...]


Answer = TypeVar("Answer")


def select(sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows that a query gives, by the names of its columns.

    Args:
        sql: a text of our own, never of a request; `?` for each value.
        parameters: the values.

    Raises:
        UserError: where a file is damaged, of another version, or replaced again and again.
    """
    return _unchanged(lambda state: _select(state, sql, tuple(parameters)))


def select_once(sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The same as select(), asked once for each state of the files: for few rows of many."""
    return _unchanged(lambda state: _selected(state, sql, tuple(parameters)))


def row_numbers(sql: str, parameters: Sequence[Any] = ()) -> np.ndarray:
    """The only column, of numbers, that a query gives, int32 (rows,); it may not be changed.

    The last few answers are kept: other pages of the same choice cost nothing.
    `sql`, `parameters` and errors: see select().
    """
    return _unchanged(lambda state: _row_numbers(state, sql, tuple(parameters)))


def select_arrow(sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
    """The same as select(), as an Arrow table: for many rows."""
    return _unchanged(lambda state: _select_arrow(state, sql, tuple(parameters)))


def of_one_state(ask: Callable[[], Answer]) -> Answer:
    """What `ask` makes of several queries, all of the same files.

    Raises:
        UserError: as `ask`, or where files are replaced again and again.
    """
    return _unchanged(lambda state: _asked(state, ask))


def _asked(state: State, ask: Callable[[], Answer]) -> Answer:
    with _of(state):
        return ask()


def state_of_files(paths: Sequence[Path] = PATHS) -> State:
    """The state of some files now; as a default, of all that queries read."""
    return State(Path.cwd(), tuple(map(_facts, paths)))


def _facts(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


class _ReplacedError(Exception):
    """A file is another one than when the query began: the answer may be of both."""


def _unchanged(ask: Callable[[State], Answer]) -> Answer:
    """The answer of a query of files that were the same from its beginning to its end."""
    for _ in range(ATTEMPTS):
        with suppress(_ReplacedError):
            return ask(state_of_files())
    raise UserError(REPLACED)


def _select(state: State, sql: str, parameters: tuple[Any, ...]) -> list[dict[str, Any]]:
    with _cursor(state) as cursor:
        found = cursor.execute(sql, parameters)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


_selected = lru_cache(maxsize=ANSWERS_KEPT)(_select)


@lru_cache(maxsize=NUMBERS_KEPT)
def _row_numbers(state: State, sql: str, parameters: tuple[Any, ...]) -> np.ndarray:
    with _cursor(state) as cursor:
        (column,) = cursor.execute(sql, parameters).fetchnumpy().values()
    numbers = np.asarray(column).astype(np.int32)
    numbers.flags.writeable = False
    return numbers


def _select_arrow(state: State, sql: str, parameters: tuple[Any, ...]) -> pa.Table:
    with _cursor(state) as cursor:
        return cursor.sql(sql, params=parameters).to_arrow_table()


_creating = threading.Lock()  # after a change of the files all requests wait for one database
_working = threading.BoundedSemaphore(QUERIES_AT_ONCE)


@contextmanager
def _cursor(state: State) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for one query, to the database that all requests share; see _of()."""
    with _of(state):
        with _creating:
            database = _database(state)
        with _working, database.cursor() as cursor:
            yield cursor


@contextmanager
def _of(state: State) -> Iterator[None]:
    """What is read in this block is of one state of the files.

    Raises:
        _ReplacedError: where the files are others at its end.
        UserError: where they are not, and cannot be read.
    """
    try:
        yield
    except (UserError, duckdb.Error) as error:
        if state_of_files() != state:
            raise _ReplacedError from None
        if isinstance(error, (UserError, *DEFECTS)):
            raise
        raise UserError(f"the dataset cannot be read: {_first_line(error)}") from None
    if state_of_files() != state:
        raise _ReplacedError


@lru_cache(maxsize=1)
def _database(state: State) -> duckdb.DuckDBPyConnection:
    """A database in memory with the relations; cursors still at work keep an older one alive."""
    database = duckdb.connect(":memory:", config=SETTINGS)
    database.execute("SET GLOBAL parquet_metadata_cache = true")  # a footer is read once
    database.execute("SET allowed_paths = ?", [list(map(str, PATHS))])
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    for name, manifest in MANIFESTS.items():
        _create_manifest(database, name, manifest)
    for name, path in CSV_FILES.items():
        _create_lines(database, name, path)
    database.execute(IMAGES)
    database.execute(VARIANTS)
    return database


def _create_manifest(database: duckdb.DuckDBPyConnection, name: str, manifest: _Manifest) -> None:
    path, columns, made_by = manifest
    if not path.is_file():
        empty = columns.append(pa.field("row", pa.int64())).empty_table()
        database.register("empty", empty)
        database.execute(f"CREATE TABLE {name} AS SELECT * FROM empty")
        database.unregister("empty")
        return
    try:
        names = pq.read_schema(path).names
        missing = [column for column in columns.names if column not in names]
        problem = f"has no column {missing[0]}, and may be of another version" if missing else ""
    except (pa.ArrowException, OSError) as error:
        problem = f"cannot be read as a manifest: {_first_line(error)}"
    if problem:
        mend = f"`variegate run --until {made_by} --force` makes it anew"
        raise UserError(f"{path}: {problem}; {mend}")
    listed = ", ".join(f'"{column}"' for column in columns.names)
    source = f"read_parquet({_quoted(path)}, file_row_number = true)"
    database.execute(f"CREATE VIEW {name} AS SELECT {listed}, file_row_number AS row FROM {source}")


def _create_lines(database: duckdb.DuckDBPyConnection, name: str, path: Path) -> None:
    """A table of a CSV file: parsing it at each query would take longer than most queries."""
    columns = CSV_COLUMNS[name]
    if not path.is_file():
        listed = ", ".join(f"NULL::{_type_of(sql)} AS {column}" for column, sql in columns.items())
        database.execute(
            f"CREATE TABLE {name} AS SELECT NULL::VARCHAR AS source_id, {listed} LIMIT 0"
        )
        return
    listed = ", ".join(f"{sql} AS {column}" for column, sql in columns.items())
    source = f"read_csv({_quoted(path)}, {CSV_FORMAT})"
    try:
        database.execute(f"CREATE TABLE {name} AS SELECT source_id, {listed} FROM {source}")
    except duckdb.Error as error:
        raise UserError(f"{path}: cannot be read as a table: {_first_line(error)}") from None


def _type_of(sql: str) -> str:
    return sql.partition("::")[2] or ("BOOLEAN" if "=" in sql else "VARCHAR")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
