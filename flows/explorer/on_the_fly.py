"""Variants made for a page alone, by the recipe of params.yaml: any index of any training image.

A variant is the one that augment would write and that training would show. Under `distinct` it also
depends on those before it: of those that the ledger has, their hashes are taken from there; up to
MOST_MADE others are made, and beyond them it is said that they were not.
"""

import math
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import Query

from flows.explorer.queries import database
from tasks.common import machine
from tasks.common.errors import UserError
from tasks.common.params import PARAMS_FILE, read_params
from tasks.dataset.manifests import read_preprocessing
from tasks.dataset.paths import VALIDATED_MANIFEST
from tasks.pixels.decode import UndecodableError
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams

if TYPE_CHECKING:  # Albumentations takes more than a second, and only what makes variants needs it
    from tasks.variants.originals import Originals
    from tasks.variants.quality.measures import Baseline
    from tasks.variants.recipe import Recipe, Recipes
    from tasks.variants.sources import Source

MOST_INDEX = 10_000
MOST_MADE = 24  # variants before the one that is asked for: a fraction of a second for photos
LARGEST_SOURCE = 25_000_000  # pixels; a larger one takes seconds
LEAST_SHOWN = 20  # indices on the slider
CHANGED = "changed since it was validated; run from ingest again"

Index = Annotated[int, Query(ge=1, le=MOST_INDEX)]
SourceId = Annotated[str, Query(pattern=r"^[0-9a-f]{16}$")]


class Made(NamedTuple):
    """A variant: its row as the ledger would have it, and its encoded bytes (None: rejected).

    `notes`: what is not as in a run, or differs from the ledger, each a sentence.
    """

    row: dict[str, Any]
    data: bytes | None
    notes: list[str]


class Shown(NamedTuple):
    """What training shows on the fly: in each of `epochs` another variant.

    `planned`: how many variants of the source are stored.
    """

    augmentation: str
    planned: int
    epochs: int

    @property
    def on_the_fly(self) -> bool:
        """Whether training shows variants made on the fly, by the recipe of stored ones."""
        return self.augmentation in ("online", "both")

    @property
    def before(self) -> int:
        """How many variants come before that of the first epoch."""
        return self.planned if self.augmentation == "both" else 0

    @property
    def most(self) -> int:
        """The last index on the slider: all stored ones, and one for each epoch."""
        return min(MOST_INDEX, max(LEAST_SHOWN, self.planned + self.epochs))

    def index_of(self, epoch: int) -> int:
        """The variant that an epoch shows, from 1.

        Raises:
            UserError: where it is beyond what is made for a page.
        """
        index = self.before + epoch
        if index > MOST_INDEX:
            raise UserError(f"epoch {epoch:,}: needs a variant up to {MOST_INDEX:,}, is {index:,}")
        return index


def shown_by_training(planned: int) -> Shown:
    """What params.yaml says of training on the fly; `planned`: the source's stored variants."""
    params = read_params("train", TrainParams)
    return Shown(params.augmentation, planned, params.epochs)


def make(source_id: str, index: int) -> Made:
    """Variant `index` of a training source, from 1.

    Raises:
        UserError: where there is no such source, its file has changed, or it is too large.
    """
    source = _source(source_id, index)
    whole = source.offset is None or math.isnan(source.offset)
    with suppress(FileNotFoundError):  # to read it says more
        require_same_file(source.path, source.length if whole else None, CHANGED)
    of_recipes = database.state_of_files((*database.PATHS, PARAMS_FILE))
    state = (of_recipes, database.state_of_files((Path(source.path),)))
    try:
        with _making:  # a policy draws from generators of its own, which no two threads may share
            return _make(source, index, state)
    except UndecodableError as error:
        raise UserError(f"{source.path}: {error.reason}: {error}") from None


def require_same_file(path: str, length: int | None, changed: str) -> None:
    """Look at a file before it is read for a page.

    A pipe in its place would never end, and a file of gigabytes fill the memory.

    Args:
        path: of the file.
        length: in bytes; None for a container, which validated images name no length of.
        changed: the message where the file is another one, without the path.

    Raises:
        UserError: the path and `changed`.
        OSError: where there is no such file.
    """
    if machine.sources_are_remote():
        return
    facts = Path(path).stat()
    if not stat.S_ISREG(facts.st_mode) or (length is not None and facts.st_size != length):
        raise UserError(f"{path}: {changed}")


_making = threading.Lock()


@lru_cache(maxsize=32)  # a picture and its facts are asked for one after the other
def _make(source: "Source", index: int, state: tuple[Any, ...]) -> Made:
    from tasks.variants.make import draw_variant, encode_variant
    from tasks.variants.quality.measures import Baseline
    from tasks.variants.sources import read_policy_input

    recipes = _recipes(state[0])
    recipe = recipes.of(source.label)
    stored = _stored(source.source_id, index)
    notes = list(_difference_from(stored, recipe))
    baseline = Baseline(read_policy_input(source, recipe))
    seen: set[int] = set()
    if recipe.distinct:
        seen = _hashes_before(source, baseline, recipe, stored, notes)
    drawn = draw_variant(source, baseline, recipe, index, seen)
    encoded = encode_variant(source, recipe, index, drawn)
    forbidden = _equal_originals(drawn.pixel_hash, recipe, notes)
    row, data = forbidden.judge(encoded, source.label, recipes)
    return Made(row, data, notes)


def _source(source_id: str, index: int) -> "Source":
    """A training image, of which `index` variants are planned.

    Raises:
        UserError: where there is none, or it is too large.
    """
    import pandas as pd

    from tasks.variants.sources import COLUMNS, to_sources

    listed = ", ".join(f'"{name}"' for name in COLUMNS)
    found = database.select(
        f"SELECT {listed} FROM manifest "
        "WHERE source_id = ? AND status = 'ok' AND split = 'train' LIMIT 1",
        [source_id],
    )
    if not found:
        raise UserError(f"source {source_id!r}: no training image of {VALIDATED_MANIFEST}")
    (source,) = to_sources(pd.DataFrame(found), pd.Series([index]))
    if source.width * source.height > LARGEST_SOURCE:
        size = f"{source.width:,} x {source.height:,} pixels"
        need = f"needs at most {LARGEST_SOURCE:,} pixels to be varied in a page"
        raise UserError(f"source {source_id!r}: {need}, found {size}")
    return source


@lru_cache(maxsize=1)
def _recipes(state: database.State) -> "Recipes":
    """The recipes of params.yaml as it is; `state`: of it and of the manifest."""
    from tasks.variants.label_checks import check_label_rules
    from tasks.variants.recipe import Recipes, check_policies

    params = read_params("augment", AugmentParams)
    check_policies(params)
    found = database.select("SELECT DISTINCT label FROM manifest WHERE status = 'ok'")
    classes = sorted(row["label"] for row in found)
    check_label_rules(params, classes)
    return Recipes.from_params(params, read_preprocessing(), classes)


# --- what it depends on -----------------------------------------------------------------------


def _stored(source_id: str, index: int) -> list[dict[str, Any]]:
    """The ledger's rows of the variants of a source, to `index`."""
    return database.select(
        "SELECT variant_index, pixel_hash, recipe_hash FROM variants "
        "WHERE source_id = ? AND variant_index <= ? ORDER BY variant_index",
        [source_id, index],
    )


def _difference_from(stored: list[dict[str, Any]], recipe: "Recipe") -> Iterator[str]:
    """What to say where the ledger's variants are of another recipe."""
    others = sorted({row["recipe_hash"] for row in stored} - {recipe.hash})
    if others:
        theirs = f"the ledger's variants were made by recipe {', '.join(others)}"
        yield f"params.yaml now says recipe {recipe.hash}; {theirs}"


def _hashes_before(
    source: "Source",
    baseline: "Baseline",
    recipe: "Recipe",
    stored: list[dict[str, Any]],
    notes: list[str],
) -> set[int]:
    """The pixel hashes of a source and of its variants before `source.planned`.

    Those that this recipe made are taken from the ledger.
    """
    from tasks.pixels.hashing import fast_pixel_hash
    from tasks.variants.make import draw_variant

    seen = {fast_pixel_hash(baseline.pixels)}
    own = [row for row in stored if row["recipe_hash"] == recipe.hash]
    known = {row["variant_index"]: row["pixel_hash"] for row in own}
    before = range(1, source.planned)
    missing = len(set(before) - known.keys())
    make_missing = missing <= MOST_MADE
    if not make_missing:
        notes.append(
            f"{missing:,} variants before it are not stored and were not made: "
            "where one of them is equal to it, training draws it again"
        )
    for index in before:
        found = known.get(index)
        if found is None and make_missing:
            found = draw_variant(source, baseline, recipe, index, seen).pixel_hash
        seen.add(found or 0)  # 0: it was rejected, and so equals none
    return seen


def _equal_originals(pixel_hash: int, recipe: "Recipe", notes: list[str]) -> "Originals":
    """The originals that have these pixels, of those whose hash the manifest has.

    It has none of preprocessed pixels.
    """
    import numpy as np

    from tasks.pixels.hashing import to_hex
    from tasks.variants.originals import NO_ORIGINALS, Originals

    if recipe.preprocessing.preprocess:
        notes.append("whether it equals an image of another class or split is not looked up here")
        return NO_ORIGINALS
    found = database.select(
        "SELECT source_id, label, split FROM manifest WHERE pixel_xxh3 = ? AND status = 'ok'",
        [to_hex(pixel_hash)],
    )
    if not found:
        return NO_ORIGINALS
    return Originals(
        np.full(len(found), pixel_hash),
        np.array([row["label"] for row in found], object),
        np.array([row["split"] != "train" for row in found]),
        np.array([row["source_id"] for row in found]),
    )
