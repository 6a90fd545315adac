"""What of the present sources was made before: it is copied, after a check, and not made again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.augment import caches
from tasks.augment.jobs import Part
from tasks.augment.segments import BLOCK, ends_segment, sizes_in_tar
from tasks.augment.stored import Stored
from tasks.augment.variants import Made, Recipe, Source

IMAGES_PER_PART = 64


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

    def rows(self) -> pa.Table:
        return self.stored.rows(self.start, self.stop)

    def images(self) -> bytes:
        sizes, offsets = sizes_in_tar(self.rows()), self.rows()["offset"].drop_null()
        if not len(offsets):
            return b""
        with self.stored.tar.open("rb") as file:
            file.seek(offsets[0].as_py() - BLOCK)
            return file.read(int(sizes.sum()))


class Earlier:
    """The variants of one recipe that were made before, found by their source."""

    def __init__(self, recipe_hash: str) -> None:
        # what stands in both places is taken from the private cache, which comes last
        found = [*caches.committed(recipe_hash), *caches.cached(recipe_hash)]
        self.stored = [stored for stored, _ in found]
        table = pd.concat([rows.assign(stored=i) for i, (_, rows) in enumerate(found)]) if found else _no_sources()
        table = table.sort_values("sha256", kind="stable")
        self.sha256 = table["sha256"].to_numpy("S64")
        self.columns = {name: table[name].to_numpy() for name in ("stored", "start", "rows", "size")}

    def jobs(self, sources: Iterable[Source], recipe: Recipe) -> Iterator[Stretch | Part]:
        """The sources, in order, gathered: those made before into stretches, all others into parts."""
        stretch: Stretch | None = None
        part = Part(recipe)
        for source in sources:
            place = self._place_of(source, stretch)
            if stretch and (place is None or not self._follows(place, stretch)):
                yield stretch
                stretch = None
            if place is None:
                part.sources.append(source)
                part.made.update(self._some_of(source))
                part.images += 1 + source.planned
            if part.sources and (place is not None or part.images >= IMAGES_PER_PART):
                yield part
                part = Part(recipe)
            if place is not None:
                stretch = self._extended(stretch, place, source)
        yield from [stretch] if stretch else [part] if part.sources else []

    def _places(self, source: Source) -> range:
        sha256 = source.sha256.encode()
        return range(*(int(np.searchsorted(self.sha256, sha256, side)) for side in ("left", "right")))

    def _place_of(self, source: Source, after: Stretch | None) -> int | None:
        """Where exactly the planned variants stand: best right after those before, else at a segment's start."""
        exact = [at for at in self._places(source) if self.columns["rows"][at] == 1 + source.planned]
        for at in exact:
            if after and self._follows(at, after):
                return at
        return max(exact, key=lambda at: (self.columns["start"][at] == 0, at), default=None)

    def _follows(self, place: int, stretch: Stretch) -> bool:
        same = self.stored[self.columns["stored"][place]] is stretch.stored
        adjacent = same and self.columns["start"][place] == stretch.stop
        # sources without images may stand after the one that ends a segment
        return adjacent and not ends_segment(stretch.sources[-1], stretch.size)

    def _extended(self, stretch: Stretch | None, place: int, source: Source) -> Stretch:
        start = int(self.columns["start"][place])
        if stretch is None:
            stretch = Stretch(self.stored[self.columns["stored"][place]], start, start, 0)
        stretch.stop += int(self.columns["rows"][place])
        stretch.size = int(self.columns["size"][place])
        stretch.sources.append(source)
        return stretch

    def _some_of(self, source: Source) -> dict[tuple[str, int], Made]:
        """The variants of a source of which another number was made before, by source_id and index."""
        place = max(self._places(source), key=lambda at: self.columns["rows"][at], default=None)
        if place is None:
            return {}
        stored = self.stored[self.columns["stored"][place]]
        start = int(self.columns["start"][place])
        rows = stored.rows(start + 1, start + int(self.columns["rows"][place]))
        return {(source.source_id, row["variant_index"]): Made(stored.tar, row) for row in rows.to_pylist()}


def _no_sources() -> pd.DataFrame:
    return pd.DataFrame({"sha256": [], "stored": [], "start": [], "rows": [], "size": []})
