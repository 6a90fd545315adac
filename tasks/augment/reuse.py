"""Find which variants were made before, and put the sources into batches.

Found in the private cache, which is also what a killed run resumes from, and in the datasets of the
last commits. They are keyed by (source SHA-256, recipe_hash), so an image that is renamed or moved,
or relabelled without another recipe, keeps its variants.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from tasks.augment.committed_segments import read_committed
from tasks.augment.expand import Batch
from tasks.augment.segment_cache import SOURCE_INDEX, read_cached, recipes_in
from tasks.augment.segments import Finished, StoredSegment
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source

PIXELS_PER_BATCH = 2**24
PIXELS_OF_ANY_IMAGE = 2**16  # an image takes about the time of so many pixels, and that of its own
MISSED = 50
SEGMENTS_PER_BATCH = 2


class EarlierVariants:
    """The variants that were made before, found by their source and its recipe.

    DVC's cache is asked where the private cache lacks more than one in MISSED of the sources: for
    fewer, making their variants again takes less time than reading a whole ledger.

    Args:
        keys: of each source, see source_keys().
        planned: how many variants of it.
    """

    def __init__(self, keys: np.ndarray, planned: np.ndarray) -> None:
        found = list(read_cached())
        table, first, beyond = _look_up(keys, found)
        most = np.where(first < beyond, np.append(table["rows"], 0)[beyond - 1], 0)
        if (most < 1 + planned).sum() > len(keys) / MISSED:
            found = [*read_committed(), *found]  # the last of equal ones is taken
            table, first, beyond = _look_up(keys, found)
        self.segments = [segment for segment, _ in found]
        # of a memoryview, items come one by one three times as fast as of an array
        self.segment, self.start, self.rows, self.size, self.complete = (
            table[name].copy().data for name in ("segment", "start", "rows", "size", "complete")
        )
        self.entries = map(range, first.data, beyond.data)  # of each source, in this table

    def batches(self, sources: Iterable[Source], recipes: Recipes) -> Iterator[Batch]:
        """The sources, in order, in batches: those made before in runs, the others to be made.

        A batch holds the sources to make between many runs: handing out a batch takes longer than
        making one source's variants.
        """
        batch = Batch(recipes)
        for source, entries in zip(sources, self.entries, strict=True):
            exact = [entry for entry in entries if self._is_exact(entry, source)]
            last = batch.runs[-1] if batch.runs else None
            following = [entry for entry in exact if self._follows(entry, last)]
            if isinstance(last, Finished) and following:
                self._extend(last, following[0], source)
                continue
            entry = max(exact, key=self._preference) if exact else None
            if self._is_full(batch, entry):
                yield batch
                batch = Batch(recipes)
            if entry is not None:
                stored, start = self.segments[self.segment[entry]], self.start[entry]
                run = Finished(start, start, stored=stored)
                self._extend(run, entry, source)
                batch.runs.append(run)
            else:
                self._add_to_make(batch, source, entries)
        if batch.runs:
            yield batch

    def _is_exact(self, entry: int, source: Source) -> bool:
        """Whether what lies there is just what is planned, and nothing was left out of it."""
        return bool(self.complete[entry]) and self.rows[entry] == 1 + source.planned

    def _follows(self, entry: int, last: Finished | list[Source] | None) -> bool:
        """Whether a source stands right after the last run, in its segment."""
        if not isinstance(last, Finished):
            return False
        adjacent = self.start[entry] == last.stop
        same_segment = self.segments[self.segment[entry]] is last.stored
        # sources without images may stand after the one that ends a segment
        return adjacent and same_segment and not last.ends_segment

    def _preference(self, entry: int) -> tuple[bool, int]:
        """Prefer the copy at the start of a segment, which may be taken whole; else the last."""
        return self.start[entry] == 0, entry

    def _is_full(self, batch: Batch, entry: int | None) -> bool:
        """Whether the next source, found at `entry`, opens another batch."""
        if batch.pixels >= PIXELS_PER_BATCH:
            return True
        if entry is None:
            return False
        used = {id(run.stored) for run in batch.runs if isinstance(run, Finished)}
        segment = self.segments[self.segment[entry]]
        return len(used) >= SEGMENTS_PER_BATCH and id(segment) not in used

    def _extend(self, run: Finished, entry: int, source: Source) -> None:
        run.stop += self.rows[entry]
        run.last_bytes = self.size[entry]
        run.reused += source.planned
        run.sources.append(source)

    def _add_to_make(self, batch: Batch, source: Source, entries: range) -> None:
        """Add a source to make, with where another number of its variants lies, if any does."""
        if not batch.runs or isinstance(batch.runs[-1], Finished):
            batch.runs.append([])
        to_make = batch.runs[-1]
        assert isinstance(to_make, list)
        to_make.append(source)
        size = source.width * source.height + PIXELS_OF_ANY_IMAGE
        batch.pixels += (1 + source.planned) * size
        if entries and self.rows[entries[-1]] > 1:  # sorted: the last has the most
            entry = entries[-1]
            start = self.start[entry]
            stored = self.segments[self.segment[entry]]
            batch.earlier[source.source_id] = stored, start, start + self.rows[entry]


def _look_up(
    keys: np.ndarray, found: list[tuple[StoredSegment, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Everything found, by key and number of rows; where each key begins there, and ends."""
    for number, (_, sources) in enumerate(found):
        sources["segment"] = number
    table = np.concatenate([np.zeros(0, SOURCE_INDEX), *(sources for _, sources in found)])
    # the cache keeps what other recipes made too; sorting all of it would take a second
    table = table[np.isin(recipes_in(table["key"]), np.unique(recipes_in(keys)))]
    table = table[np.argsort(table["rows"], kind="stable")]
    table = table[np.argsort(table["key"], kind="stable")]
    first, beyond = (np.searchsorted(table["key"], keys, side) for side in ("left", "right"))
    return table, first, beyond
