"""Which variants made before are taken, and how sources come in batches: by hand."""

from pathlib import Path

import numpy as np
import pytest

from tasks.augment import reuse
from tasks.augment.expand import Batch
from tasks.augment.reuse import PIXELS_OF_ANY_IMAGE, EarlierVariants
from tasks.augment.segment_cache import SOURCE_INDEX, source_keys
from tasks.augment.segments import Finished, StoredSegment
from tasks.pixels import hashing
from tasks.variants.sources import Source
from tests.tasks.augment.test_segments import RECIPE, RECIPES, made

Found = tuple[StoredSegment, np.ndarray]
HUGE = 2**40  # bytes: the source ends its segment


def keys(names: str) -> np.ndarray:
    return source_keys([made(name, [])[0].sha256 for name in names], [RECIPE.hash] * len(names))


def segment(name: str, *sources: tuple[str, int], first: int = 0, ends: str = "") -> Found:
    """A segment of sources, each with its number of variants; those in `ends` may end a segment."""
    index = np.zeros(len(sources), SOURCE_INDEX)
    index["key"] = keys("".join(source for source, _ in sources))
    index["rows"] = [1 + variants for _, variants in sources]
    index["start"] = np.cumsum(index["rows"]) - index["rows"]
    index["size"] = [HUGE if source in ends else 1 for source, _ in sources]
    index["complete"] = True
    return StoredSegment(name, Path(name), Path(name), first, int(index["rows"].sum())), index


class Planned:
    """Sources with two variants planned of each, and what was found of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def earlier(self, names: str, cached: list[Found], committed: list[Found]) -> EarlierVariants:
        self.monkeypatch.setattr(reuse, "read_cached", lambda: iter(cached))
        self.monkeypatch.setattr(reuse, "read_committed", lambda: iter(committed))
        return EarlierVariants(keys(names), np.full(len(names), 2))

    def batches(self, names: str, cached: list[Found]) -> list[Batch]:
        sources = [made(name, [1, 1])[0] for name in names]
        return list(self.earlier(names, cached, []).batches(sources, RECIPES))

    def told(self, names: str, cached: list[Found]) -> list[list[object]]:
        """Of each batch its runs: name, first and last row of a segment's, or sources to make."""
        return [list(map(told, batch.runs)) for batch in self.batches(names, cached)]


def told(run: Finished | list[Source]) -> object:
    if isinstance(run, Finished):
        return run.stored.name, run.start, run.stop
    return "".join(source.path for source in run)


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Planned:
    return Planned(monkeypatch)


def test_sources_next_to_each_other_in_a_segment_are_one_run(planned: Planned) -> None:
    whole = segment("s", ("a", 2), ("b", 2), ("c", 2), ends="c")
    ((run,),) = [batch.runs for batch in planned.batches("abc", [whole])]
    assert run.whole == whole[0]
    assert (run.reused, run.last_bytes, run.stop) == (6, HUGE, 9)
    assert [source.path for source in run.sources] == ["a", "b", "c"]
    assert planned.told("acb", [whole]) == [[("s", 0, 3), ("s", 6, 9), ("s", 3, 6)]]
    assert planned.told("ac", [segment("s", ("a", 2), ("b", 2)), segment("t", ("c", 2))]) == [
        [("s", 0, 3), ("t", 0, 3)]
    ]


def test_a_run_ends_where_a_segment_would(planned: Planned) -> None:
    found = segment("s", ("a", 2), ("b", 2), ends="a")
    assert planned.told("ab", [found]) == [[("s", 0, 3), ("s", 3, 6)]]


def test_what_was_not_made_before_is_to_make(planned: Planned) -> None:
    found = segment("s", ("b", 2), ("c", 2))
    (batch,) = planned.batches("axybz", [found])
    assert list(map(told, batch.runs)) == ["axy", ("s", 0, 3), "z"]
    assert batch.pixels == 4 * (1 + 2) * (9 * 9 + PIXELS_OF_ANY_IMAGE)
    assert batch.earlier == {} and not batch.makes_nothing


def test_another_number_of_variants_is_made_from_those_there_are(planned: Planned) -> None:
    few, none = segment("few", ("x", 2), ("a", 1), first=7), segment("none", ("b", 0))
    (batch,) = planned.batches("ab", [segment("most", ("a", 3)), few, none])
    assert list(map(told, batch.runs)) == ["ab"]
    source_id = hashing.sha256(b"a")[:16]
    ((found, (stored, start, stop)),) = batch.earlier.items()
    assert (found, stored.name, start, stop) == (source_id, "most", 0, 4)
    (batch,) = planned.batches("ab", [few, none])
    assert batch.earlier == {source_id: (few[0], 3, 5)}


def test_a_source_of_which_something_was_left_out_is_made_again(planned: Planned) -> None:
    found = segment("s", ("a", 2), ("b", 2))
    found[1]["complete"][0] = False
    (batch,) = planned.batches("ab", [found])
    assert list(map(told, batch.runs)) == ["a", ("s", 3, 6)]
    assert list(batch.earlier.values()) == [(found[0], 0, 3)]


def test_of_equal_ones_that_at_the_start_of_a_segment_is_taken_or_the_last(
    planned: Planned,
) -> None:
    start, one, two = (
        segment("start", ("a", 2)),
        segment("one", ("x", 0), ("a", 2)),
        segment("two", ("x", 0), ("a", 2)),
    )
    assert planned.told("a", [one, start, two]) == [[("start", 0, 3)]]
    assert planned.told("a", [one, two]) == [[("two", 1, 4)]]
    # unless one follows the source before it
    both = segment("both", ("b", 2), ("a", 2))
    assert planned.told("ba", [both, start, two]) == [[("both", 0, 6)]]


def test_a_batch_holds_few_segments_and_not_too_much_to_make(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [segment(name, (name, 2), (name.upper(), 2)) for name in "abc"]
    assert planned.told("axbBAyc", found) == [
        [("a", 0, 3), "x", ("b", 0, 6), ("a", 3, 6), "y"],
        [("c", 0, 3)],
    ]
    monkeypatch.setattr(reuse, "PIXELS_PER_BATCH", 2 * 3 * (81 + PIXELS_OF_ANY_IMAGE))
    assert planned.told("vwxyza", found) == [["vw"], ["xy"], ["z", ("a", 0, 3)]]


@pytest.mark.parametrize(("missing", "read"), [(0, False), (2, False), (3, True)])
def test_commits_are_read_where_more_than_one_in_fifty_is_missing(
    missing: int, read: bool, planned: Planned
) -> None:
    names = "".join(chr(ord("A") + n) for n in range(100))
    # of the first there is one variant too few, of the others one more than is planned
    few, many = ((name, 1) for name in names[:missing]), ((name, 3) for name in names[missing:])
    cached, committed = segment("cached", *few, *many), segment("committed", (names[0], 2))
    found = planned.earlier(names, [cached], [committed]).segments
    # the last of equal ones is taken
    assert found == ([committed[0], cached[0]] if read else [cached[0]])


def test_nothing_is_made_of_no_sources(planned: Planned) -> None:
    assert planned.told("", [segment("s", ("a", 2))]) == []
