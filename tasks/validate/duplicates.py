"""Equal bytes and equal pixels: one stays. Under different labels none does: nobody knows which is right."""

import pandas as pd

KEEP_FIRST = ("test", "validation", "train")  # which copy of a duplicate stays
COLUMNS = ["kind", "file_name", "label", "split", "other", "other_label", "other_split", "outcome"]


def mark_duplicates(rows: pd.DataFrame) -> None:
    """Of equal pixels under one label keep one row `ok`; under several labels quarantine them all. In place.

    The copy that stays is the one in test before validation before train, then the first in order.
    """
    usable = rows[rows["status"] == "ok"]
    labels = usable.groupby("pixel_sha256")["label"].transform("nunique")
    conflicts = usable.index[labels > 1]
    rows.loc[conflicts, ["status", "reason"]] = ["quarantined", "label_conflict"]

    usable = usable.drop(conflicts)
    ordered = usable.loc[rank(usable["split"]).sort_values(kind="stable").index]
    kept = ordered.groupby("pixel_sha256")["file_name"].transform("first")
    copies = ordered.index[kept != ordered["file_name"]]
    rows.loc[copies, "status"] = "duplicate"
    rows.loc[copies, "duplicate_of"] = kept[copies]


def rank(splits: pd.Series) -> pd.Series:
    """The place of each split in KEEP_FIRST; none comes last."""
    return splits.map({split: place for place, split in enumerate(KEEP_FIRST)}).fillna(len(KEEP_FIRST))


def list_duplicates(rows: pd.DataFrame, near: pd.DataFrame, given: pd.Series) -> pd.DataFrame:
    """A line for each copy and what it is a copy of, with COLUMNS; `kind` is bytes, pixels or near.

    Args:
        rows: with their statuses.
        near: pairs of places in `rows`, `a` and `b`, that look the same.
        given: the split that each row came with.
    """
    place = pd.Series(range(len(rows)), rows["file_name"])
    copies = rows.index[rows["status"] == "duplicate"]
    exact = pd.DataFrame({"a": copies, "b": place[rows.loc[copies, "duplicate_of"]].to_numpy()})
    conflicts = rows[rows["reason"].eq("label_conflict") & rows["pixel_sha256"].notna()]
    first = conflicts.groupby("pixel_sha256")["file_name"].transform("first")
    others = conflicts.index[first != conflicts["file_name"]]
    exact = pd.concat([exact, pd.DataFrame({"a": others, "b": place[first[others]].to_numpy()})])
    pairs = pd.concat([exact, near[["a", "b"]].assign(kind="near")], ignore_index=True)
    a, b = rows.loc[pairs["a"]].reset_index(drop=True), rows.loc[pairs["b"]].reset_index(drop=True)
    equal = (a["sha256"] == b["sha256"]).map({True: "bytes", False: "pixels"})
    return pd.DataFrame(
        {
            "kind": pairs["kind"].where(pairs["kind"].notna(), equal),
            "file_name": a["file_name"],
            "label": a["label"],
            "split": given.loc[pairs["a"]].to_numpy(),
            "other": b["file_name"],
            "other_label": b["label"],
            "other_split": given.loc[pairs["b"]].to_numpy(),
            "outcome": a["status"].where(a["reason"].isna(), a["reason"]),
        }
    )
