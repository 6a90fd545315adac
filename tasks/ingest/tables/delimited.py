"""Rows of CSV and TSV files and of lists: fields between commas, semicolons, tabs or blanks."""

import csv
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tasks.common.errors import UserError
from tasks.ingest.tables.choosing import ColumnFinder
from tasks.ingest.tables.columns import Columns, Refused, Rows, TableFile, picker
from tasks.ingest.tables.text_lines import first_lines, lines_of

LINES_OF_LISTS = 10  # of which one, at least, names a file

NumberedFields = Iterator[tuple[int, list[str]]]


class Dialect(NamedTuple):
    """How the fields of a line are separated.

    `fields_of`: yields the number and the fields of each line that is not empty. `hint`: what to do
    about a line with more or fewer fields than others.
    """

    fields_of: Callable[[Iterable[str]], NumberedFields]
    hint: str


class _BadLineError(Exception):
    """A line that cannot be separated into fields: its number, from 1, and why."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(problem)
        self.number = number


def _separated_by(delimiter: str) -> Dialect:
    def fields_of(lines: Iterable[str]) -> NumberedFields:
        if delimiter == " ":
            lines = (line.strip() for line in lines)
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
        number = 1
        try:
            for fields in reader:
                is_mark = number == 1 and fields and fields[0].startswith("sep=")  # Excel's own
                if not is_mark and (len(fields) > 1 or (fields and fields[0].strip())):
                    yield number, fields
                number = reader.line_num + 1  # a quoted field may hold lines
        except csv.Error as error:
            raise _BadLineError(number, str(error)) from None

    return Dialect(fields_of, f"a field with a {delimiter!r} needs quotes")


def _at_the_last_blank(lines: Iterable[str]) -> NumberedFields:
    """A path, which may hold blanks, and one word."""
    for number, line in enumerate(lines, 1):
        if fields := line.strip().rsplit(None, 1):
            yield number, [field.strip('"') for field in fields]


COMMA, SEMICOLON, TAB, BLANKS = map(_separated_by, ",;\t ")
LAST_BLANK = Dialect(_at_the_last_blank, "a path and a label, separated by a blank")
OF_CSV = (COMMA, SEMICOLON, TAB)
OF_TSV = (TAB, COMMA, SEMICOLON)
OF_LISTS = (TAB, COMMA, SEMICOLON, LAST_BLANK, BLANKS)


def open_csv(path: Path, finder: ColumnFinder) -> TableFile | Refused:
    """The CSV file at `path`; semicolons and tabs may stand for commas."""
    return _open(path, finder, OF_CSV)


def open_tsv(path: Path, finder: ColumnFinder) -> TableFile | Refused:
    """The TSV file at `path`."""
    return _open(path, finder, OF_TSV)


def open_list(path: Path, finder: ColumnFinder) -> TableFile | Refused:
    """The list at `path`, with or without a header. Most text files are none.

    So their columns need to name files that are there, even where one is called file_name.
    """
    words = map(_words, first_lines(path)[:LINES_OF_LISTS])
    # there may be a text to each of a million images
    if not any(map(finder.matcher.may_name, chain.from_iterable(words))):
        return Refused("names no file")
    return _open(path, finder._replace(needs_files=True), OF_LISTS)


def _words(line: str) -> Iterator[str]:
    """What may be a path in a line of a list."""
    for fields in (*(line.split(delimiter) for delimiter in "\t,;"), line.strip().rsplit(None, 1)):
        yield from (field.strip().strip('"') for field in fields)
    yield from line.split()


def _open(path: Path, finder: ColumnFinder, dialects: tuple[Dialect, ...]) -> TableFile | Refused:
    """The file in the first dialect that makes a table of it."""
    lines = first_lines(path)
    refused = []
    for dialect in dialects:
        rows = _first_rows(dialect, lines)
        columns = finder.of_rows(rows)
        if isinstance(columns, Columns):
            names = rows[0] if columns.has_header else [""] * len(rows[0])
            return TableFile(columns, names, _rows(path, dialect, columns))
        refused.append(columns)
    return next((one for one in refused if one.near), refused[0])


def _first_rows(dialect: Dialect, lines: list[str]) -> list[list[str]]:
    rows = []
    try:
        for _, fields in dialect.fields_of(lines):
            rows.append(fields)
    except _BadLineError:
        pass  # the lines may end within quotes; a line that is bad in the file is told there
    return rows


def _rows(path: Path, dialect: Dialect, columns: Columns) -> Rows:
    pick = picker(columns)
    count = None
    try:
        for number, fields in dialect.fields_of(lines_of(path)):
            if count is None:
                count = len(fields)
                if columns.has_header:
                    continue
            while len(fields) > count and not fields[-1].strip():
                fields.pop()  # what stands behind a separator at the end of a line
            if len(fields) != count:
                need = f"needs {count} fields, found {len(fields)}"
                raise UserError(f"{path} line {number}: {need}; {dialect.hint}")
            fields.append("")  # for columns that are not there
            yield number, pick(fields)
    except _BadLineError as error:
        raise UserError(f"{path} line {error.number}: cannot be read: {error}") from None
