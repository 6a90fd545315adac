"""The ledger: for each training source a row for itself (index 0) and one for every variant planned of it."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from tasks import manifest

FOLDER = Path("data/augmented")
MANIFEST = FOLDER / "manifest.parquet"
SEGMENTS = FOLDER / "segments"
COUNTS = FOLDER / "counts.csv"
METRICS = Path("metrics/augment.json")
COLUMNS = pa.schema(
    {
        "variant_id": pa.string(),
        "source_id": pa.string(),
        "label": pa.string(),
        "split": pa.string(),  # train: no other split is augmented
        "variant_index": pa.int32(),  # 0 is the source itself
        "seed": pa.uint64(),  # of the attempt that was kept, or of the last; 0 for index 0
        "attempt": pa.int32(),  # from 0; a redraw raises it
        "recipe_hash": pa.string(),
        "operations": pa.string(),  # JSON: name and applied parameters of each
        "sha256": pa.string(),  # of the encoded bytes
        "pixel_hash": pa.int64(),  # XXH3 of a variant's pixels before encoding; 0 where `distinct` did not ask
        "width": pa.int32(),
        "height": pa.int32(),
        "channels": pa.int8(),  # 1: grey, 3: RGB
        "bits": pa.int8(),  # of a sample, 8 or 16: a variant has its source's where policy and format allow
        "segment": pa.string(),  # file name below data/augmented/segments; null for index 0
        "offset": pa.int64(),  # of the image's first byte in the segment
        "length": pa.int64(),  # in bytes
        "status": pa.string(),  # written, rejected
        "reason": pa.string(),  # not_distinct, failed: ...
    }
)


def read() -> pd.DataFrame:
    """The ledger of data/augmented."""
    return manifest.read_table(MANIFEST, COLUMNS, made_by="augment")
