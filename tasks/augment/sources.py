"""Which images are augmented."""

import pandas as pd

from tasks import ingest, validate
from tasks.augment.variants import Source
from tasks.errors import UserError


def training_sources(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the validated manifest that are augmented, in order of their paths.

    Raises:
        UserError: where two of them share a source_id (64 bits of a SHA-256).
    """
    sources = rows[(rows["status"] == "ok") & (rows["split"] == "train")].reset_index(drop=True)
    twins = sources[sources["source_id"].duplicated(keep=False)]
    if len(twins):
        names = " and ".join(twins["file_name"].head(2))
        raise UserError(f"{validate.MANIFEST}: source_id needs to be unique, found one for {names}")
    return sources


def to_sources(rows: pd.DataFrame, counts: pd.Series) -> list[Source]:
    """What the workers need to know of each training row."""
    columns = (rows[name] for name in ("file_name", "source_id", "sha256", "pixel_sha256", "format"))
    return [
        Source(ingest.RAW / name, source_id, sha256, pixel_sha256, kind, int(planned))
        for name, source_id, sha256, pixel_sha256, kind, planned in zip(*columns, counts, strict=True)
    ]
