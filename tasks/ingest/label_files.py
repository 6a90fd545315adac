"""Find and read the files of data/raw that label others: tables, idx labels, classes.json."""

from collections.abc import Iterator
from typing import NamedTuple

from tasks.dataset import idx_format, raw_files
from tasks.dataset.paths import RAW
from tasks.ingest import idx, tar_shards
from tasks.ingest.containers import Contents
from tasks.ingest.params import IngestParams
from tasks.ingest.read_files import Content
from tasks.ingest.tables.columns import Wanted
from tasks.ingest.tables.finding import FoundTables, find_tables
from tasks.ingest.tables.merging import Table
from tasks.ingest.tables.names import NameMatcher


class LabelFiles(NamedTuple):
    """The files that label others, and what they say.

    `names`: of all these files. `notes`: a line on each file that looks like a table and is none.
    `matcher`: finds the files that tables name. `idx_labels`: the labels of an idx file's images in
    their order, by that file's name. `class_names`: by a tar's name, what its numbered classes are
    called.
    """

    names: set[str]
    tables: list[Table]
    notes: list[str]
    matcher: NameMatcher
    idx_labels: dict[str, list[str]]
    class_names: dict[str, dict[str, str]]


def find_label_files(contents: dict[str, Content], params: IngestParams) -> LabelFiles:
    """Find and read the label files among the files of data/raw.

    Raises:
        UserError: where one cannot be read.
    """
    matcher = NameMatcher(_nameable(contents), params.match_names)
    by_folders = params.layout in ("class_folders", "split_folders")
    wanted = Wanted(params.file_column, params.label_column)
    tables, notes = FoundTables([], []) if by_folders else find_tables(contents, matcher, wanted)
    containers = [name for name, content in contents.items() if isinstance(content, Contents)]
    if not containers:
        return LabelFiles({table.name for table in tables}, tables, notes, matcher, {}, {})
    openable = {name for name in contents if raw_files.problem_of(name) is None}
    idx_files = _idx_label_files(containers, openable)
    class_files = _class_files(containers, openable)
    return LabelFiles(
        {*(table.name for table in tables), *idx_files.values(), *class_files.values()},
        tables,
        notes,
        matcher,
        {name: idx.read_labels(file) for name, file in idx_files.items()},
        {name: tar_shards.read_classes(file) for name, file in class_files.items()},
    )


def _nameable(contents: dict[str, Content]) -> Iterator[str]:
    """The names that tables may give: of files, and of images inside containers."""
    for name, content in contents.items():
        yield raw_files.printable_name(name)
        if isinstance(content, Contents):
            for member in content.images:
                yield f"{name}::{member.name}"


def _idx_label_files(containers: list[str], openable: set[str]) -> dict[str, str]:
    """The idx file of labels for each idx file of images that has one."""
    files = {}
    for name in containers:
        labels = idx.labels_name(name, openable)
        if labels and idx_format.read_header(RAW / name) is not None:
            files[name] = labels
    return files


def _class_files(containers: list[str], openable: set[str]) -> dict[str, str]:
    """The classes.json beside each container that has one."""
    files = {name: tar_shards.classes_name(name) for name in containers}
    return {name: file for name, file in files.items() if file in openable}
