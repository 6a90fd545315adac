"""The columns of tables: what they are called, which of them hold what, and how tables are read."""

import re
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from tasks.ingest.tables.values import text_in_column

FILE, LABEL, SPLIT, GROUP = "file_name", "label", "split", "group_id"
FILE_NAMES = (
    *(FILE, "filename", "file", "file_path", "filepath", "path", "name"),
    *("image", "image_name", "image_path", "image_file", "image_id", "img", "id_code", "id"),
)
LABEL_NAMES = (
    *(LABEL, "labels", "class", "class_name", "class_id", "classid", "category", "target"),
)
SPLIT_NAMES = ("set", "subset", "partition", "split_name", "dataset_split", "phase", "usage")

Row = Sequence[Any]
Rows = Iterator[tuple[int, Row]]


class Wanted(NamedTuple):
    """The columns that params.yaml names, each by its name or its number from 1."""

    file: str | int | None = None
    label: str | int | None = None


class Columns(NamedTuple):
    """The positions of columns, from 0. `has_header`: whether the first row names them.

    `guessed`: how the columns of files and labels are called, where they were found by a look at
    their values. `advice`: how a table without labels would have some.
    """

    has_header: bool
    file: int
    label: int | None = None
    split: int | None = None
    group: int | None = None
    guessed: str | None = None
    advice: str | None = None


class Refused(NamedTuple):
    """Why a file is no table of labels. `near`: whether it would be one with another parameter."""

    why: str
    near: bool = False


class TableFile(NamedTuple):
    """A table to read. `names`: of its columns; empty texts in a list without a header.

    `rows`: yields the number of each row's line, from 1, and its file, label, split and group.
    """

    columns: Columns
    names: Sequence[str]
    rows: Rows


class Start(NamedTuple):
    """The names of a table's columns, and its first rows."""

    names: Sequence[str]
    rows: Sequence[Row]

    @property
    def plain(self) -> list[str]:
        """The names in lower case, with _ for blanks, dots and hyphens."""
        return list(map(plain_name, self.names))

    def texts(self, column: int) -> list[str]:
        """The values of a column that are text or numbers, as text."""
        values = [row[column] for row in self.rows if column < len(row)]
        return [text for value in values if (text := _text_or_none(value))]


def picker(columns: Columns) -> Callable[[list[str]], Sequence[str]]:
    """Takes file, label, split and group out of a row; its last field stands for what lacks."""
    positions = (columns.file, columns.label, columns.split, columns.group)
    return itemgetter(*(-1 if at is None else at for at in positions))


def plain_name(name: str) -> str:
    """A column's name in lower case, with _ for blanks, dots and hyphens."""
    return re.sub(r"[\s.-]+", "_", name.strip().lower())


def position(names: Sequence[str], wanted: str | int | None) -> int | None:
    """The position of a column by its name, in any case, or its number from 1."""
    if isinstance(wanted, int):
        return wanted - 1 if 1 <= wanted <= len(names) else None
    if wanted is None:
        return None
    stripped = [name.strip() for name in names]
    if wanted in stripped:
        return stripped.index(wanted)
    return only(list(map(plain_name, names)), (plain_name(wanted),))


def only(plain: list[str], wanted: tuple[str, ...]) -> int | None:
    """The position of the only column that has one of the names `wanted`."""
    found = [column for column, name in enumerate(plain) if name in wanted]
    return found[0] if len(found) == 1 else None


def _text_or_none(value: Any) -> str | None:
    try:
        return text_in_column(value)
    except ValueError:
        return None
