"""Sources: the training images that are augmented, as workers need to know them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.common.errors import UserError
from tasks.dataset import image_bytes
from tasks.dataset.paths import VALIDATED_MANIFEST
from tasks.dataset.selections import usable
from tasks.pixels.convert import to_rgb
from tasks.pixels.preprocess import Preprocessing
from tasks.variants.recipe import Recipe

ROWS_AT_ONCE = 4096  # lists of all columns would take more memory than the table


class Source(NamedTuple):
    """A training image: where its bytes lie, its row of the validated manifest, and its plan."""

    path: str  # of its file, or of the container that holds it
    offset: float | None  # in the container, in bytes; null for a file of its own
    length: int  # in bytes
    source_id: str
    sha256: str
    label: str
    format: str  # Pillow's name: JPEG, PNG, ...
    width: int
    height: int
    channels: int
    bits: int
    planned: int  # how many variants are to be made of it


LOCATION = Source._fields[:3]  # what image_bytes.locate_images() gives
FACTS = Source._fields[3:-1]
# What has to be read of the validated manifest.
PIXELS = ("grey", "highest", "pixel_xxh3")
COLUMNS = ("file_name", "container", "offset", "bytes", *FACTS, *PIXELS, "split", "status")


def training_sources(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the validated manifest that are augmented, by path; their index is kept.

    Raises:
        UserError: where two of them share a source_id (64 bits of a SHA-256).
    """
    sources = usable(rows, "train")
    twins = sources[sources["source_id"].duplicated(keep=False)]
    if len(twins):
        names = " and ".join(twins["file_name"].head(2))
        need = "source_id needs to be unique"
        raise UserError(f"{VALIDATED_MANIFEST}: {need}, found one for {names}")
    return sources


def policy_input_sizes(rows: pd.DataFrame, preprocessing: Preprocessing) -> pd.DataFrame:
    """The rows with the `width` and `height` that images have after preprocessing."""
    height, width = preprocessing.size_of(
        rows["height"].to_numpy(np.int64), rows["width"].to_numpy(np.int64)
    )
    return rows.assign(height=height, width=width)


def policy_inputs(rows: pd.DataFrame, preprocessing: Preprocessing) -> pd.DataFrame:
    """The rows with what the capacity of a policy depends on: `height`, `width` and `grey`.

    `grey`: of how many equal channels an image is after preprocessing, 1 or 3; 0 where it has
    colours.
    """
    grey = rows["channels"].where(rows["grey"].astype(bool), 0)
    if any(step.grey for step in preprocessing.preprocess):
        grey = 1
    return policy_input_sizes(rows, preprocessing).assign(grey=grey)


def to_sources(rows: pd.DataFrame, counts: pd.Series) -> Iterator[Source]:
    """Each of training_sources() as a Source; `counts`: the variants planned of it."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        located = image_bytes.locate_images(rows.iloc[part])
        columns = (located[name].tolist() for name in (*LOCATION, *FACTS))
        for facts in zip(*columns, counts.iloc[part].tolist(), strict=True):
            yield Source(*facts)


def read_pixels(
    source: Source, preprocessing: Preprocessing, keep_depth: bool = False
) -> np.ndarray:
    """Decode and preprocess a source; see Preprocessing.read().

    Raises:
        UserError: where its bytes are not those that were validated.
    """
    again = "since it was validated; run from ingest again"
    try:
        data = image_bytes.read_checked(source, f"changed {again}")
    except FileNotFoundError:
        raise UserError(f"{source.path}: gone {again}") from None
    return preprocessing.read(data, keep_depth)


def read_policy_input(source: Source, recipe: Recipe) -> np.ndarray:
    """The preprocessed pixels that the policy gets.

    Grey and 16 bits stay where policy and format take them.
    """
    policy = recipe.build_policy()
    keep_depth = policy.takes_16_bits and recipe.encoding.format_for(source.format) == "png"
    pixels = read_pixels(source, recipe.preprocessing, keep_depth)
    return pixels if policy.takes_grey else to_rgb(pixels)
