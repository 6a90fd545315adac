"""The files of a segment, whoever stores them, and how often."""

from pathlib import Path

import pytest

from tasks.augment.expand import Batch, batches_apart
from tasks.augment.segment_files import SegmentFiles, SegmentNames, store_files
from tasks.augment.segments import FilePart, Finished, StoredSegment, name_of
from tasks.augment.tar_format import END, tar_member
from tasks.dataset.paths import SEGMENTS
from tests.tasks.augment.test_segments import RECIPES, made

MEMBERS = [tar_member(f"{number}.png", bytes([number]) * 600) for number in range(3)]
TAR = b"".join([*MEMBERS, END])
NAME = name_of([TAR])
SIZE = 512 + 1024  # of each member


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VARIEGATE_CACHE", raising=False)
    SEGMENTS.mkdir(parents=True)
    return Path(".variegate/segments")


def files() -> list[bytes | FilePart]:
    """The members by all ways in which they may lie: at hand, a whole file, a part of one."""
    Path("whole").write_bytes(MEMBERS[1])
    Path("part").write_bytes(b"before" + MEMBERS[2] + b"after")
    return [MEMBERS[0], FilePart(Path("whole")), FilePart(Path("part"), 6, SIZE)]


@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
def test_done_again_it_leaves_what_it_left(
    links: bool, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    if not links:
        monkeypatch.setattr("os.link", refuse)
    for _ in range(2):
        assert store_files(SegmentFiles(files())) == SegmentNames(NAME, NAME)
        assert (cache / NAME).read_bytes() == (SEGMENTS / NAME).read_bytes() == TAR
        assert (cache / NAME).samefile(SEGMENTS / NAME) == links
        assert len(list(cache.iterdir())) == len(list(SEGMENTS.iterdir())) == 1
    assert [Path("whole").exists(), Path("part").exists()] == [True, True]  # for a third time


def test_another_worker_may_link_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_files(SegmentFiles(files()))

    def other_was_first(source: Path, place: Path) -> None:
        place.write_bytes(source.read_bytes()[:5])  # its copy is under way
        raise FileExistsError

    (SEGMENTS / NAME).unlink()
    monkeypatch.setattr("os.link", other_was_first)
    store_files(SegmentFiles(files()))
    assert (SEGMENTS / NAME).read_bytes() == TAR


def test_what_may_not_be_written_is_left_out_of_the_dataset_alone(cache: Path) -> None:
    kept = SegmentFiles(files(), None, [(0, SIZE), (2 * SIZE, SIZE)])
    expected = MEMBERS[0] + MEMBERS[2] + END
    assert store_files(kept) == SegmentNames(NAME, name_of([expected]))
    assert (cache / NAME).read_bytes() == TAR
    (written,) = SEGMENTS.iterdir()
    assert written.read_bytes() == expected
    written.unlink()
    assert store_files(SegmentFiles(files(), None, [])) == SegmentNames(NAME, None)
    assert not list(SEGMENTS.iterdir())


def test_a_stored_segment_is_linked_and_not_read(cache: Path) -> None:
    committed = Path("0123")  # as DVC's cache names it
    committed.write_bytes(b"not looked at")
    stored = StoredSegment(NAME, committed, Path("rows"), 0, 6)
    assert store_files(SegmentFiles([], stored)) == SegmentNames(NAME, NAME)
    assert committed.samefile(cache / NAME) and committed.samefile(SEGMENTS / NAME)
    in_cache = StoredSegment(NAME, cache / NAME, Path("rows"), 0, 6)
    assert store_files(SegmentFiles([], in_cache)) == SegmentNames(NAME, NAME)


def test_without_an_image_there_is_no_file(cache: Path) -> None:
    assert store_files(SegmentFiles([b"", b""])) == SegmentNames()
    assert not cache.exists() and not list(SEGMENTS.iterdir())


def test_workers_apart_get_what_was_made_before_or_nothing_of_it() -> None:
    (a, _), (b, _), (c, _) = (made(name, [1]) for name in "abc")
    stored = StoredSegment("x.tar", Path("gone"), Path("gone too"), 0, 2)
    run = Finished(0, 2, [b], stored=stored)
    batch = Batch(RECIPES, [[a], run, [c]], {c.source_id: (stored, 0, 2)}, 5, Path("images"))
    parts = list(batches_apart(batch))
    assert [part.runs for part in parts] == [[[a]], [run], [[c]]]
    assert [part.makes_nothing for part in parts] == [False, True, False]
    assert [part.earlier for part in parts] == [{}, {}, {c.source_id: {}}]  # it is damaged
    assert {part.images_in for part in parts} == {None}
