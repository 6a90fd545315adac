"""Read the manifests that the stages leave, and how their images are preprocessed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS, VALIDATED_COLUMNS
from tasks.dataset.paths import LEDGER, VALIDATED_MANIFEST
from tasks.pixels.preprocess import Preprocessing

PREPROCESSING = "preprocessing"  # the key in a manifest's metadata


def read_validated(columns: Sequence[str] = tuple(VALIDATED_COLUMNS.names)) -> pd.DataFrame:
    """The validated manifest, or some of its columns."""
    schema = pa.schema([VALIDATED_COLUMNS.field(name) for name in columns])
    return tables.read_table(VALIDATED_MANIFEST, schema, made_by="validate")


def read_ledger() -> pd.DataFrame:
    """The ledger, data/augmented/manifest.parquet."""
    return tables.read_table(LEDGER, LEDGER_COLUMNS, made_by="augment")


def preprocessing_metadata(preprocessing: Preprocessing) -> dict[str, str]:
    """The metadata by which a manifest carries how its images are preprocessed."""
    return {PREPROCESSING: json.dumps(preprocessing.to_json(), sort_keys=True)}


def read_preprocessing(manifest: Path | IO[bytes] = VALIDATED_MANIFEST) -> Preprocessing:
    """How the images of an ingested or validated manifest, which has to exist, are preprocessed."""
    metadata = pq.read_schema(manifest).metadata or {}
    return Preprocessing.model_validate_json(metadata.get(PREPROCESSING.encode(), b"{}"))
