"""Ingest: list every image under data/raw with the label, the split and the group that its place or a table gives it.

files      what lies under the root          folders    labels and splits from folders
tables     labels from CSV, TSV, JSONL, Parquet files and lists
tars, idx  images inside containers          sources    reading the bytes of one image, wherever it lies
memory     what an earlier run learned of files that have not changed

Nothing is opened as an image here and nothing is left out: `validate` judges.
"""

from pathlib import Path

import pyarrow as pa

RAW = Path("data/raw")
FOLDER = Path("data/ingested")
MANIFEST = FOLDER / "manifest.parquet"
FOUND = FOLDER / "found.json"  # the layout, containers and label files
COLUMNS = pa.schema(
    {
        "file_name": pa.string(),  # below data/raw, with / between its parts; in a container `shard.tar::name`
        "label": pa.string(),  # null where nothing names one
        "split": pa.string(),  # train, validation, test; null where nothing names one
        "group_id": pa.string(),  # images of one group may not be parted by a split; null: it stands alone
        "container": pa.string(),  # the file that holds the image; null for a file of its own
        "offset": pa.int64(),  # of the image in its container
        "bytes": pa.int64(),
        "sha256": pa.string(),  # of the image's bytes; null where they cannot be read
        "reason": pa.string(),  # why it cannot be used (see tasks/validate), else null
        "detail": pa.string(),
    }
)
