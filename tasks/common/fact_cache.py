"""Fact cache: what earlier runs learned of files and images, in a small SQLite database.

It lies in the private cache: disposable, and never asked for anything that could not be found out
anew. Each value carries a hash of itself: a damaged one is as if it were not there.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Self

import xxhash

from tasks.common import events, machine

KEYS_AT_ONCE = 500
SECONDS_TO_WAIT = 60.0  # for another process that writes


class FactCache:
    """A table of keys and values, both bytes.

    `name` names it; values written under another `version` are forgotten. Where the database cannot be used at all,
    it says so in one line and remembers nothing.
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
        self.database.execute(
            "PRAGMA synchronous = OFF"
        )  # a lost write is learned again, a torn one is found out
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS versions (name TEXT PRIMARY KEY, version TEXT)"
        )
        found = self.database.execute(
            "SELECT version FROM versions WHERE name = ?", (self.name,)
        ).fetchone()
        if found != (self.version,):
            self.database.execute(f'DROP TABLE IF EXISTS "{self.name}"')
            self.database.execute("REPLACE INTO versions VALUES (?, ?)", (self.name, self.version))
        self.database.execute(
            f'CREATE TABLE IF NOT EXISTS "{self.name}" (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID'
        )

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """What is known of `keys`."""
        coming, known = iter(keys), dict[bytes, bytes]()
        while self.database and (some := list(islice(coming, KEYS_AT_ONCE))):
            marks = ",".join("?" * len(some))
            try:
                rows = self.database.execute(
                    f'SELECT key, value FROM "{self.name}" WHERE key IN ({marks})', some
                )
                known.update(
                    (key, value[8:]) for key, value in rows if value[:8] == _check(key, value[8:])
                )
            except sqlite3.DatabaseError as error:
                self._give_up(error)
        return known

    def put(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Remember values by their keys."""
        if not self.database:
            return
        rows: Iterator[tuple[bytes, bytes]] = (
            (key, _check(key, value) + value) for key, value in items
        )
        try:
            self.database.execute("BEGIN IMMEDIATE")
            self.database.executemany(f'REPLACE INTO "{self.name}" VALUES (?, ?)', rows)
            self.database.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        events.say(f"what is learned of the files is not kept: {_path()}: {error}")
        if self.database:
            with suppress(sqlite3.Error):
                self.database.close()
        self.database = None
        if (
            type(error) is sqlite3.DatabaseError
        ):  # damage that was not seen at once: the next run begins anew
            with suppress(OSError):
                _remove()


def _path() -> Path:
    return machine.cache_folder() / "memory.sqlite"


def _remove() -> None:
    """Delete a damaged database: it is disposable."""
    for ending in ("", "-wal", "-shm"):
        Path(f"{_path()}{ending}").unlink(missing_ok=True)


def _check(key: bytes, value: bytes) -> bytes:
    return xxhash.xxh3_64(key + value).digest()
