"""Segments: content-defined, content-addressed tars of variants; the unit that DVC versions.

DVC's cost is per file, so variants are kept in tars of about 4 MiB. They are canonical, as in
content-defined chunking: sources stand in the order of their paths, a source ends its segment by a
rule that looks at itself alone, and a segment's name is the hash of its bytes. So equal datasets
have equal segments whatever their history, and an edit touches its own segment and at most the one
beside it.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from tasks.augment.tar_format import BLOCK
from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source

MEAN_BYTES = 4 * 2**20
NO_ROWS = LEDGER_COLUMNS.empty_table()
BYTES_AT_ONCE = 2**18


@dataclass(frozen=True)
class StoredSegment:
    """A segment made before: its tar, and `count` rows of the ledger at `path`, from `first` on.

    `digest`: the XXH3 of the file at `path` where that holds these rows alone, else None.
    """

    name: str
    tar: Path
    path: Path
    first: int
    count: int
    digest: bytes | None = None

    def rows(self, start: int, stop: int) -> pa.Table:
        """Its rows from `start` to before `stop`, by the row groups that ParquetWriter makes."""
        size = tables.ROWS_PER_GROUP
        start, stop = self.first + start, self.first + stop
        groups = range(start // size, (stop - 1) // size + 1)
        rows = pa.concat_tables([read_row_group(self.path, group) for group in groups])
        return rows.slice(start - groups[0] * size, stop - start)


class FilePart(NamedTuple):
    """`size` bytes of a file from `start` on; by default all of it."""

    path: Path
    start: int = 0
    size: int = -1

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.size)


@dataclass
class Finished:
    """Sources next to each other with their variants, of which only the last may end a segment.

    They were made, and their rows are in `table` and their images in `tar`; or they lie finished in
    a `stored` segment. Labels, recipes and offsets are still to come: see place_rows().

    Attributes:
        start, stop: the first of their rows, and the one after the last.
        sources: the sources, in order.
        last_bytes: what the last source's variants take in a tar.
        reused: how many of the variants were made before.
        stored: the segment that they lie in; None where they were made.
        table: rows of the ledger, theirs among them.
        tar: the images as members of a tar, or the file in which they cross to another process: a
            pipe takes five times as long for megabytes.
    """

    start: int
    stop: int
    sources: list[Source] = field(default_factory=list)
    last_bytes: int = 0
    reused: int = 0
    stored: StoredSegment | None = None
    table: pa.Table = field(default_factory=lambda: NO_ROWS)
    tar: bytes | Path = b""

    def add(self, source: Source, bytes_in_tar: int, reused: int, stop: int) -> None:
        """Take in one more source, whose rows end before `stop`."""
        self.sources.append(source)
        self.last_bytes = bytes_in_tar
        self.reused += reused
        self.stop = stop

    @property
    def rows(self) -> pa.Table:
        if self.stored:
            return self.stored.rows(self.start, self.stop)
        return self.table.slice(self.start, self.stop - self.start)

    @property
    def ends_segment(self) -> bool:
        return ends_segment(self.sources[-1], self.last_bytes)

    @property
    def whole(self) -> StoredSegment | None:
        """The stored segment that holds these sources and nothing else, where there is one."""
        everything = self.stored is not None and (self.start, self.stop) == (0, self.stored.count)
        return self.stored if everything else None

    @property
    def images(self) -> bytes | FilePart:
        """The members of a tar that hold the images, or where these lie."""
        if isinstance(self.tar, Path):
            return FilePart(self.tar)
        if self.stored is None:
            return self.tar
        rows = self.rows
        offsets = rows["offset"].drop_null()
        if not len(offsets):
            return b""
        return FilePart(self.stored.tar, offsets[0].as_py() - BLOCK, int(sizes_in_tar(rows).sum()))


def write_images(data: bytes, folder: Path) -> Path:
    """A new file of `folder` with members of a tar, for Finished."""
    path = folder / secrets.token_hex(8)
    try:
        path.write_bytes(data)
    except OSError as error:
        error.filename = str(folder.parent)  # the cache, of which users know
        raise
    return path


def ends_segment(source: Source, bytes_in_tar: int) -> bool:
    """The cutting rule: the SHA-256, as a fraction of 1, is below the share of MEAN_BYTES."""
    return int(source.sha256[:13], 16) / 16**13 < bytes_in_tar / MEAN_BYTES


def sizes_in_tar(rows: pa.Table) -> np.ndarray:
    """What the image of each row of a ledger takes in a tar, int64; 0 where there is none."""
    lengths = rows["length"].fill_null(0).to_numpy()
    return np.where(lengths > 0, BLOCK - (-lengths // BLOCK) * BLOCK, 0)


def place_rows(finished: list[Finished], recipes: Recipes) -> pa.Table:
    """The ledger's rows of the segment of these sources, without its name; see Finished."""
    rows = pa.concat_tables([one.rows for one in finished])
    firsts = np.flatnonzero(rows["variant_index"].to_numpy() == 0)
    counts = np.diff([*firsts, len(rows)])
    sources = chain.from_iterable(one.sources for one in finished)
    labels = [source.label for source in sources]
    hashes = [recipes.of(label).hash for label in labels]
    source_labels = np.repeat(np.array(labels, object), counts)
    columns = {
        "label": pa.array(final_labels(rows["operations"], source_labels, recipes), pa.string()),
        "source_label": pa.array(source_labels, pa.string()),
        "split": pa.repeat("train", len(rows)),
        "recipe_hash": pa.array(np.repeat(np.array(hashes, object), counts), pa.string()),
        "segment": pa.nulls(len(rows), pa.string()),
        "offset": offsets_in_tar(rows),
    }
    return with_columns(rows, columns)


def final_labels(
    operations: pa.ChunkedArray, source_labels: np.ndarray, recipes: Recipes
) -> np.ndarray:
    """What each row's image shows, see relabelling.py; rows without operations keep their label.

    `source_labels`: object (rows,), the class of each row's source.
    """
    relabelled = {label for label in set(source_labels) if recipes.maps_of(label)}
    if not relabelled:
        return source_labels
    labels = source_labels.copy()
    numbers = [number for number, label in enumerate(labels) if label in relabelled]
    for number, text in zip(numbers, operations.take(numbers).to_pylist(), strict=True):
        labels[number] = recipes.final_label(labels[number], text)
    return labels


def offsets_in_tar(rows: pa.Table) -> pa.Array:
    """The column `offset` of rows whose images lie one after the other."""
    sizes = sizes_in_tar(rows)
    return pa.array(np.cumsum(sizes) - sizes + BLOCK, mask=sizes == 0)


def name_rows(rows: pa.Table, name: str | None) -> pa.Table:
    """`rows` with the segment `name` where they have an image."""
    segment = pc.if_else(rows["offset"].is_valid(), pa.scalar(name, pa.string()), None)
    return with_columns(rows, {"segment": segment})


def with_columns(rows: pa.Table, columns: dict[str, pa.Array]) -> pa.Table:
    """`rows` with some columns replaced."""
    replaced = [columns.get(column, rows[column]) for column in rows.column_names]
    return pa.table(replaced, schema=rows.schema).combine_chunks()


def written_by_source(rows: pa.Table) -> np.ndarray:
    """How many variants of each source were written: int64, in the order of `rows`."""
    index = rows["variant_index"].to_numpy()
    written = (index > 0) & rows["segment"].is_valid().to_numpy()
    return np.add.reduceat(written, np.flatnonzero(index == 0), dtype=np.int64)


def name_of(data: Iterable[bytes]) -> str:
    """The name of a segment of these bytes, in parts: `<16 hex digits of their SHA-256>.tar`."""
    digest = hashlib.sha256()
    for part in data:
        digest.update(part)
    return f"{digest.hexdigest()[:16]}.tar"


def has_bytes_of(tar: Path, name: str) -> bool:
    """Whether `tar` is there, with the bytes of the segment `name`."""
    if not tar.is_file():
        return False
    with tar.open("rb") as file:
        return name_of(iter(partial(file.read, BYTES_AT_ONCE), b"")) == name


@lru_cache(maxsize=16)
def is_sound(stored: StoredSegment) -> bool:
    """Whether the tar has the bytes that name it, and the rows their hash or checksums."""
    try:
        if stored.digest is not None:
            rows_sound = xxhash.xxh3_64_digest(stored.path.read_bytes()) == stored.digest
        else:
            rows_sound = len(stored.rows(0, stored.count)) == stored.count
        return rows_sound and has_bytes_of(stored.tar, stored.name)
    except (pa.ArrowException, OSError, ValueError):
        return False


@lru_cache(maxsize=8)
def read_row_group(path: Path, group: int) -> pa.Table:
    """One row group of a file of ledger rows; a damaged page is an error."""
    rows = pq.ParquetFile(path, page_checksum_verification=True).read_row_group(group)
    if "source_label" not in rows.column_names:  # of an earlier version; place_rows() puts it on
        place = LEDGER_COLUMNS.get_field_index("source_label")
        rows = rows.add_column(place, "source_label", rows["label"])
    return rows.cast(LEDGER_COLUMNS)
