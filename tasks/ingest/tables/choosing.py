"""Decide which column of a table holds the files, the labels, the splits and the groups.

Columns with the names `file_name`, `label`, `split` and `group_id` are taken without a look at
their values. Every other column of files has to name files that are there.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tasks.common.yaml_names import quoted
from tasks.dataset.split_names import SPLIT_WORDS
from tasks.ingest.tables.columns import (
    FILE,
    FILE_NAMES,
    GROUP,
    LABEL,
    LABEL_NAMES,
    SPLIT,
    SPLIT_NAMES,
    Columns,
    Refused,
    Row,
    Start,
    Wanted,
    only,
    plain_name,
    position,
)
from tasks.ingest.tables.names import DIFFERENCES, MatchNames, NameMatcher, is_image_name

LEAST_SHARE = 0.5  # of a column's first values that name files
MOST_IN_ORDER = 50  # labels that may count up by chance
CHARACTERS_SHOWN = 100


class ColumnFinder(NamedTuple):
    """Decides on the columns of the table called `table`.

    `default_split`: the split that the table's name or folder names. `needs_files`: whether its
    column `file_name`, too, has to name files that are there, and its rows be of one length.
    """

    table: str
    default_split: str | None
    matcher: NameMatcher
    wanted: Wanted
    needs_files: bool = False

    def of_rows(self, rows: list[list[str]]) -> Columns | Refused:
        """The columns of a text file, of which the first row may be a header."""
        if not rows:
            return Refused("is empty")
        alike = [row for row in rows if len(row) == len(rows[0])]
        if self.needs_files and len(alike) < LEAST_SHARE * len(rows):
            return Refused("its rows differ in length")
        return self.of_named(rows[0], rows[1:]) if self._is_header(rows[0]) else self._of_list(rows)

    def _is_header(self, row: list[str]) -> bool:
        """Whether the first row names columns. It may also name a file that is not there."""
        plain = set(map(plain_name, row))
        if FILE in plain:
            return True
        fields = list(map(str.strip, row))
        if any(map(is_image_name, fields)) or any(map(self._names_file, fields)):
            return False
        wanted = {plain_name(column) for column in self.wanted if isinstance(column, str)}
        known = {*FILE_NAMES, *LABEL_NAMES, SPLIT, GROUP, *wanted}
        return bool(known & plain) or not (self.needs_files or len(row) == 1)

    # --- with names of columns --------------------------------------------------------------------

    def of_named(self, names: Sequence[str], rows: Sequence[Row]) -> Columns | Refused:
        """The columns of a table whose columns have `names`, and that begins with `rows`."""
        start = Start(names, rows)
        plain = start.plain
        twice = [name for name in (FILE, LABEL, SPLIT, GROUP) if plain.count(name) > 1]
        if twice:
            return Refused(f"needs each column once, found {twice[0]} twice", near=True)
        file = self._file_column(start)
        if isinstance(file, Refused):
            return file
        label = self._label_column(start, file)
        if isinstance(label, Refused):
            return label
        split, group = self._split_column(start), only(plain, (GROUP,))
        advice = _how_to_label(start, file) if label is None else None
        says_nothing = (label, split, group, self.default_split) == (None,) * 4
        if says_nothing and plain[file] != FILE:
            return Refused(advice or "says nothing of its files", near=True)
        columns = Columns(True, file, label, split, group, advice=advice)
        if plain[file] == FILE and (label is None or plain[label] == LABEL):
            return columns
        guessed = ", ".join(names[column].strip() for column in (file, label) if column is not None)
        return columns._replace(guessed=f"columns {guessed}")

    def _file_column(self, start: Start) -> int | Refused:
        fitting = self._fitting(start)
        for column in (position(start.names, self.wanted.file), only(start.plain, (FILE,))):
            if column is not None and (column in fitting or not self.needs_files):
                return column
        called_so = [column for column in fitting if start.plain[column] in FILE_NAMES]
        if len(called_so or fitting) == 1:
            return (called_so or fitting)[0]
        if fitting:
            several = ", ".join(start.names[column] for column in fitting)
            mend = f"`ingest.file_column: {quoted(start.names[fitting[0]])}` takes one"
            return Refused(f"several columns name files: {several}; {mend}", near=True)
        return self._nearly_fitting(start)

    def _label_column(self, start: Start, file: int) -> int | Refused | None:
        columns = (
            position(start.names, self.wanted.label),
            only(start.plain, (LABEL,)),
            only(start.plain, LABEL_NAMES),
        )
        column = next((column for column in columns if column not in (None, file)), None)
        several = [name for name in start.names if plain_name(name) in LABEL_NAMES]
        if column is None and len(several) > 1:
            need = f"several columns may hold the labels: {', '.join(several)}"
            return Refused(
                f"{need}; `ingest.label_column: {quoted(several[0])}` takes one", near=True
            )
        return column

    def _split_column(self, start: Start) -> int | None:
        """The column called split, or one with a name like it that holds nothing but splits."""
        column = only(start.plain, (SPLIT,))
        if column is None:
            like = only(start.plain, SPLIT_NAMES)
            column = like if like is not None and _are_splits(start.texts(like)) else None
        return column

    # --- without ----------------------------------------------------------------------------------

    def _of_list(self, rows: list[list[str]]) -> Columns | Refused:
        """The columns of a list without a header."""
        start = Start([""] * len(rows[0]), rows)
        fitting = self._fitting(start)
        if not fitting:
            return self._nearly_fitting(Start(rows[0], rows[1:]))
        asked_for = position(start.names, self.wanted.file)
        file = fitting[0] if asked_for is None else asked_for
        values = start.texts(file)
        one_is_enough = any(map(is_image_name, values[:1])) or len(values) == 1
        if not one_is_enough and sum(map(self._names_file, values)) < 2:
            return Refused("only one of its words names a file")
        others = [column for column in _informative(start) if column not in (file, *fitting)]
        splits = [column for column in others if _are_splits(start.texts(column))]
        split = splits[0] if splits and len(others) > 1 else None
        others = [column for column in others if column != split]
        # a name is of no column here: columns of a list have none
        wanted = self.wanted.label if isinstance(self.wanted.label, int) else None
        label = position(start.names, wanted)
        if label in (None, file):
            label = _label_of_list(start, file, others)
        if label is None and split is None and self.default_split is None:
            return Refused("is a list of files without labels, and its name names no split")
        columns = Columns(False, file, label, split)
        if label is None or len(others) < 2:
            return columns
        return columns._replace(guessed=f"labels from column {label + 1} of {len(start.names)}")

    # --- values that name files -------------------------------------------------------------------

    def _fitting(self, start: Start) -> list[int]:
        """The columns of which most values name files that are there."""
        return [column for column in range(len(start.names)) if self._fits(start.texts(column))]

    def _fits(self, values: list[str]) -> bool:
        return bool(values) and sum(map(self._names_file, values)) >= LEAST_SHARE * len(values)

    def _names_file(self, value: str) -> bool:
        return self.matcher.find(self.table, value) is not None

    def _nearly_fitting(self, start: Start) -> Refused:
        """What would make a table of a file of which no column names files."""
        for column, name in enumerate(start.names):
            if self.matcher.near(self.table, name.strip()):  # the first row is no header
                rows = Start(start.names, [start.names, *start.rows])
                if _informative(rows) in ([column], []) and self.default_split is None:
                    continue
                mend = self._match_that_takes(rows, column)
            else:
                mend = self._match_that_takes(start, column)
                if mend and not set(start.plain) & {*LABEL_NAMES, SPLIT, GROUP}:
                    mend += f", with `ingest.label_column: {_other(start, column)}` for one"
            if mend:
                return Refused(f"its names differ from those of files in {mend}", near=True)
        shown = repr(",".join(start.names)[:CHARACTERS_SHOWN])
        return Refused(f"needs the columns file_name and label, found {shown}")

    def _match_that_takes(self, start: Start, column: int) -> str | None:
        """In what the names in a column differ, and what takes them; None where they name nothing.

        A single name is not enough, nor are numbers, which may count anything.
        """
        values = start.texts(column)
        if start.plain[column] not in FILE_NAMES and all(map(str.isdecimal, values)):
            return None
        near = [(value, self.matcher.near(self.table, value)) for value in values]
        unique = [(value, one) for value, one in near if one and len(one.files) == 1]
        if len(unique) < max(2, LEAST_SHARE * len(values)):
            return None
        differences = {one.difference for _, one in unique}
        needed: MatchNames = differences.pop() if len(differences) == 1 else "loose"
        value, example = unique[0]
        differ = f"{DIFFERENCES[needed].words} only: {value} for {example.files[0]}"
        return f"{differ}; `ingest.match_names: {needed}` takes them"


def _label_of_list(start: Start, file: int, others: list[int]) -> int | None:
    """The column of labels in a list: the next after the path, or else before it.

    Of several columns, one with words comes before those of numbers: these may be coordinates.
    """
    after = [column for column in others if column > file]
    before = [column for column in reversed(others) if column < file]
    words = [column for column in (*after, *before) if not _are_numbers(start.texts(column))]
    return next(iter([*words, *after, *before]), None)


def _informative(start: Start) -> list[int]:
    """The columns but for those that only number the rows."""
    return [column for column in range(len(start.names)) if not _counts(start.texts(column))]


def _counts(values: list[str]) -> bool:
    """Whether values count up, and are too many for one image of each class."""
    first = int(values[0]) if values and values[0].isdecimal() else 0
    numbers = map(str, range(first, first + len(values)))
    return len(values) >= MOST_IN_ORDER and values == list(numbers)


def _are_splits(values: list[str]) -> bool:
    return bool(values) and all(value.lower() in SPLIT_WORDS for value in values)


def _are_numbers(values: list[str]) -> bool:
    return all(value.lstrip("-").replace(".", "", 1).isdecimal() for value in values)


def _other(start: Start, column: int) -> str:
    """A column that could hold the labels, as params.yaml names it: words before numbers."""
    columns = [*range(column + 1, len(start.names)), *range(column)]
    columns.sort(key=lambda column: _are_numbers(start.texts(column)))
    names = [start.names[column].strip() for column in columns]
    return quoted(next(filter(None, names), "NAME"))


def _how_to_label(start: Start, file: int) -> str | None:
    """How a table without labels would have some; None where no column could hold them."""
    known = (FILE, SPLIT, GROUP)
    if all(name in known for at, name in enumerate(start.plain) if at != file):
        return None
    shown = repr(",".join(start.names)[:CHARACTERS_SHOWN])
    hint = f"`ingest.label_column: {_other(start, file)}` takes one of them"
    return f"needs a column called label, found {shown}; {hint}"
