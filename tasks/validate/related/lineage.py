"""Lineages: images that belong together: copies, look-alikes, those of one group or one sample.

A split that is made here never parts a lineage. A given split may part one: that is leakage.
"""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tasks.dataset.selections import is_usable
from tasks.validate.related.duplicates import KEEP_FIRST, split_rank
from tasks.validate.status import quarantine


def add_lineages(rows: pd.DataFrame, near: pd.DataFrame) -> pd.DataFrame:
    """Give each row its `cluster` and its `lineage`.

    Args:
        rows: the table, indexed from 0.
        near: pairs of rows that look the same, `a` and `b`.
    """
    clustered = rows.assign(cluster=find_clusters(rows, near))
    return clustered.assign(lineage=find_lineages(clustered))


def find_clusters(rows: pd.DataFrame, near: pd.DataFrame) -> pd.Series:
    """The source_id of the first image of each cluster of look-alikes; null for a single image.

    Args:
        rows: in order, indexed from 0.
        near: pairs of positions in `rows`, `a` and `b`.
    """
    number = components(len(rows), near["a"].to_numpy(), near["b"].to_numpy())
    several = np.bincount(number)[number] > 1
    first = rows["source_id"].groupby(number).transform("first")
    return first.where(several, None)


def find_lineages(rows: pd.DataFrame) -> np.ndarray:
    """The number of each row's lineage: rows belong together directly or by way of others.

    Args:
        rows: with `file_name`, `status`, `group_id`, `cluster` and `duplicate_of`; and `sample`,
            which the written manifest lacks.

    Returns:
        int32 (rows,), from 0.
    """
    position = pd.Series(range(len(rows)), rows["file_name"])
    copies = np.flatnonzero(rows["duplicate_of"].notna())
    originals = position[rows["duplicate_of"].iloc[copies]].to_numpy()
    lefts, rights = [copies], [originals]
    for column in rows.columns.intersection(["group_id", "sample", "cluster"]):
        members = np.flatnonzero(rows[column].notna() & (rows["status"] != "quarantined"))
        values = rows[column].iloc[members].to_numpy()
        lefts.append(members)
        rights.append(pd.Series(members).groupby(values).transform("first").to_numpy())
    left, right = np.concatenate(lefts), np.concatenate(rights)
    return components(len(rows), left.astype(np.int64), right.astype(np.int64))


def components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The connected component of each of `count` nodes, given edges."""
    graph = coo_array((np.ones(len(left), bool), (left, right)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def find_leaks(rows: pd.DataFrame) -> pd.DataFrame:
    """Usable images and copies whose lineage also has images in a split that matters more.

    KEEP_FIRST is the order in which splits matter: an image of train leaks if its lineage has an
    image in test or validation, one of validation if it has one in test.

    Args:
        rows: the table with `given_split` and `lineage`.

    Returns:
        A row for each leaked image, with its index in `rows`: `split` (the given one), `other` (the
        file name of the first image in the split that matters most) and `other_split`.
    """
    used = rows[rows["status"].isin(["ok", "duplicate"]) & rows["given_split"].notna()]
    ranked = used.assign(rank=split_rank(used["given_split"]))
    by_lineage = ranked.sort_values("rank", kind="stable").groupby("lineage")
    first = by_lineage[["rank", "file_name"]].first()
    best = first.loc[ranked["lineage"]].set_axis(ranked.index)
    leaks = pd.DataFrame(
        {
            "split": ranked["given_split"],
            "other": best["file_name"],
            "other_split": best["rank"].map(dict(enumerate(KEEP_FIRST))),
        }
    )
    return leaks[ranked["rank"] > best["rank"]]


def drop_leaks(rows: pd.DataFrame, leaks: pd.DataFrame) -> pd.DataFrame:
    """Quarantine the usable images among `leaks`, which find_leaks() found."""
    dropped = leaks.index[is_usable(rows.loc[leaks.index])]
    return quarantine(rows, dropped, "leak", "belongs together with " + leaks["other"])
