"""Write tables into data/raw and find them."""

from collections.abc import Sequence
from pathlib import Path

from tasks.dataset.paths import RAW
from tasks.ingest.tables.columns import Wanted
from tasks.ingest.tables.finding import FoundTables, find_tables
from tasks.ingest.tables.merging import merge_tables
from tasks.ingest.tables.names import MatchNames, NameMatcher

FILES = ("a.png", "b.png", "c d.png")
NOTHING = Wanted()


def find(
    tables: dict[str, str] | dict[str, bytes],
    files: Sequence[str] = FILES,
    match: MatchNames = "exact",
    wanted: Wanted = NOTHING,
) -> FoundTables:
    """What is found in these tables, beside files of these names."""
    for name, content in tables.items():
        path = Path(RAW / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return find_tables(tables, NameMatcher([*files, *tables], match), wanted)


def labels_of(found: FoundTables) -> dict[str, str | None]:
    """The labels that all tables give, by file."""
    return {name: entry.label for name, entry in merge_tables(found.tables).entries.items()}
