"""Find the tables and lists among the files of data/raw, and read them.

A table has the columns `file_name,label[,split][,group_id]`, or others that are as clear. A list
has a path and a label on each line. Names count from the table's own folder, as in the
`metadata.csv` and `metadata.jsonl` of Hugging Face's ImageFolder. Without a column `split`, the
split is what the table's name or folder says (`train.csv`, `train/metadata.csv`).
"""

import posixpath
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from tasks.common.errors import UserError
from tasks.common.yaml_names import quoted
from tasks.dataset.paths import RAW
from tasks.dataset.raw_files import problem_of
from tasks.dataset.split_names import SPLIT_WORDS, split_named, split_of_folder
from tasks.ingest.tables.choosing import LEAST_SHARE, ColumnFinder
from tasks.ingest.tables.columns import Refused, TableFile, Wanted, position
from tasks.ingest.tables.merging import Table, TableRows, tables_of
from tasks.ingest.tables.names import NameMatcher
from tasks.ingest.tables.readers import OPENERS
from tasks.ingest.tables.values import text_in_column

NOTED = (".csv", ".tsv")  # files that are meant to be tables


class FoundTables(NamedTuple):
    """The tables, and a line on each file that looks like a table and is none."""

    tables: list[Table]
    notes: list[str]


def find_tables(names: Iterable[str], matcher: NameMatcher, wanted: Wanted) -> FoundTables:
    """The tables among the files `names` of data/raw, read.

    Raises:
        UserError: where one cannot be read, and where none has a column that is wanted.
    """
    files: dict[str, TableFile] = {}
    notes = []
    for name in names:
        file = open_table(name, matcher, wanted)
        if isinstance(file, TableFile):
            files[name] = file
        elif file and (file.near or _extension(name) in NOTED):
            notes.append(f"{name} labels nothing: {file.why}")
    for key, column in wanted._asdict().items():
        _require_one_meaning(f"ingest.{key}_column", column, files)
        _require_column(f"ingest.{key}_column", column, files, notes)
    rows = {name: read_rows(name, file, matcher) for name, file in files.items()}
    if wanted.label is None:
        for name in [name for name, one in rows.items() if _hardly_labels(one)]:
            found = (
                f"column {(rows[name].columns.label or 0) + 1} has nearly another value for each"
            )
            notes.append(f"{name} labels nothing: {found} image; {_mend(files[name])} takes it")
            del rows[name]
        for name, named in _guessed_for_few(rows, matcher).items():
            # of one label alone they are more likely an empty form for predictions
            several = len(set(rows[name].labels)) > 1
            mend = f"; {_mend(files[name])} takes it" if several else ", all with one label"
            notes.append(f"{name} labels nothing: {named}{mend}")
            del rows[name]
    return FoundTables(tables_of(list(rows.values())), notes)


def _hardly_labels(rows: TableRows) -> bool:
    """Whether a list's values are hardly classes, where folders may name them.

    Checksums, scores, sizes and coordinates differ from image to image; labels come again.
    """
    labels = [label for label in rows.labels if label is not None]
    folders = {posixpath.dirname(key) for key in rows.keys}
    differ = 2 * len(set(labels)) > len(labels) > 2
    return not rows.columns.has_header and len(folders) > 1 and differ


def _guessed_for_few(rows: dict[str, TableRows], matcher: NameMatcher) -> dict[str, str]:
    """The tables whose columns of labels were guessed, where all of these name few images.

    They may describe something else, and folders would no longer name the classes of the others.
    """
    guessed = [
        one for one in rows.values() if one.columns.guessed and one.columns.label is not None
    ]
    if not guessed:
        return {}
    keys = set(chain.from_iterable(one.keys for one in guessed))
    named, images = len(keys.intersection(matcher.images)), len(matcher.images)
    if named >= LEAST_SHARE * images:
        return {}
    few = f"for {named:,} of {images:,} images"
    return {one.name: f"{one.columns.guessed}, {few}" for one in guessed}


def _mend(file: TableFile) -> str:
    """The parameter that takes a column of labels that was guessed."""
    column = file.columns.label or 0
    name = file.names[column].strip()
    return f"`ingest.label_column: {quoted(name) if name else column + 1}`"


def open_table(name: str, matcher: NameMatcher, wanted: Wanted) -> TableFile | Refused | None:
    """The file as a table, or why it is none; None where its name's ending is that of no table."""
    extension = _extension(name)
    if extension not in OPENERS or problem_of(name):
        return None
    default_split = split_named(name) or _split_of_folders(name)
    try:
        return OPENERS[extension](RAW / name, ColumnFinder(name, default_split, matcher, wanted))
    except OSError as error:
        return Refused(error.strerror or "cannot be read")


def _extension(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def _require_one_meaning(key: str, column: str | int | None, files: dict[str, TableFile]) -> None:
    """Raises UserError for a number where a table has another column of that name."""
    for name, file in files.items():
        names = [column_name.strip() for column_name in file.names]
        if not isinstance(column, int) or names.count(str(column)) == 0:
            continue
        if names.index(str(column)) + 1 != column:
            mend = f"write '{column}', in quotes, for that column"
            if column <= len(names):
                mend += f", or {quoted(names[column - 1])} for column number {column}"
            raise UserError(f"{RAW}: {key} is {column}, and {name} has a column {column}: {mend}")


def _require_column(
    key: str, column: str | int | None, files: dict[str, TableFile], notes: list[str]
) -> None:
    if column is None or any(position(file.names, column) is not None for file in files.values()):
        return
    tables = [f"{name} with {_described(file.names)}" for name, file in files.items()]
    found = next(iter([*tables, *notes]), "none")
    raise UserError(f"{RAW}: {key} is {column!r}: needs a table with this column, found {found}")


def _described(names: Sequence[str]) -> str:
    return ", ".join(names) if any(names) else f"{len(names)} columns"


def read_rows(name: str, file: TableFile, matcher: NameMatcher) -> TableRows:
    """All rows of the table `name`, as text.

    Raises:
        UserError: where a row cannot be read, with its line.
    """
    table = TableRows(name, file.columns)
    default_split = split_named(name) or _split_of_folders(name)
    for line, values in file.rows:
        try:
            written, label, split, group_id = map(text_in_column, values)
            if written is None:
                raise ValueError("needs a file_name, found none")
            if split is not None and split.lower() not in SPLIT_WORDS:
                raise ValueError(f"split needs to be train, validation or test, found {split!r}")
        except ValueError as error:
            raise UserError(f"{RAW / name} line {line}: {error}") from None
        key = matcher.find(name, written)
        if key is None:
            key = matcher.key_of(name, written)
            table.unmatched[key] = written
        table.lines.append(line)
        table.keys.append(key)
        table.labels.append(label)
        table.splits.append(SPLIT_WORDS[split.lower()] if split else default_split)
        table.groups.append(group_id)
    return table


def _split_of_folders(name: str) -> str | None:
    """The split that the first folder with a split's name names."""
    folders = posixpath.dirname(name).split("/")
    return next(filter(None, map(split_of_folder, folders)), None)
