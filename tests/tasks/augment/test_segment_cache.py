import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.augment import segment_cache
from tasks.augment.assemble import assemble_segments
from tasks.augment.segments import is_sound, with_columns
from tasks.dataset.paths import SEGMENTS
from tasks.variants.originals import NO_ORIGINALS, Originals
from tests.tasks.augment.test_segments import RECIPE, RECIPES, Made, assemble, finished, made


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the private cache's segments, in a project that has none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    SEGMENTS.mkdir(parents=True)
    return tmp_path / "segments"


def write(*sources: Made) -> pa.Table:
    ((rows, _),) = assemble_segments(finished(*sources), RECIPES, NO_ORIGINALS)
    return rows


def test_an_index_says_what_is_known_of_each_source() -> None:
    _, _, rows = assemble(finished(made("a", [700, None]), made("b", []), made("c", [1])))
    reasons = pa.array([None, None, "one_colour", None, None, "equals_held_out: x"], pa.string())
    index = segment_cache.index_sources(with_columns(rows, {"reason": reasons}))
    assert index.tolist() == [
        (f"{made(name, [])[0].sha256}{RECIPE.hash}".encode(), start, count, size, 0, complete)
        for name, start, count, size, complete in (
            ("a", 0, 3, 512 + 1024, True),
            ("b", 3, 1, 0, True),
            ("c", 4, 2, 512 + 512, False),  # what other images forbid was left out
        )
    ]


def test_what_is_written_is_found_again_and_what_is_damaged_is_not(cache: Path) -> None:
    rows = write(made("a", [700]), made("b", [800, 900]))
    ((stored, sources),) = segment_cache.read_cached()
    name = rows["segment"][1].as_py()
    assert (stored.name, stored.tar, stored.first, stored.count) == (name, cache / name, 0, 5)
    assert sources["start"].tolist() == [0, 2] and sources["rows"].tolist() == [2, 3]
    assert stored.rows(0, 5) == rows
    assert (SEGMENTS / name).samefile(stored.tar)  # a link
    (index,) = cache.glob("*.sources")
    data = index.read_bytes()
    for path, content in (
        (index, data[:-1] + b"x"),
        (index, b""),
        (stored.tar, None),
        (stored.path, None),
    ):
        kept = path.read_bytes()
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        assert list(segment_cache.read_cached()) == []
        path.write_bytes(kept)
    assert len(list(segment_cache.read_cached())) == 1
    segment_cache.forget_segment(stored)
    segment_cache.forget_segment(stored)  # another worker was first
    assert sorted(path.suffix for path in cache.iterdir()) == [".parquet", ".tar"]
    write(made("a", [700]), made("b", [800, 900]))
    assert len(list(segment_cache.read_cached())) == 1


def test_the_last_used_come_last(cache: Path) -> None:
    names = [write(made(name, [700]))["segment"][1].as_py() for name in "abc"]
    for time, name in enumerate(names[::-1]):
        (index,) = cache.glob(f"{name.removesuffix('.tar')}-*.sources")
        os.utime(index, (time, time))
    assert [stored.name for stored, _ in segment_cache.read_cached()] == names[::-1]
    write(made("c", [700]))  # it is used again
    assert [stored.name for stored, _ in segment_cache.read_cached()] == [
        names[1],
        names[0],
        names[2],
    ]


def test_one_tar_may_hold_the_images_of_several_lists_of_sources(cache: Path) -> None:
    name = write(made("a", [700]))["segment"][1].as_py()
    write(made("a", [700]), made("e", []))  # which has no image
    found = list(segment_cache.read_cached())
    assert [stored.tar.name for stored, _ in found] == [name, name]
    assert sorted(stored.count for stored, _ in found) == [2, 3]
    kept = sorted(path.suffix for path in segment_cache.cached_copies(name))
    assert kept == [".parquet", ".parquet", ".sources", ".sources", ".tar"]
    assert write(made("e", []))["segment"].null_count == 1
    assert len(segment_cache.cached_copies("")) == 5 == len(list(cache.iterdir()))  # none for it


def test_a_file_system_without_hard_links_has_copies(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("os.link", link)
    name = write(made("a", [700]))["segment"][1].as_py()
    assert (SEGMENTS / name).read_bytes() == (cache / name).read_bytes()
    assert not (SEGMENTS / name).samefile(cache / name)


def test_a_damaged_tar_is_written_anew(cache: Path) -> None:
    name = write(made("a", [700]))["segment"][1].as_py()
    data = (cache / name).read_bytes()
    (cache / name).write_bytes(data[:-1])
    write(made("a", [700]))
    assert (cache / name).read_bytes() == (SEGMENTS / name).read_bytes() == data


def test_what_other_images_forbid_is_left_out_of_the_dataset_alone(cache: Path) -> None:
    a, b = made("a", [700]), made("b", [800])
    for _, [(row, _)] in (a, b):
        row["pixel_hash"] = 5 if row["length"] == 700 else 6
    held_out = Originals(np.array([5]), np.array(["cat"]), np.array([True]), np.array(["x"]))
    ((rows, _),) = assemble_segments(finished(a, b), RECIPES, held_out)
    ((stored, sources),) = segment_cache.read_cached()
    assert stored.count == 4 and sources["complete"].all()
    assert rows["reason"].to_pylist() == [None, "equals_held_out: x", None, None]
    (tar,) = SEGMENTS.iterdir()
    assert tar.name == rows["segment"][3].as_py() != stored.name
    assert tar.read_bytes() == stored.tar.read_bytes()[512 + 1024 :]


def test_a_changed_byte_of_stored_rows_is_found(cache: Path) -> None:
    write(made("a", [700]), made("b", [800]))
    ((stored, sources),) = segment_cache.read_cached()
    assert is_sound.__wrapped__(stored) and sources["rows"].tolist() == [2, 2]
    data = stored.path.read_bytes()
    for place in range(
        0, len(data), 29
    ):  # of the footer too, for which pages' checksums do not answer
        stored.path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        assert not is_sound.__wrapped__(stored)
    stored.path.write_bytes(data)
    assert is_sound.__wrapped__(stored)


def test_a_key_is_of_a_source_and_its_recipe() -> None:
    keys = segment_cache.source_keys(["a" * 64, "b" * 64], ["1" * 16, "2" * 16])
    assert keys.tolist() == [b"a" * 64 + b"1" * 16, b"b" * 64 + b"2" * 16]
    assert segment_cache.recipes_in(keys).tolist() == [b"1" * 16, b"2" * 16]
    assert segment_cache.recipes_in(keys[:0]).tolist() == []
