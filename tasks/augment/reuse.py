"""What of the present sources was made before: it is copied, after a check, and not made again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.augment import caches
from tasks.augment.jobs import Part
from tasks.augment.segments import BLOCK, ends_segment, sizes_in_tar
from tasks.augment.stored import SOURCE, Stored, is_sound
from tasks.variants.make import Made, Recipe, Source

PIXELS_PER_PART = 2**24
PIXELS_OF_ANY_IMAGE = 2**16  # an image takes about the time of so many pixels, and that of its own
MISSED = 50
SEGMENTS_PER_ROUND = 2


@dataclass
class Stretch:
    """Sources whose variants lie next to each other in a segment made before: one kind of piece."""

    stored: Stored
    start: int  # of its rows in `stored`
    stop: int
    size: int
    sources: list[Source] = field(default_factory=list)

    @property
    def whole(self) -> tuple[str, Path] | None:
        everything = self.start == 0 and self.stop == self.stored.count
        return (self.stored.name, self.stored.tar) if everything else None

    @property
    def reused(self) -> int:
        return sum(source.planned for source in self.sources)

    @cached_property
    def rows(self) -> pa.Table:
        return self.stored.rows(self.start, self.stop)

    def images(self) -> bytes:
        sizes, offsets = sizes_in_tar(self.rows), self.rows["offset"].drop_null()
        if not len(offsets):
            return b""
        with self.stored.tar.open("rb") as file:
            file.seek(offsets[0].as_py() - BLOCK)
            return file.read(int(sizes.sum()))


@dataclass
class Checks:
    """Segments made before, of which some stretches are wanted."""

    stretches: list[Stretch]

    def do(self) -> list[bool]:
        """Of each stretch, whether it may be trusted: a segment is read once, however many are taken from it."""
        return [is_sound(stretch.stored) for stretch in self.stretches]


@dataclass
class Round:
    """Sources in order: stretches made before, and where None stands the next group of the part that is to be made.

    One part for the groups between many stretches: handing out takes longer than to make one source's variants.
    """

    part: Part
    order: list[Stretch | None] = field(default_factory=list)

    @property
    def stretches(self) -> list[Stretch]:
        return [stretch for stretch in self.order if stretch]

    @property
    def jobs(self) -> list[Part | Checks]:
        """What is to be done for it, without what is empty."""
        parts, checks = (
            [self.part] if self.part.groups else [],
            [Checks(self.stretches)] if self.stretches else [],
        )
        return [*parts, *checks]

    @property
    def full(self) -> bool:
        many = len({stretch.stored for stretch in self.stretches}) > SEGMENTS_PER_ROUND
        return many or self.part.pixels >= PIXELS_PER_PART


class Earlier:
    """The variants of one recipe that were made before, found by their source.

    DVC's cache is asked where the private cache lacks more than one in MISSED of the sources: for fewer, making their
    variants again takes less time than reading a whole ledger.
    """

    def __init__(self, recipe_hash: str, sources: pd.DataFrame, planned: pd.Series) -> None:
        keys = sources["sha256"].to_numpy("S64")
        found = list(caches.cached(recipe_hash))
        table, first, beyond = _look_up(keys, found)
        most = np.where(first < beyond, np.append(table["rows"], 0)[beyond - 1], 0)
        if (most < 1 + planned.to_numpy()).sum() > len(sources) / MISSED:
            found = [
                *caches.committed(recipe_hash),
                *found,
            ]  # of what stands in both, the last is taken
            table, first, beyond = _look_up(keys, found)
        self.stored = [stored for stored, _ in found]
        # of a memoryview, items come one by one three times as fast as of an array
        self.segment, self.start, self.rows, self.size = (
            table[name].copy().data for name in ("segment", "start", "rows", "size")
        )
        self.places = map(range, first.data, beyond.data)

    def rounds(self, sources: Iterable[Source], recipe: Recipe) -> Iterator[Round]:
        """The sources, in order, gathered: those made before into stretches, all others into groups of parts."""
        one = Round(Part(recipe))
        for source, places in zip(sources, self.places, strict=True):
            last = one.order[-1] if one.order else None
            exact = [at for at in places if self.rows[at] == 1 + source.planned]
            following = [at for at in exact if last and self._follows(at, last)]
            if last and following:
                self._extend(last, following[0], source)
                continue
            if one.full:
                yield one
                one = Round(Part(recipe))
            if exact:
                place = max(
                    exact, key=lambda at: (self.start[at] == 0, at)
                )  # best at a segment's start
                segment, start = self.stored[self.segment[place]], self.start[place]
                one.order.append(self._extend(Stretch(segment, start, start, 0), place, source))
                continue
            if not one.order or last:
                one.order.append(None)
                one.part.groups.append([])
            self._add(source, places, one.part)
        if one.order:
            yield one

    def _follows(self, place: int, stretch: Stretch) -> bool:
        adjacent = (
            self.start[place] == stretch.stop and self.stored[self.segment[place]] is stretch.stored
        )
        # sources without images may stand after the one that ends a segment
        return adjacent and not ends_segment(stretch.sources[-1], stretch.size)

    def _extend(self, stretch: Stretch, place: int, source: Source) -> Stretch:
        stretch.stop += self.rows[place]
        stretch.size = self.size[place]
        stretch.sources.append(source)
        return stretch

    def _add(self, source: Source, places: range, part: Part) -> None:
        part.groups[-1].append(source)
        part.made.update(self._some_of(source, places))
        part.pixels += (1 + source.planned) * (source.width * source.height + PIXELS_OF_ANY_IMAGE)

    def _some_of(self, source: Source, places: range) -> dict[tuple[str, int], Made]:
        """The variants of a source of which another number was made before, by source_id and index."""
        if not places or self.rows[places[-1]] == 1:
            return {}
        place = places[-1]  # which has the most
        stored = self.stored[self.segment[place]]
        if not is_sound(stored):
            caches.drop(stored)
            return {}
        rows = stored.rows(self.start[place] + 1, self.start[place] + self.rows[place])
        return {
            (source.source_id, row["variant_index"]): Made(stored.tar, row)
            for row in rows.to_pylist()
        }


def _look_up(
    keys: np.ndarray, found: list[tuple[Stored, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All that was found, by SHA-256 and number of rows; of each key where it begins there, and where it ends."""
    for number, (_, its) in enumerate(found):
        its["segment"] = number
    table = np.concatenate([np.zeros(0, SOURCE), *(its for _, its in found)])
    table = table[np.argsort(table["rows"], kind="stable")]
    table = table[np.argsort(table["sha256"], kind="stable")]
    first, beyond = (np.searchsorted(table["sha256"], keys, side) for side in ("left", "right"))
    return table, first, beyond
