"""Hashes of all originals: no variant may equal one that is held out, or one of another class.

Either would break what a dataset promises: that training has not seen the test images, and that an
image has one label. Compared are pixels: those of a variant before it is encoded with those of each
usable original as a policy receives it, decoded and preprocessed. An original of 16 bits counts
both with 16 and with the 8 bits that it is reduced to where a policy or a format takes no more.
"""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pandas as pd

from tasks.common import events
from tasks.common.fact_cache import FactCache
from tasks.dataset.selections import usable
from tasks.pixels.decode import DECODING
from tasks.pixels.hashing import fast_pixel_hash, from_hex
from tasks.pixels.preprocess import Preprocessing
from tasks.variants.make import OF_THE_IMAGE, Encoded
from tasks.variants.policy import canonical_json, library_versions
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source, read_pixels, to_sources
from tasks.workers.ordered import map_ordered

# Reasons why a variant is rejected, each followed by `: <source_id>`. All that begin so are of the
# dataset, all others are the recipe's own.
OF_THE_DATASET = "equals_"
HELD_OUT = "equals_held_out"
OTHER_CLASS = "equals_other_class"
IMAGES_PER_TASK = 64


class Originals:
    """All usable originals by the hashes of their pixels.

    Args:
        hashes: int64 (n,), of the pixels; an original may have several.
        labels: its class.
        held_out: whether it is in the validation or the test split.
        source_ids: its source_id.
    """

    def __init__(
        self, hashes: np.ndarray, labels: np.ndarray, held_out: np.ndarray, source_ids: np.ndarray
    ) -> None:
        # arrays of fixed width: they are copied to each worker of a training
        order = np.lexsort([source_ids.astype("S16"), hashes])
        self.hashes = hashes[order].astype(np.int64)
        self.labels, classes = pd.factorize(labels[order])
        self.numbers = {str(label): number for number, label in enumerate(classes)}
        self.held_out = held_out[order].astype(bool)
        self.source_ids = source_ids[order].astype("S16")

    def conflict(self, pixel_hash: int, label: str) -> str | None:
        """Why a variant of these pixels and this label may not be written, or None.

        Where several originals are equal to it, the first by source_id is named.
        """
        equal = slice(
            np.searchsorted(self.hashes, pixel_hash, "left"),
            np.searchsorted(self.hashes, pixel_hash, "right"),
        )
        ids = self.source_ids[equal]
        for reason, forbidden in (
            (HELD_OUT, self.held_out[equal]),
            (OTHER_CLASS, self.labels[equal] != self.numbers.get(label, -1)),
        ):
            if forbidden.any():
                return f"{reason}: {ids[forbidden][0].decode()}"
        return None

    def judge(self, variant: Encoded, source_label: str, recipes: Recipes) -> Encoded:
        """A variant with its labels, rejected where an original forbids it."""
        row, data = recipes.labelled(variant[0], source_label), variant[1]
        reason = self.conflict(row["pixel_hash"], row["label"]) if data is not None else None
        if reason is None:
            return row, data
        return {**row, **dict.fromkeys(OF_THE_IMAGE), "status": "rejected", "reason": reason}, None

    def conflicts(self, hashes: np.ndarray, labels: np.ndarray) -> list[str | None]:
        """conflict() of each of many variants. Few have one, so most are only looked up."""
        place = np.searchsorted(self.hashes, hashes)
        found = np.append(self.hashes, 0)[place] == hashes  # no hash is 0
        reasons: list[str | None] = [None] * len(hashes)
        for number in np.flatnonzero(found & (hashes != 0)):
            reasons[number] = self.conflict(int(hashes[number]), str(labels[number]))
        return reasons


NO_ORIGINALS = Originals(*(np.zeros(0, kind) for kind in (np.int64, object, bool, "S16")))


def read_originals(validated: pd.DataFrame, preprocessing: Preprocessing) -> Originals:
    """The originals of a validated manifest.

    Most hashes stand there already. Images that have 16 bits or are preprocessed are read, once:
    what was found is kept in the fact cache.

    Raises:
        UserError: where a file has changed since it was validated.
    """
    rows = usable(validated)
    as_decoded = ((rows["bits"] == 8) & (not preprocessing.preprocess)).to_numpy()
    to_read = rows[~as_decoded]
    found = hash_images(to_read, preprocessing)
    numbers = np.repeat(np.arange(len(to_read)), [len(hashes) for hashes in found])
    hashes = np.concatenate([from_hex(rows["pixel_xxh3"][as_decoded]), *found])
    rows = pd.concat([rows[as_decoded], to_read.iloc[numbers]])
    held_out = (rows["split"] != "train").to_numpy()
    return Originals(hashes, rows["label"].to_numpy(), held_out, rows["source_id"].to_numpy("S16"))


def hash_images(rows: pd.DataFrame, preprocessing: Preprocessing) -> list[np.ndarray]:
    """The hashes of the preprocessed pixels of each image: int64, one or two."""
    version = canonical_json([DECODING, preprocessing.to_json(), library_versions()])
    with FactCache("preprocessed pixels", version) as cache:
        keys = [bytes.fromhex(sha256) for sha256 in rows["sha256"]]
        found = cache.get(keys)
        new = rows[[key not in found for key in keys]]
        batches = _batches(new)
        hashed = map_ordered(partial(_hash_batch, preprocessing), batches, __name__)
        for batch in events.track(hashed, len(new), "looking at originals", "image", len):
            cache.put(batch)
            found.update(batch)
    return [np.frombuffer(found[key], np.int64) for key in keys]


def _batches(rows: pd.DataFrame) -> Iterator[list[Source]]:
    for start in range(0, len(rows), IMAGES_PER_TASK):
        part = rows.iloc[start : start + IMAGES_PER_TASK]
        yield list(to_sources(part, pd.Series(0, part.index)))


def _hash_batch(preprocessing: Preprocessing, batch: Iterable[Source]) -> list[tuple[bytes, bytes]]:
    """Of each image its SHA-256 and its hashes, as the fact cache keeps them."""
    return [
        (bytes.fromhex(source.sha256), _hashes_of(source, preprocessing).tobytes())
        for source in batch
    ]


def _hashes_of(source: Source, preprocessing: Preprocessing) -> np.ndarray:
    depths = (False, True) if source.bits == 16 else (False,)
    pixels = [read_pixels(source, preprocessing, keep_depth) for keep_depth in depths]
    return np.array([fast_pixel_hash(image) for image in pixels], np.int64)
