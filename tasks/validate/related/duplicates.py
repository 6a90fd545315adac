"""Duplicates: images of equal pixels. One stays usable; under several labels none does."""

import pandas as pd

from tasks.dataset.selections import quarantined, usable
from tasks.validate.status import quarantine, set_values

KEEP_FIRST = ("test", "validation", "train")  # the split whose copy stays


def mark_duplicates(rows: pd.DataFrame) -> pd.DataFrame:
    """Quarantine equal pixels under several labels; of those under one label keep one row ok.

    The copy that stays is the one in test before validation before train, then the first in order.
    """
    return mark_copies(quarantine_conflicts(rows))


def quarantine_conflicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Quarantine usable images of equal pixels and several labels: nobody knows which is right."""
    candidates = usable(rows)
    label_counts = candidates.groupby("pixel_sha256")["label"].transform("nunique")
    conflicts = candidates[label_counts > 1]
    details = conflicts.groupby("pixel_sha256")["label"].agg(_list_labels)
    return quarantine(
        rows, conflicts.index, "label_conflict", conflicts["pixel_sha256"].map(details)
    )


def _list_labels(labels: pd.Series) -> str:
    return "labelled " + " and ".join(sorted(set(labels)))


def mark_copies(rows: pd.DataFrame) -> pd.DataFrame:
    """Of usable images with equal pixels give all but one the status duplicate."""
    candidates = usable(rows)
    ordered = candidates.loc[split_rank(candidates["given_split"]).sort_values(kind="stable").index]
    kept = ordered.groupby("pixel_sha256")["file_name"].transform("first")
    copies = ordered.index[kept != ordered["file_name"]]
    return set_values(rows, copies, status="duplicate", duplicate_of=kept[copies])


def quarantine_copies(rows: pd.DataFrame) -> pd.DataFrame:
    """Quarantine the duplicates of images that were quarantined since, for the same reason."""
    copies = rows[rows["status"] == "duplicate"]
    originals = rows.set_index("file_name").loc[copies["duplicate_of"]].set_axis(copies.index)
    dropped = quarantined(originals)
    return quarantine(rows, dropped.index, dropped["reason"], dropped["detail"])


def split_rank(splits: pd.Series) -> pd.Series:
    """The position of each split in KEEP_FIRST; no split comes last."""
    positions = {split: position for position, split in enumerate(KEEP_FIRST)}
    return splits.map(positions).fillna(len(KEEP_FIRST))


def list_pairs(rows: pd.DataFrame, near: pd.DataFrame, leaks: pd.DataFrame) -> pd.DataFrame:
    """Every pair of images that belong together, a line each.

    These are: a duplicate and its original, images of equal pixels and two labels, images that look
    the same, and a leaked image with an image of its group, unless the two are one of the former.

    Args:
        rows: the table after all steps.
        near: pairs of index labels of `rows`, and their kind; see near_duplicates.py.
        leaks: see lineage.find_leaks().

    Returns:
        `kind` (bytes, pixels, near, mirrored, turned, group); `file_name`, `label`, `split` (the
        given one) and `status` (for a quarantined image its reason); and the same of the other
        image of the pair: `other` (its file name), `other_label`, `other_split`, `other_status`.
    """
    position = pd.Series(rows.index, rows["file_name"])
    grouped = pd.DataFrame({"a": leaks.index, "b": position[leaks["other"]].to_numpy()})
    pairs = pd.concat([_equal_pairs(rows, position), near[["a", "b", "kind"]]], ignore_index=True)
    listed = set(_unordered(pairs))
    new = [pair not in listed for pair in _unordered(grouped)]
    pairs = pd.concat([pairs, grouped.assign(kind="group")[new]], ignore_index=True)
    first, second = _describe(rows, pairs["a"]), _describe(rows, pairs["b"])
    equal = (first["sha256"] == second["sha256"]).map({True: "bytes", False: "pixels"})
    return pd.DataFrame(
        {
            "kind": pairs["kind"].where(pairs["kind"].notna(), equal),
            "file_name": first["file_name"],
            "label": first["label"],
            "split": first["given_split"],
            "status": first["verdict"],
            "other": second["file_name"],
            "other_label": second["label"],
            "other_split": second["given_split"],
            "other_status": second["verdict"],
        }
    )


def _equal_pairs(rows: pd.DataFrame, position: pd.Series) -> pd.DataFrame:
    """Index labels `a`, `b` of each duplicate and its original, then of each label conflict.

    Args:
        rows: the table.
        position: the index label of each file name.
    """
    copies = rows["duplicate_of"].dropna()
    conflicts = rows[rows["reason"].eq("label_conflict") & rows["pixel_sha256"].notna()]
    first = conflicts.groupby("pixel_sha256")["file_name"].transform("first")
    others = first[first != conflicts["file_name"]]
    partners = pd.concat([copies, others])
    return pd.DataFrame({"a": partners.index, "b": position[partners].to_numpy()})


def _unordered(pairs: pd.DataFrame) -> list[frozenset[int]]:
    return [frozenset(pair) for pair in zip(pairs["a"], pairs["b"], strict=True)]


def _describe(rows: pd.DataFrame, chosen: pd.Series) -> pd.DataFrame:
    """The chosen rows, in order, with their status or, if quarantined, the reason."""
    found = rows.loc[chosen].reset_index(drop=True)
    return found.assign(verdict=found["status"].where(found["reason"].isna(), found["reason"]))
