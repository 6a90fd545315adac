"""Validate: decode every image once, set aside what cannot be used and say why, and split what is left.

look         what decoding one image tells         lineage    what belongs together, and where that leaks
duplicates   equal bytes, equal pixels             split      train, validation, test
near         images that look the same             checks     classes and images far from the rest
page         data/validated/report.html

Every image that ingest listed leaves with one status:

    ok            an image with a label and a split
    duplicate     its pixels stand in an `ok` row with the same label already (`duplicate_of` names it)
    quarantined   `reason` says why: see REASONS
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tasks import images, manifest

FOLDER = Path("data/validated")
MANIFEST = FOLDER / "manifest.parquet"
METRICS = Path("metrics/validate.json")
PAGE = FOLDER / "report.html"
COLUMNS = pa.schema(
    {
        "source_id": pa.string(),  # first 16 hex digits of sha256; unique among the ok rows
        "sha256": pa.string(),  # of the file's bytes
        "pixel_sha256": pa.string(),  # of the decoded pixels
        "file_name": pa.string(),
        "label": pa.string(),
        "split": pa.string(),  # null unless status is ok
        "group_id": pa.string(),  # what may not be parted by a split; null where each image stands alone
        "cluster": pa.string(),  # source_id of the first of the images that look the same; null: no other does
        "container": pa.string(),  # the file that holds the image; null for a file of its own
        "offset": pa.int64(),  # in the container
        "bytes": pa.int64(),
        "format": pa.string(),  # Pillow's name: JPEG, PNG, ...
        "width": pa.int32(),  # upright, in pixels
        "height": pa.int32(),
        "channels": pa.int8(),  # 1: grey, 3: RGB, as decoded
        "bits": pa.int8(),  # of a sample, 8 or 16
        "brightness": pa.float32(),  # mean of the grey levels, 0..255
        "contrast": pa.float32(),  # their standard deviation
        "sharpness": pa.float32(),  # variance of their Laplacian, see look.py
        "status": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),  # the decoder's own words
        "duplicate_of": pa.string(),  # file_name
    }
)
REASONS = {
    "unreadable": "the file cannot be read",
    "not_an_image": "no decoder knows the bytes",
    "corrupt": "the decoder failed on the bytes",
    "too_large": f"over {images.MAX_PIXELS:,} pixels, or a file over 1 GiB",
    "no_label": "nothing names its class: it lies outside any class folder, or in no table",
    "no_split": "nothing names its split, beside others that have one",
    "label_conflict": "the same pixels, or the same file in a table, have another label too",
    "leak": "it belongs together with an image of a split that training must not know (validate.on_leak)",
}
SPLITS = ("train", "validation", "test")


def read(columns: Sequence[str] = tuple(COLUMNS.names)) -> pd.DataFrame:
    """The validated manifest, or some of its columns."""
    schema = pa.schema([COLUMNS.field(name) for name in columns])
    return manifest.read_table(MANIFEST, schema, made_by="validate")
