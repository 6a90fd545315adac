"""Variants against all other images: what may not be written, and equal variants of two classes.

The private cache keeps what recipes make. What the other images of the dataset forbid is left out
here, each time that a segment is assembled: a held-out image that is new is looked at, and one that
is gone frees its variant. Variants that are equal under two labels are written, and told. The label
of a variant is what it shows: a flipped left arrow may equal an original that points right.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.augment.segments import offsets_in_tar, sizes_in_tar, with_columns
from tasks.augment.tar_format import BLOCK
from tasks.common.texts import counted
from tasks.variants.make import OF_THE_IMAGE
from tasks.variants.originals import Originals

COMPARED = ["label", "source_label", "pixel_hash", "variant_index", "status"]


def find_conflicts(rows: pa.Table, originals: Originals) -> pa.Array:
    """Why each row's variant may not be written; null for most."""
    hashes, labels = rows["pixel_hash"].to_numpy(), rows["label"].to_numpy()
    written = rows["offset"].is_valid().to_numpy()
    reasons = originals.conflicts(np.where(written, hashes, 0), labels)
    return pa.array(reasons, pa.string())


def leave_out(rows: pa.Table, reasons: pa.Array) -> pa.Table:
    """The rows of a segment without the variants that have a reason, see find_conflicts().

    Rows of variants that are left out keep their pixel hash and operations.
    """
    kept = reasons.is_null()
    columns = {name: pc.if_else(kept, rows[name], None) for name in OF_THE_IMAGE}
    columns["status"] = pc.if_else(kept, rows["status"], "rejected")
    columns["reason"] = pc.if_else(kept, rows["reason"], reasons)
    rows = with_columns(rows, columns)
    return with_columns(rows, {"offset": offsets_in_tar(rows)})


def kept_members(rows: pa.Table, reasons: pa.Array) -> list[tuple[int, int]]:
    """Those members of a segment's tar that have no reason, by where they start and their size."""
    sizes = sizes_in_tar(rows)
    starts = rows["offset"].fill_null(0).to_numpy() - BLOCK
    kept = reasons.is_null().to_numpy(zero_copy_only=False) & (sizes > 0)
    return list(zip(starts[kept].tolist(), sizes[kept].tolist(), strict=True))


class LabelConflicts(NamedTuple):
    """How many written variants equal one of another class, and two such, with their labels.

    `source_label`: the class of the first one's source.
    """

    variants: int
    example: list[tuple[str, str]]
    source_label: str

    def warning(self) -> str:
        """One line for people, with what helps."""
        (first, label), (second, other) = self.example
        return (
            f"{counted(self.variants, 'variant is', 'variants are')} equal to a variant of another "
            f"class, as {first} ({label}) and {second} ({other}): "
            "training sees one image under two labels; "
            f"in augment.per_class, {self.source_label!r} can have a policy without the step that "
            "does it"
        )


def find_label_conflicts(ledger: Path) -> LabelConflicts | None:
    """Compare the pixels of all written variants of a ledger by their hashes."""
    rows = pq.read_table(
        ledger, columns=COMPARED, read_dictionary=["label", "source_label", "status"]
    )
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
    return LabelConflicts(len(found), example, str(pair["source_label"].iloc[0]))
