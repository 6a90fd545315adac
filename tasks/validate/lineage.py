"""What belongs together: images of one group, copies of one image, images that look the same.

Nothing that belongs together is parted by a split that is made here. A split that is given may part it: a leak.
"""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tasks.validate.duplicates import KEEP_FIRST, rank


def find_clusters(rows: pd.DataFrame, near: pd.DataFrame) -> pd.Series:
    """The source_id of the first image of each cluster of images that look the same; null for one that stands alone.

    Args:
        rows: in order, indexed from 0.
        near: pairs of places in `rows`, `a` and `b`.
    """
    number = components(len(rows), near["a"].to_numpy(), near["b"].to_numpy())
    several = np.bincount(number)[number] > 1
    first = rows["source_id"].groupby(number).transform("first")
    return first.where(several, None)


def find_lineages(rows: pd.DataFrame) -> np.ndarray:
    """A number for each row: rows of one number belong together, be it by way of others.

    Args:
        rows: with `group_id`, `cluster` and `duplicate_of`.
    """
    place = pd.Series(range(len(rows)), rows["file_name"])
    copies = np.flatnonzero(rows["duplicate_of"].notna())
    originals = place[rows["duplicate_of"].iloc[copies]].to_numpy()
    edges = [(copies, originals)]
    for column in ("group_id", "cluster"):
        own = np.flatnonzero(rows[column].notna() & (rows["status"] != "quarantined"))
        first = (
            pd.Series(own).groupby(rows[column].iloc[own].to_numpy()).transform("first").to_numpy()
        )
        edges.append((own, first))
    left, right = (np.concatenate(side).astype(np.int64) for side in zip(*edges, strict=True))
    return components(len(rows), left, right)


def components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The connected component of each of `count` nodes, given edges."""
    graph = coo_array((np.ones(len(left), bool), (left, right)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def find_leaks(rows: pd.DataFrame, lineages: np.ndarray, given: pd.Series) -> pd.DataFrame:
    """The ok rows and copies whose lineage has images in a split that comes before their own in KEEP_FIRST.

    Returns:
        For each, by its place in `rows`: `split` that it was given, `other` (the file that it belongs together with)
        and `other_split`.
    """
    used = rows["status"].isin(["ok", "duplicate"]) & given.notna()
    own = pd.DataFrame(
        {"lineage": lineages, "rank": rank(given), "split": given, "file_name": rows["file_name"]},
        index=rows.index,
    )[used]
    first = own.sort_values("rank", kind="stable").groupby("lineage")[["rank", "file_name"]].first()
    best = first.loc[own["lineage"]].set_axis(own.index)
    leaked = own["rank"] > best["rank"]
    other_split = best["rank"].map(dict(enumerate(KEEP_FIRST)))
    return pd.DataFrame(
        {"split": own["split"], "other": best["file_name"], "other_split": other_split},
        index=own.index,
    )[leaked]
