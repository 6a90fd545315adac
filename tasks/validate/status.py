"""Status of each image: ok, duplicate, or quarantined for a reason.

The steps of the stage take a table with one row per listed image and return a new table; none of
them changes its input. The table has VALIDATED_COLUMNS and, until it is written, WORKING_COLUMNS.
Its index is that of the ingested manifest: 0, 1, 2, ...
"""

from typing import Any

import numpy as np
import pandas as pd

from tasks.dataset.columns import VALIDATED_COLUMNS
from tasks.dataset.selections import is_usable
from tasks.pixels.decode import MAX_PIXELS
from tasks.pixels.preprocess import Preprocessing

WORKING_COLUMNS = (
    "given_split",  # the split that folders or tables name; null where they name none
    "sample",  # what the images of one sample share, see INGESTED_COLUMNS
    "perceptual_hash",  # 16 hex digits, see measure.py
    "lineage",  # a number that images which belong together share, see lineage.py
)
TEXT_COLUMNS = {field.name: "str" for field in VALIDATED_COLUMNS if field.type == "string"}


def join_facts(listed: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """The stage's table: a row per listed image, with the facts of its bytes.

    A row has the status ok, or else quarantined with ingest's reason or the decoder's. An image
    that ingest has set aside has facts only if another listed image has the same bytes.

    Args:
        listed: the ingested manifest.
        facts: see measure.measure_all().
    """
    ingested = listed.rename(columns={"split": "given_split"}).drop(columns=["reason", "detail"])
    measured = facts.reindex(listed["sha256"]).set_axis(listed.index)
    accepted = listed["reason"].isna()
    for column in ("reason", "detail"):
        measured[column] = measured[column].where(accepted, listed[column])
    rows = pd.concat([ingested, measured], axis=1)
    rows["source_id"] = rows["sha256"].str[:16]
    rows["status"] = rows["reason"].isna().map({True: "ok", False: "quarantined"})
    return rows.reindex(columns=[*VALIDATED_COLUMNS.names, *WORKING_COLUMNS]).astype(TEXT_COLUMNS)


def quarantine_unlabelled(rows: pd.DataFrame, listed: pd.DataFrame) -> pd.DataFrame:
    """Quarantine the usable images without a label, with what ingest says about that."""
    unlabelled = rows.index[is_usable(rows) & rows["label"].isna()]
    return quarantine(rows, unlabelled, "no_label", listed["detail"])


def quarantine_unsplit(rows: pd.DataFrame) -> pd.DataFrame:
    """Quarantine the usable images without a given split, where others have one.

    Others that are about to be quarantined, for several labels of equal pixels, do not count.
    """
    unsplit = is_usable(rows) & rows["given_split"].isna()
    others = rows[is_usable(rows) & rows["given_split"].notna()]
    label_counts = others.groupby("pixel_sha256")["label"].nunique()
    return quarantine(rows, rows.index[unsplit], "no_split") if (label_counts == 1).any() else rows


def quarantine_enlarged(rows: pd.DataFrame, preprocessing: Preprocessing) -> pd.DataFrame:
    """Quarantine the usable images that would have too many pixels after preprocessing."""
    images = rows[is_usable(rows)]
    size = preprocessing.size_of(
        images["height"].to_numpy(np.int64), images["width"].to_numpy(np.int64)
    )
    too_large = size.height * size.width > MAX_PIXELS
    sizes = zip(size.width[too_large], size.height[too_large], strict=True)
    details = [
        f"{width:,} x {height:,} pixels after ingest.preprocess, over {MAX_PIXELS:,}"
        for width, height in sizes
    ]
    chosen = images.index[too_large]
    return quarantine(rows, chosen, "too_large", pd.Series(details, chosen, dtype="str"))


def quarantine(
    rows: pd.DataFrame, chosen: pd.Index, reason: str, detail: pd.Series | None = None
) -> pd.DataFrame:
    """Set the rows `chosen` aside for `reason`; without `detail` they keep the one they have."""
    details = {} if detail is None else {"detail": detail.reindex(chosen)}
    return set_values(rows, chosen, status="quarantined", reason=reason, **details)


def set_values(rows: pd.DataFrame, chosen: pd.Index, **values: Any) -> pd.DataFrame:
    """`rows` with other values in the rows `chosen`: only the columns that change are copied.

    Args:
        rows: the table.
        chosen: index labels of it.
        values: by column, one for all chosen rows or a Series with the index `chosen`.
    """
    if chosen.empty:
        return rows
    changed = {name: rows[name].copy() for name in values}
    for name, value in values.items():
        changed[name].loc[chosen] = value
    return rows.assign(**changed)
