"""Arrays are kept: computed once, found again whole, item by item, and only where undamaged."""

import errno
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tasks.model import array_cache
from tasks.model.array_cache import Wanted, kept_array, start_of_items, write_items

FORM = {"size": 2}
Computed = list[list[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    yield tmp_path / "arrays"


def wanted(items: str, form: dict | None = None) -> Wanted:
    return Wanted(form or FORM, np.array([*items], "S1"), (2,), np.uint8)


def read(items: str, form: dict | None = None) -> tuple[list[list[int]], str]:
    """The array of some items, each its letter's number twice, and which of them were computed."""
    computed = []

    def compute(path: Path, places: np.ndarray) -> None:
        array = np.load(path, mmap_mode="r+")
        for place in places:
            computed.append(items[place])
            array[place] = ord(items[place])

    with kept_array(wanted(items, form), compute) as array:
        return array.tolist(), "".join(computed)


def numbers(items: str) -> list[list[int]]:
    return [[ord(item)] * 2 for item in items]


def test_an_array_is_computed_once(folder: Path) -> None:
    assert read("abc") == (numbers("abc"), "abc")
    assert read("abc") == (numbers("abc"), "")


def test_of_an_array_with_other_items_only_these_are_computed(folder: Path) -> None:
    read("abc")
    assert read("xcbya") == (numbers("xcbya"), "xy")
    assert read("zxy") == (numbers("zxy"), "z")


def test_an_array_of_another_form_is_computed(folder: Path) -> None:
    read("abc")
    assert read("abc", {"size": 3}) == (numbers("abc"), "abc")


def test_the_same_item_twice(folder: Path) -> None:
    assert read("aba") == (numbers("aba"), "aba")
    assert read("aabx") == (numbers("aabx"), "x")


@pytest.mark.parametrize("place", [0, -1])
def test_a_damaged_array_is_removed_and_computed_anew(folder: Path, place: int) -> None:
    read("abc")
    path = next(folder.glob("*.npy"))
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert read("abc") == (numbers("abc"), "abc")
    assert read("abc") == (numbers("abc"), "")


def test_damaged_keys_lend_nothing(folder: Path) -> None:
    read("abc")
    path = next(folder.glob("*.keys"))
    path.write_bytes(path.read_bytes().replace(b"abc", b"xbc"))
    assert read("xbcd") == (numbers("xbcd"), "xbcd")


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        npy(np.zeros((3, 5), np.uint8)),
        npy(np.zeros((3, 2), np.float32)),
        npy(np.array([{}, {}, {}])),
    ],
    ids=["empty", "begun", "shape", "dtype", "objects"],
)
def test_another_array_under_its_name_is_computed_anew(content: bytes, folder: Path) -> None:
    read("z")
    (folder / "whole").write_bytes(content)
    checksum = array_cache._checksum(folder / "whole")
    (folder / "whole").rename(folder / f"{wanted('abc').name}-{checksum}.npy")
    assert read("abc") == (numbers("abc"), "abc")
    assert read("abc") == (numbers("abc"), "")


def test_what_is_no_array_stays_and_does_no_harm(folder: Path) -> None:
    read("z")
    foreign = [folder / f"{wanted('abc').name}-0.npy", folder / f"{wanted('b').form_name}_0.keys"]
    for path in foreign:
        path.mkdir()
    assert read("abc") == (numbers("abc"), "abc")
    assert all(path.is_dir() for path in foreign)


def test_half_an_array_is_computed_anew(folder: Path) -> None:
    read("abc")
    path = next(folder.glob("*.npy"))
    path.write_bytes(path.read_bytes()[:-1])
    assert read("abc") == (numbers("abc"), "abc")


def test_beyond_the_limit_an_array_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE_GB", "1e-9")
    assert read("abc") == (numbers("abc"), "abc")
    assert not list(folder.iterdir())


def test_the_array_longest_unused_makes_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read("ab")
    size = next(folder.glob("*.npy")).stat().st_size
    monkeypatch.setenv("VARIEGATE_CACHE_GB", str(2 * size / 1e9))
    read("cd")
    read("ab")  # used
    read("ef")
    assert [read(items)[1] for items in ("ab", "ef")] == ["", ""]
    assert read("cd")[1] == "cd"


def test_an_array_that_another_process_removes_stays_readable(folder: Path) -> None:
    with kept_array(wanted("a"), lambda path, _: np.load(path, mmap_mode="r+").fill(7)) as array:
        for path in folder.iterdir():
            path.unlink()
        assert array.tolist() == [[7, 7]]


def test_two_processes_at_once_leave_one_array(folder: Path) -> None:
    def compute(path: Path, places: np.ndarray) -> None:
        assert read("ab") == (numbers("ab"), "ab")  # the other one is faster
        np.load(path, mmap_mode="r+")[:] = numbers("ab")

    with kept_array(wanted("ab"), compute) as array:
        assert array.tolist() == numbers("ab")
    assert len(list(folder.glob("*.npy"))) == 1
    assert read("ab") == (numbers("ab"), "")


def test_what_fails_leaves_nothing(folder: Path) -> None:
    def fail(path: Path, places: np.ndarray) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError), kept_array(wanted("ab"), fail):
        pass
    assert not list(folder.iterdir())


def test_on_a_full_disk_kept_arrays_make_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read("ab")
    reserve = array_cache._reserve

    def full(path: Path, asked: Wanted) -> None:
        if list(folder.glob("*.npy")):
            raise OSError(errno.ENOSPC, "No space left on device")
        reserve(path, asked)

    monkeypatch.setattr(array_cache, "_reserve", full)
    assert read("cd") == (numbers("cd"), "cd")
    assert read("ab") == (numbers("ab"), "ab")


def test_a_disk_that_stays_full_is_told_with_the_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, asked: Wanted) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(array_cache, "_reserve", full)
    with pytest.raises(OSError) as caught:
        read("ab")
    assert caught.value.filename == str(folder.parent)


def test_where_it_cannot_be_kept_it_is_still_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(array_cache, "_keep", full)
    assert read("ab") == (numbers("ab"), "ab")
    assert not list(folder.iterdir())


def test_writers_of_one_file_change_their_own_bytes_alone(tmp_path: Path) -> None:
    """As two hosts of one file system: neither reads, or writes, what is the other's."""
    path = tmp_path / "x.npy"
    expected = np.arange(7 * 6, dtype=np.uint16).reshape(7, 2, 3)
    np.save(path, np.full_like(expected, 999))
    start = start_of_items(path)
    assert start == path.stat().st_size - expected.nbytes
    whole = path.read_bytes()
    places = np.array([5, 0, 3])
    write_items(path, start, places, iter(expected[places]))
    changed = np.full_like(expected, 999)
    changed[places] = expected[places]
    assert path.read_bytes() == whole[:start] + changed.tobytes()
    rest = np.array([1, 2, 4, 6])
    write_items(path, start, rest, (item.T.copy().T for item in expected[rest]))  # of any strides
    assert np.array_equal(np.load(path), expected)
    with pytest.raises(ValueError):
        write_items(path, start, rest, expected[:3])
