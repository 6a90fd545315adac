"""Which images are augmented."""

from collections.abc import Iterator

import pandas as pd

from tasks.common.errors import UserError
from tasks.dataset import image_bytes
from tasks.dataset.paths import VALIDATED_MANIFEST
from tasks.variants.make import Source

PLACE = ("path", "offset", "length")  # of sources.locate()
FACTS = ("source_id", "sha256", "label", "format", "width", "height", "channels", "bits")
COLUMNS = (
    "file_name",
    "container",
    "offset",
    "bytes",
    *FACTS,
    "split",
    "status",
)  # of the validated manifest
ROWS_AT_ONCE = 4096  # lists of all columns would take more memory than the table


def training_sources(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the validated manifest that are augmented, in order of their paths; their index is kept.

    Raises:
        UserError: where two of them share a source_id (64 bits of a SHA-256).
    """
    sources = rows[(rows["status"] == "ok") & (rows["split"] == "train")]
    twins = sources[sources["source_id"].duplicated(keep=False)]
    if len(twins):
        names = " and ".join(twins["file_name"].head(2))
        raise UserError(
            f"{VALIDATED_MANIFEST}: source_id needs to be unique, found one for {names}"
        )
    return sources


def to_sources(rows: pd.DataFrame, counts: pd.Series) -> Iterator[Source]:
    """What the workers need to know of each training row."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        located = image_bytes.locate(rows.iloc[some])
        columns = (located[fact].tolist() for fact in (*PLACE, *FACTS))
        for facts in zip(*columns, counts.iloc[some].tolist(), strict=True):
            yield Source(*facts)
