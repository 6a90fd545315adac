"""What all tables together say of each file."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.common.errors import UserError
from tasks.dataset.paths import RAW
from tasks.ingest.tables.columns import GROUP, SPLIT, Columns
from tasks.ingest.tables.values import Annotation, normal_forms


@dataclass
class TableRows:
    """The rows of the table `name`, as text, column by column.

    `lines`: their numbers. `keys`: their files, see NameMatcher. `unmatched`: the keys that are no
    file's, and the names as they are written.
    """

    name: str
    columns: Columns
    lines: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    unmatched: dict[str, str] = field(default_factory=dict)


class Table(NamedTuple):
    """A table of labels.

    `name`: of its file. `has_labels`: whether it has a column of them. `entries`: its annotations
    by file name below data/raw, see NameMatcher. `conflicts`: for the files that it names with
    several labels, a text that says so. `unmatched`: the names in `entries` that no file has, and
    how they are written in the table. `columns`: which hold what.
    """

    name: str
    has_labels: bool
    entries: dict[str, Annotation]
    conflicts: dict[str, str]
    unmatched: dict[str, str]
    columns: Columns


class MergedTables(NamedTuple):
    """`entries` and `conflicts` of all tables together; see Table."""

    entries: dict[str, Annotation]
    conflicts: dict[str, str]


# --- one table ------------------------------------------------------------------------------------


def tables_of(all_rows: list[TableRows]) -> list[Table]:
    """The tables of rows. One form of labels, and one of groups, holds in all of them.

    Raises:
        UserError: where a table gives a file two splits or groups.
    """
    labels = _forms(rows.labels for rows in all_rows)
    groups = _forms(rows.groups for rows in all_rows)
    return [_table_of(rows, labels, groups) for rows in all_rows]


def _forms(columns: Iterable[list[str | None]]) -> dict[str, str]:
    texts: set[str | None] = set()
    return normal_forms(texts.union(*columns))


def _table_of(rows: TableRows, label_forms: dict[str, str], group_forms: dict[str, str]) -> Table:
    labels = [label_forms.get(label or "", label) for label in rows.labels]
    groups = [group_forms.get(group or "", group) for group in rows.groups]
    entries: dict[str, Annotation] = {}
    conflicts: dict[str, str] = {}
    for row, entry in enumerate(map(Annotation, labels, rows.splits, groups)):
        key = rows.keys[row]
        before = entries.setdefault(key, entry)
        if before.label != entry.label:
            conflicts[key] = f"{rows.name} says {before.label} and {entry.label}"
        elif before != entry:
            problem = f"{key} is named before, with another split or group"
            raise UserError(f"{RAW / rows.name} line {rows.lines[row]}: {problem}")
    has_labels = bool(labels) and (rows.columns.label is not None or any(labels))
    return Table(rows.name, has_labels, entries, conflicts, rows.unmatched, rows.columns)


# --- all of them ----------------------------------------------------------------------------------


def merge_tables(tables: list[Table]) -> MergedTables:
    """What all tables say of each file: each adds what those before it leave open.

    Raises:
        UserError: where two tables give a file different splits or groups.
    """
    if len(tables) == 1:
        return MergedTables(tables[0].entries, tables[0].conflicts)
    merged = MergedTables({}, {})
    first_named_in: dict[str, str] = {}
    for table in tables:
        merged.conflicts.update(table.conflicts)
        for path, entry in table.entries.items():
            before = merged.entries.get(path, Annotation())
            earlier = first_named_in.setdefault(path, table.name)
            if _differ(before.label, entry.label):
                conflict = f"{earlier} says {before.label} and {table.name} {entry.label}"
                merged.conflicts[path] = conflict
            splits, groups = (before.split, entry.split), (before.group_id, entry.group_id)
            for column, (old, new) in ((SPLIT, splits), (GROUP, groups)):
                if _differ(old, new):
                    problem = f"{path} is of {column} {new!r}, and {old!r} in {earlier}"
                    raise UserError(f"{RAW / table.name}: {problem}")
            filled = (
                old if old is not None else new for old, new in zip(before, entry, strict=True)
            )
            merged.entries[path] = Annotation(*filled)
    return merged


def _differ(old: str | None, new: str | None) -> bool:
    return old is not None and new is not None and old != new
