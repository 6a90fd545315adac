"""Read the manifests that the stages leave."""

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from tasks.common import tables
from tasks.dataset.columns import LEDGER_COLUMNS, VALIDATED_COLUMNS
from tasks.dataset.paths import LEDGER, VALIDATED_MANIFEST


def read_validated(columns: Sequence[str] = tuple(VALIDATED_COLUMNS.names)) -> pd.DataFrame:
    """The validated manifest, or some of its columns."""
    schema = pa.schema([VALIDATED_COLUMNS.field(name) for name in columns])
    return tables.read_table(VALIDATED_MANIFEST, schema, made_by="validate")


def read_ledger() -> pd.DataFrame:
    """The ledger, data/augmented/manifest.parquet."""
    return tables.read_table(LEDGER, LEDGER_COLUMNS, made_by="augment")
