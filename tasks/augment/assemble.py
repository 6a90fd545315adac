"""Assemble segments of finished sources: rows are placed here, files are stored where bytes are.

So on a cluster the stage itself moves names and rows alone, and no images.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tasks.augment.conflicts import find_conflicts, kept_members, leave_out
from tasks.augment.segment_cache import write_rows
from tasks.augment.segment_files import SegmentFiles, SegmentNames, store_files
from tasks.augment.segments import Finished, name_rows, place_rows
from tasks.variants.originals import Originals
from tasks.variants.recipe import Recipes
from tasks.workers import cluster
from tasks.workers.ordered import map_ordered


class Segment(NamedTuple):
    """The sources of a segment, before its files are stored.

    Attributes:
        pieces: the sources, in order.
        rows: of the ledger, as their recipes make them, without the segment's name.
        reasons: why each row's variant may not be in data/augmented; null for most.
    """

    pieces: list[Finished]
    rows: pa.Table
    reasons: pa.Array

    @property
    def files(self) -> SegmentFiles:
        """What its files consist of."""
        whole = self.pieces[0].whole if len(self.pieces) == 1 else None
        parts = [] if whole else [piece.images for piece in self.pieces]
        all_kept = self.reasons.null_count == len(self.rows)
        return SegmentFiles(
            parts, whole, None if all_kept else kept_members(self.rows, self.reasons)
        )

    def write_rows(self, names: SegmentNames) -> pa.Table:
        """Store its rows in the private cache; those that may be written in data/augmented.

        Sources without an image make rows, and no file.
        """
        if names.cached is not None:
            write_rows(name_rows(self.rows, names.cached), names.cached)
        all_kept = self.reasons.null_count == len(self.rows)
        rows = self.rows if all_kept else leave_out(self.rows, self.reasons)
        return name_rows(rows, names.written)

    def remove_parts(self) -> None:
        """Remove the files that its images were made in."""
        for piece in self.pieces:
            if isinstance(piece.tar, Path):
                piece.tar.unlink(missing_ok=True)


def assemble_segments(
    pieces: Iterable[Finished], recipes: Recipes, originals: Originals
) -> Iterator[tuple[pa.Table, int]]:
    """Store the segments of all finished sources, in order.

    Yields:
        The rows of a segment for the ledger, and how many of its variants were made before.
    """
    waiting: deque[Segment] = deque()

    def files() -> Iterator[SegmentFiles]:
        for gathered in gather_segments(pieces):
            rows = place_rows(gathered, recipes)
            waiting.append(Segment(gathered, rows, find_conflicts(rows, originals)))
            yield waiting[-1].files

    in_thread = not cluster.shares_folder()  # its work is to read, hash and write
    for names in map_ordered(store_files, files(), in_thread=lambda _: in_thread, on_cluster=True):
        segment = waiting.popleft()
        segment.remove_parts()
        yield segment.write_rows(names), sum(piece.reused for piece in segment.pieces)


def gather_segments(pieces: Iterable[Finished]) -> Iterator[list[Finished]]:
    """Finished sources, in order, up to each one that ends a segment."""
    segment: list[Finished] = []
    for piece in pieces:
        segment.append(piece)
        if piece.ends_segment:
            yield segment
            segment = []
    if segment:
        yield segment
