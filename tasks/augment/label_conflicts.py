"""Find variants that are equal under two labels: training would see one image as two classes."""

from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

COLUMNS = ["variant_id", "label", "pixel_hash", "variant_index", "status"]


class LabelConflicts(NamedTuple):
    """How many written variants equal one of another class, and two such, with their labels."""

    variants: int
    example: list[tuple[str, str]]

    def warning(self) -> str:
        """One line for people, with what helps."""
        (first, label), (second, other) = self.example
        return (
            f"{self.variants:,} variants are equal to a variant of another class, as {first} "
            f"({label}) and {second} ({other}): training sees one image under two labels; in "
            f"augment.per_class, {label!r} can have a policy without the step that does it"
        )


def find_label_conflicts(ledger: Path) -> LabelConflicts | None:
    """Compare the pixels of all written variants of a ledger by their hashes."""
    rows = pq.read_table(ledger, columns=COLUMNS[1:], read_dictionary=["label", "status"])
    rows = rows.to_pandas()
    written = rows[(rows["variant_index"] > 0) & (rows["status"] == "written")]
    images = written[["pixel_hash", "label"]].drop_duplicates()
    twice = images["pixel_hash"][images["pixel_hash"].duplicated()]
    if twice.empty:
        return None
    found = written[written["pixel_hash"].isin(twice)]
    pair = found[found["pixel_hash"] == found["pixel_hash"].iloc[0]].drop_duplicates("label")[:2]
    ids = pq.read_table(ledger, columns=["variant_id"])["variant_id"]
    example = [(ids[row].as_py(), label) for row, label in pair["label"].items()]
    return LabelConflicts(len(found), example)
