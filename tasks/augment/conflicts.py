"""Leave variants out of a segment that equal another class's or a held-out original.

The private cache keeps what recipes make. What the other images of the dataset forbid is decided
here, each time that a segment is assembled: a held-out image that is new is looked at, and one that
is gone frees its variant.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.augment.segments import locations, name_of, sizes_in_tar, with_columns
from tasks.augment.tar_format import BLOCK, END
from tasks.variants.originals import Originals

OF_THE_IMAGE = ("sha256", "width", "height", "channels", "bits", "length")  # null where rejected


def find_conflicts(rows: pa.Table, originals: Originals) -> pa.Array:
    """Why each row's variant may not be written; null for most."""
    hashes, labels = rows["pixel_hash"].to_numpy(), rows["label"].to_numpy()
    written = rows["segment"].is_valid().to_numpy()
    reasons = originals.conflicts(np.where(written, hashes, 0), labels)
    return pa.array(reasons, pa.string())


def leave_out(
    rows: pa.Table, reasons: pa.Array, tar: Path
) -> tuple[str | None, list[bytes], pa.Table]:
    """A segment without the variants that have a reason.

    Args:
        rows: of the segment.
        reasons: see find_conflicts().
        tar: the whole segment.

    Returns:
        As assemble_segment(): its name, its bytes, its rows. Rows of variants that are left out
        keep their pixel hash and operations.
    """
    kept = reasons.is_null()
    columns = {name: pc.if_else(kept, rows[name], None) for name in OF_THE_IMAGE}
    columns["status"] = pc.if_else(kept, rows["status"], "rejected")
    columns["reason"] = pc.if_else(kept, rows["reason"], reasons)
    data = [*_members(tar.read_bytes(), rows, kept.to_numpy(zero_copy_only=False)), END]
    name = name_of(data) if data[:-1] else None
    rows = with_columns(rows, columns)
    return name, data, with_columns(rows, locations(rows, name))


def _members(data: bytes, rows: pa.Table, kept: np.ndarray) -> list[bytes]:
    """Those members of a tar whose rows are kept."""
    sizes = sizes_in_tar(rows)
    starts = rows["offset"].fill_null(0).to_numpy() - BLOCK
    chosen = np.flatnonzero(kept & (sizes > 0))
    return [data[starts[row] : starts[row] + sizes[row]] for row in chosen]
