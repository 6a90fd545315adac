"""Equal bytes and equal pixels: one stays. Under different labels none does: nobody knows which is right."""

import pandas as pd

KEEP_FIRST = ("test", "validation", "train")  # which copy of a duplicate stays


def mark_duplicates(rows: pd.DataFrame) -> None:
    """Of equal pixels under one label keep one row `ok`; under several labels quarantine them all. In place.

    The copy that stays is the one in test before validation before train, then the first in order.
    """
    usable = rows[rows["status"] == "ok"]
    labels = usable.groupby("pixel_sha256")["label"].transform("nunique")
    conflicts = usable.index[labels > 1]
    rows.loc[conflicts, ["status", "reason"]] = ["quarantined", "label_conflict"]
    for _, own in usable.loc[conflicts].groupby("pixel_sha256"):
        rows.loc[own.index, "detail"] = "labelled " + " and ".join(sorted(set(own["label"])))

    usable = usable.drop(conflicts)
    ordered = usable.loc[rank(usable["split"]).sort_values(kind="stable").index]
    kept = ordered.groupby("pixel_sha256")["file_name"].transform("first")
    copies = ordered.index[kept != ordered["file_name"]]
    rows.loc[copies, "status"] = "duplicate"
    rows.loc[copies, "duplicate_of"] = kept[copies]


def follow_originals(rows: pd.DataFrame) -> None:
    """A copy of what is not used after all is not used for the same reason. In place."""
    copies = rows.index[rows["status"] == "duplicate"]
    originals = rows.set_index("file_name").loc[
        rows.loc[copies, "duplicate_of"], ["status", "reason", "detail"]
    ]
    dropped = (originals["status"] == "quarantined").to_numpy()
    for column in ("status", "reason", "detail"):
        rows.loc[copies[dropped], column] = originals.loc[dropped, column].to_numpy()


def rank(splits: pd.Series) -> pd.Series:
    """The place of each split in KEEP_FIRST; none comes last."""
    return splits.map({split: place for place, split in enumerate(KEEP_FIRST)}).fillna(
        len(KEEP_FIRST)
    )


def list_duplicates(
    rows: pd.DataFrame, near: pd.DataFrame, leaks: pd.DataFrame, given: pd.Series
) -> pd.DataFrame:
    """A line for each pair that belongs together: a copy and its original, images that look the same, leaks by a group.

    Columns: `kind` (bytes, pixels, near, group), and of both, of the second with `other_` in front: `file_name`
    (`other`), `label`, `split` (that it came with), `status` (or the reason for its quarantine).

    Args:
        rows: with their statuses.
        near: pairs of places in `rows`, `a` and `b`, that look the same.
        leaks: see lineage.find_leaks().
        given: the split that each row came with.
    """
    place = pd.Series(range(len(rows)), rows["file_name"])
    copies = rows.index[rows["duplicate_of"].notna()]
    exact = pd.DataFrame({"a": copies, "b": place[rows.loc[copies, "duplicate_of"]].to_numpy()})
    conflicts = rows[rows["reason"].eq("label_conflict") & rows["pixel_sha256"].notna()]
    first = conflicts.groupby("pixel_sha256")["file_name"].transform("first")
    others = conflicts.index[first != conflicts["file_name"]]
    exact = pd.concat([exact, pd.DataFrame({"a": others, "b": place[first[others]].to_numpy()})])
    pairs = pd.concat([exact, near[["a", "b"]].assign(kind="near")], ignore_index=True)
    by_group = pd.DataFrame(
        {"a": leaks.index, "b": place[leaks["other"]].to_numpy(), "kind": "group"}
    )
    told = {frozenset(pair) for pair in zip(pairs["a"], pairs["b"], strict=True)}
    new = [frozenset(pair) not in told for pair in zip(by_group["a"], by_group["b"], strict=True)]
    pairs = pd.concat([pairs, by_group[new]], ignore_index=True)
    a, b = rows.loc[pairs["a"]].reset_index(drop=True), rows.loc[pairs["b"]].reset_index(drop=True)
    equal = (a["sha256"] == b["sha256"]).map({True: "bytes", False: "pixels"})
    return pd.DataFrame(
        {
            "kind": pairs["kind"].where(pairs["kind"].notna(), equal),
            "file_name": a["file_name"],
            "label": a["label"],
            "split": given.loc[pairs["a"]].to_numpy(),
            "status": a["status"].where(a["reason"].isna(), a["reason"]),
            "other": b["file_name"],
            "other_label": b["label"],
            "other_split": given.loc[pairs["b"]].to_numpy(),
            "other_status": b["status"].where(b["reason"].isna(), b["reason"]),
        }
    )
