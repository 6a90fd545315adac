"""Expand a batch of sources into their variants: reused where they were made before, else made.

One batch of sources goes in, one list of finished sources (their images and rows) comes out. What
computes batches, here or in worker processes, is the caller's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from tasks.augment import segment_cache
from tasks.augment.segments import Finished, StoredSegment, is_sound, write_images
from tasks.augment.tar_format import tar_member
from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.pixels.hashing import fast_pixel_hash, sha256
from tasks.variants.make import (
    Encoded,
    Row,
    draw_variant,
    encode_variant,
    extension_of,
    variant_id,
    variant_seed,
)
from tasks.variants.originals import OF_THE_DATASET
from tasks.variants.quality.measures import Baseline
from tasks.variants.recipe import Recipe, Recipes
from tasks.variants.sources import Source, read_policy_input

StoredRows = tuple[StoredSegment, int, int]  # from its first row to before its last
Reusable = dict[int, Encoded]  # variants that were made before, by index


@dataclass
class Batch:
    """Sources in the order of the dataset, and what was made of them before.

    Attributes:
        runs: sources next to each other: found finished in a stored segment, or a list to make.
        earlier: of sources to make, by source_id, the stored rows of variants made before, where
            their number was another than is planned now; or these variants, already read.
        pixels: how much work it is.
        images_in: a folder for the files of images that are made, see Finished.
    """

    recipes: Recipes
    runs: list[Finished | list[Source]] = field(default_factory=list)
    earlier: dict[str, StoredRows | Reusable] = field(default_factory=dict)
    pixels: int = 0
    images_in: Path | None = None

    @property
    def makes_nothing(self) -> bool:
        return not any(isinstance(run, list) for run in self.runs)


def expand_batch(batch: Batch) -> list[Finished]:
    """All sources of the batch with their variants, in order.

    A run that lies in a damaged segment is made anew, with equal bytes.
    """
    rows: list[Row] = []  # of all sources that are made
    made: list[Finished] = []
    images: list[list[bytes]] = []  # of each of these, the tar members of its sources
    finished: list[Finished] = []
    for run in batch.runs:
        if isinstance(run, Finished) and run.stored and check_or_forget(run.stored):
            finished.append(run)
            continue
        piece = None
        for source in run.sources if isinstance(run, Finished) else run:
            if piece is None or piece.ends_segment:
                piece = Finished(start=len(rows), stop=len(rows))
                made.append(piece)
                images.append([])
                finished.append(piece)
            recipe = batch.recipes.of(source.label)
            reusable = read_reusable(source, recipe, batch.earlier.get(source.source_id))
            encoded = expand_source(source, recipe, reusable)
            rows.append(source_row(source))
            rows.extend(row for row, _ in encoded)
            images[-1].append(tar_members(source, recipe, encoded))
            piece.add(source, len(images[-1][-1]), len(reusable), len(rows))
    # one table for all: it crosses to another process once, and takes longer to begin than to fill
    table = pa.Table.from_pylist(rows, schema=LEDGER_COLUMNS)
    for piece, members in zip(made, images, strict=True):
        piece.table = table
        data = b"".join(members)
        piece.tar = write_images(data, batch.images_in) if batch.images_in else data
    return finished


def batches_apart(batch: Batch) -> Iterator[Batch]:
    """The same work for workers without stored segments: what is reused is read here.

    A run that was found finished is a batch of its own, which makes nothing.
    """
    for run in batch.runs:
        if isinstance(run, Finished):
            yield Batch(batch.recipes, [run])
            continue
        earlier: dict[str, StoredRows | Reusable] = {
            source.source_id: read_reusable(
                source, batch.recipes.of(source.label), batch.earlier[source.source_id]
            )
            for source in run
            if source.source_id in batch.earlier
        }
        yield Batch(batch.recipes, [run], earlier)


def tar_members(source: Source, recipe: Recipe, encoded: list[Encoded]) -> bytes:
    """The images of a source's variants as members of a tar."""
    extension = extension_of(source, recipe)
    return b"".join(
        tar_member(f"{row['variant_id']}.{extension}", data) for row, data in encoded if data
    )


def check_or_forget(stored: StoredSegment) -> bool:
    """Whether a stored segment is sound. A damaged one is forgotten, so that it is stored anew."""
    if is_sound(stored):
        return True
    segment_cache.forget_segment(stored)
    return False


def expand_source(
    source: Source, recipe: Recipe, reusable: Reusable | None = None
) -> list[Encoded]:
    """Variants 1..planned of one source: each its row of the ledger and its encoded bytes.

    Args:
        source: the training image.
        recipe: what makes variants.
        reusable: variants that were made before, by index.
    """
    baseline: Baseline | None = None
    seen: set[int] = set()
    variants = []
    for index in range(1, source.planned + 1):
        encoded = reusable.get(index) if reusable else None
        if encoded is None:
            if baseline is None:
                baseline = Baseline(read_policy_input(source, recipe))
                if recipe.distinct:
                    seen.add(fast_pixel_hash(baseline.pixels))
            variant = draw_variant(source, baseline, recipe, index, seen)
            encoded = encode_variant(source, recipe, index, variant)
        seen.add(encoded[0]["pixel_hash"])
        variants.append(encoded)
    return variants


def read_reusable(
    source: Source, recipe: Recipe, earlier: StoredRows | Reusable | None
) -> Reusable:
    """The planned variants of a source that were made before and are sound."""
    if earlier is None or isinstance(earlier, dict):
        return earlier or {}
    stored, start, stop = earlier
    if not check_or_forget(stored):
        return {}
    reusable = {}
    for row in stored.rows(start, stop).to_pylist():
        index = row["variant_index"]
        if 0 < index <= source.planned:
            encoded = _read_variant(row, source, recipe, stored)
            if encoded is not None:
                reusable[index] = encoded
    return reusable


def _read_variant(
    row: Row, source: Source, recipe: Recipe, stored: StoredSegment
) -> Encoded | None:
    """A variant made before, if its bytes still have the hash that its row says."""
    # rows are found by source_id, a prefix; the seed answers for the whole SHA-256
    index, attempt = row["variant_index"], row["attempt"]
    if row["seed"] != variant_seed(recipe.seed, source.sha256, index, attempt):
        return None
    if row["status"] == "rejected":
        return None if row["reason"].startswith(OF_THE_DATASET) else (row, None)
    try:
        with stored.tar.open("rb") as file:
            file.seek(row["offset"])
            data = file.read(row["length"])
    except OSError:
        return None
    return (row, data) if sha256(data) == row["sha256"] else None


def source_row(source: Source) -> Row:
    """The ledger's row of the source itself, index 0."""
    return {
        "variant_id": variant_id(source.source_id, 0),
        "source_id": source.source_id,
        "variant_index": 0,
        "seed": 0,
        "attempt": 0,
        "operations": "[]",
        "pixel_hash": 0,
        "sha256": source.sha256,
        "width": source.width,
        "height": source.height,
        "channels": source.channels,
        "bits": source.bits,
        "status": "written",
    }
