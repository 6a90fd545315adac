"""What augmentation did to the images: measures of all variants, by class and operation, the worst.

A ledger may have millions of rows: of each only what is needed is read, part by part.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tasks.dataset.columns import MEASURES

# What an untouched variant has. Where it is 0 the highest value is the worst, else the lowest.
UNTOUCHED = {
    "border": 0.0,
    "kept": 1.0,
    "clipped_low": 0.0,
    "clipped_high": 0.0,
    "sharpness": 1.0,
    "contrast": 1.0,
    "similarity": 1.0,
    "encoding_psnr": math.inf,
}
UNCHANGED = "none"  # as the operation of variants to which none was applied
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Measured(NamedTuple):
    """The measures of the written variants of a ledger.

    `rows`: source_label (a category) and MEASURES, null where not known; its index is the row's
    number in the ledger. `operations`: `row`, such a number, and `name` (a category): a line for
    each operation of a variant, however often it was applied, and one of UNCHANGED where none was.
    """

    rows: pd.DataFrame
    operations: pd.DataFrame

    @property
    def uses(self) -> pd.Series:
        """How many variants each operation was applied to, by name."""
        counts = self.operations["name"].value_counts()
        return counts.set_axis(counts.index.astype(str)).sort_index()

    @property
    def known(self) -> list[str]:
        """The measures that any variant has."""
        return [name for name in MEASURES if self.rows[name].notna().any()]

    def by_class(self, measure: str) -> pd.DataFrame:
        """The quantiles of a measure in each class of sources, see quantiles()."""
        return quantiles(self.rows[measure], self.rows["source_label"])

    def by_operation(self, measure: str) -> pd.DataFrame:
        """The quantiles of a measure over the variants of each operation, see quantiles()."""
        values = self.rows[measure].reindex(self.operations["row"]).reset_index(drop=True)
        return quantiles(values, self.operations["name"])

    def worst_rows(self, count: int) -> dict[str, list[int]]:
        """Of each measure the numbers of its worst() variants; without measures that have none."""
        found = {name: self.worst(name, count).index.tolist() for name in self.known}
        return {name: rows for name, rows in found.items() if rows}

    def worst(self, measure: str, count: int) -> pd.Series:
        """At most so many values of a measure, the worst first, of those worse than untouched."""
        values = self.rows[measure].dropna()
        if high_is_worst(measure):
            return values[values > UNTOUCHED[measure]].nlargest(count)
        return values[values < UNTOUCHED[measure]].nsmallest(count)


def high_is_worst(measure: str) -> bool:
    """Whether the highest value of a measure is the worst, not the lowest."""
    return UNTOUCHED[measure] == 0


def quantiles(values: pd.Series, groups: pd.Series) -> pd.DataFrame:
    """QUANTILES of the values in each group that has any: a row for each, a column for each."""
    known = values.notna()
    found = values[known].groupby(groups[known], observed=True, sort=False)
    table = found.quantile(list(QUANTILES)).unstack()
    return table.set_axis(table.index.astype(str)).sort_index()  # not in the order of categories


def read_measured(ledger: Path) -> Measured:
    """Read the measures of a ledger, which has to exist."""
    columns = ["source_label", "variant_index", "status", "operations", *MEASURES]
    rows, operations, start = [], [], 0
    with pq.ParquetFile(ledger) as file:
        for batch in file.iter_batches(columns=columns):
            table = pa.Table.from_batches([batch])
            numbers = pa.array(np.arange(start, start + len(batch)))
            start += len(batch)
            written = table.append_column("row", numbers).filter(is_written(table))
            rows.append(written.drop_columns(["variant_index", "status", "operations"]))
            operations.append(operations_of(written["operations"], written["row"]))
    named = pa.concat_tables(operations).unify_dictionaries().to_pandas()
    table = pa.concat_tables(rows)
    label = table["source_label"].combine_chunks().dictionary_encode()
    table = table.set_column(table.schema.get_field_index("source_label"), "source_label", label)
    return Measured(table.to_pandas().set_index("row"), named)


def is_written(table: pa.Table) -> pa.Array:
    """Which rows of a ledger are variants that were written, by `variant_index` and `status`."""
    new = pc.greater(table["variant_index"], 0)
    return pc.and_(new, pc.equal(table["status"], "written"))


def operations_of(operations: pa.ChunkedArray, rows: pa.ChunkedArray) -> pa.Table:
    """The names in texts of `operations`: row and name (a dictionary), each once for each row.

    The JSON is not parsed, which would take longer than all else: a name follows `"name":"`.
    """
    pieces = pc.split_pattern(operations.combine_chunks(), '"name":"')
    # what comes before a row's first name has none, and is all there is where nothing was applied
    found = pc.extract_regex(pc.list_flatten(pieces), r'^(?P<name>\w+)"')
    names = pc.struct_field(found, "name")
    unchanged = pc.equal(pc.list_value_length(pieces), 1)
    owner = pc.list_parent_indices(pieces)
    names = pc.if_else(unchanged.take(owner), UNCHANGED, names)
    table = pa.table({"row": rows.combine_chunks().take(owner), "name": names})
    named = table.filter(names.is_valid())
    once = named.group_by(["row", "name"], use_threads=False).aggregate([])
    return once.set_column(1, "name", once["name"].combine_chunks().dictionary_encode())


def read_rows(ledger: Path, rows: Sequence[int], columns: list[str]) -> pd.DataFrame:
    """Some rows of a ledger, in the order of their numbers as given."""
    return ds.dataset(ledger).take(pa.array(rows, pa.int64()), columns=columns).to_pandas()


def read_medians(ledger: Path) -> dict[str, float]:
    """The median of each measure over the written variants, to 4 decimals; of those known."""
    table = pq.read_table(ledger, columns=["variant_index", "status", *MEASURES])
    values = table.filter(is_written(table)).select(list(MEASURES)).to_pandas()
    medians = values.astype(float).median().dropna()
    return {str(name): round(float(value), 4) for name, value in medians.items()}
