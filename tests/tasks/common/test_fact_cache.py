import sqlite3
from pathlib import Path

import pytest

from tasks.common.fact_cache import FactCache


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    return tmp_path / "memory.sqlite"


def put(version: str = "1", name: str = "facts", **items: str) -> None:
    with FactCache(name, version) as memory:
        memory.put((key.encode(), value.encode()) for key, value in items.items())


def get(*keys: str, version: str = "1", name: str = "facts") -> dict[str, str]:
    with FactCache(name, version) as memory:
        return {
            key.decode(): value.decode() for key, value in memory.get(map(str.encode, keys)).items()
        }


def test_what_is_put_is_got_also_by_the_thousand() -> None:
    items = {f"k{number}": f"v{number}" for number in range(1700)}
    put(**items)
    put(k3="new")
    assert get(*items, "other") == {**items, "k3": "new"}
    assert get("k3", name="others") == {}


def test_another_version_forgets() -> None:
    put(a="x")
    assert get("a", version="2") == {}
    assert get("a") == {}  # and the first is gone


def test_a_damaged_value_is_not_there(cache: Path) -> None:
    put(a="x", b="y")
    with sqlite3.connect(cache) as database:
        (value,) = database.execute("SELECT value FROM facts WHERE key = ?", (b"a",)).fetchone()
        database.execute("UPDATE facts SET value = ? WHERE key = ?", (value[:-1] + b"z", b"a"))
    assert get("a", "b") == {"b": "y"}


def test_a_damaged_database_is_made_anew(cache: Path) -> None:
    put(a="x")
    cache.write_bytes(b"no database at all, whatever its name" * 100)
    assert get("a") == {}
    put(a="x")
    assert get("a") == {"a": "x"}


def test_where_nothing_can_be_kept_nothing_is_remembered_and_all_goes_on(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.mkdir()  # in the database's place
    put(a="x")
    assert get("a") == {}
    assert "the fact cache is not kept" in capsys.readouterr().out
