"""The accounts: the ledger's rows, and what they say was written."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.dataset.columns import LEDGER_COLUMNS
from tasks.variants.make import Source, Variant, variant_id


def rows_of(expanded: Iterable[tuple[Source, list[Variant]]]) -> pa.Table:
    """The ledger's rows of sources and their variants; labels and places are still to come."""
    rows: list[dict[str, Any]] = []
    for source, variants in expanded:
        rows.append(_source_row(source))
        rows += [variant.row for variant in variants]
    return pa.Table.from_pylist(rows, schema=LEDGER_COLUMNS)


def _source_row(source: Source) -> dict[str, Any]:
    return {
        "variant_id": variant_id(source.source_id, 0),
        "source_id": source.source_id,
        "variant_index": 0,
        "seed": 0,
        "attempt": 0,
        "operations": "[]",
        "pixel_hash": 0,
        "sha256": source.sha256,
        "width": source.width,
        "height": source.height,
        "channels": source.channels,
        "bits": source.bits,
        "status": "written",
    }


def written_of(rows: pa.Table) -> np.ndarray:
    """How many variants of each source were written: int64, in the order of the sources in `rows`."""
    index = rows["variant_index"].to_numpy()
    written = (index > 0) & rows["segment"].is_valid().to_numpy()
    return np.add.reduceat(written, np.flatnonzero(index == 0), dtype=np.int64)
