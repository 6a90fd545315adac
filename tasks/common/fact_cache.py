"""Fact cache: what earlier runs found out about files and images, in a small SQLite database.

It lies in the private cache and may be deleted: everything in it can be found out anew. Each value
is stored with a hash of itself; a damaged value is treated as missing.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Self

import xxhash

from tasks.common import events, machine

KEYS_PER_QUERY = 500
SECONDS_TO_WAIT = 60.0  # for another process that writes
DIGEST_BYTES = 8  # of XXH3, before each value


class FactCache:
    """A table of the database: values by keys, both bytes.

    Values that were stored under another `version` are deleted. Where the database cannot be used
    at all (a read-only disk, say), one line says so, and the table is empty and stays so.
    """

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.database: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        try:
            try:
                self._open()
            except sqlite3.OperationalError:  # read-only, no space
                raise
            except sqlite3.DatabaseError:
                _remove()
                self._open()
        except (sqlite3.DatabaseError, OSError) as error:
            self._give_up(error)
        return self

    def __exit__(self, *_: object) -> None:
        if self.database:
            self.database.close()

    def _open(self) -> None:
        self.database = sqlite3.connect(_path(), timeout=SECONDS_TO_WAIT, isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        # a lost write is found out anew, and a torn one by its hash
        self.database.execute("PRAGMA synchronous = OFF")
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS versions (name TEXT PRIMARY KEY, version TEXT)"
        )
        select = "SELECT version FROM versions WHERE name = ?"
        stored_version = self.database.execute(select, (self.name,)).fetchone()
        if stored_version != (self.version,):
            self.database.execute(f'DROP TABLE IF EXISTS "{self.name}"')
            self.database.execute("REPLACE INTO versions VALUES (?, ?)", (self.name, self.version))
        columns = "(key BLOB PRIMARY KEY, value BLOB)"
        self.database.execute(f'CREATE TABLE IF NOT EXISTS "{self.name}" {columns} WITHOUT ROWID')

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values of those of `keys` that the table holds."""
        remaining, values = iter(keys), dict[bytes, bytes]()
        while self.database and (batch := list(islice(remaining, KEYS_PER_QUERY))):
            marks = ",".join("?" * len(batch))
            select = f'SELECT key, value FROM "{self.name}" WHERE key IN ({marks})'
            try:
                for key, stored in self.database.execute(select, batch):
                    digest, value = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
                    if digest == _digest(key, value):
                        values[key] = value
            except sqlite3.DatabaseError as error:
                self._give_up(error)
        return values

    def put(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Store values by their keys."""
        if not self.database:
            return
        rows: Iterator[tuple[bytes, bytes]] = (
            (key, _digest(key, value) + value) for key, value in items
        )
        try:
            self.database.execute("BEGIN IMMEDIATE")
            self.database.executemany(f'REPLACE INTO "{self.name}" VALUES (?, ?)', rows)
            self.database.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Go on without the database; the next run begins it anew where it is damaged."""
        events.say(f"the fact cache is not kept: {_path()}: {error}")
        if self.database:
            with suppress(sqlite3.Error):
                self.database.close()
        self.database = None
        if type(error) is sqlite3.DatabaseError:  # its subclasses are other errors than damage
            with suppress(OSError):
                _remove()


def _path() -> Path:
    return machine.cache_folder() / "memory.sqlite"


def _remove() -> None:
    """Delete the database, which is damaged, and its log files."""
    for ending in ("", "-wal", "-shm"):
        Path(f"{_path()}{ending}").unlink(missing_ok=True)


def _digest(key: bytes, value: bytes) -> bytes:
    return xxhash.xxh3_64(key + value).digest()
