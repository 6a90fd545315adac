"""Selections of manifest rows: usable images, originals, variants, classes, examples to show."""

import pandas as pd


def is_usable(rows: pd.DataFrame) -> pd.Series:
    """Which rows of the validated manifest have an image that can be used: bool (rows,)."""
    return rows["status"] == "ok"


def usable(rows: pd.DataFrame, split: str | None = None) -> pd.DataFrame:
    """The rows of the validated manifest whose image can be used, of one split or of all."""
    chosen = is_usable(rows)
    return rows[chosen if split is None else chosen & (rows["split"] == split)]


def quarantined(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the validated manifest that were set aside; their `reason` says why."""
    return rows[rows["status"] == "quarantined"]


def class_names(rows: pd.DataFrame) -> list[str]:
    """The classes that have a usable image in the validated manifest, sorted.

    A class's number is its index in this list.
    """
    return sorted(usable(rows)["label"].unique())


def originals(ledger: pd.DataFrame) -> pd.DataFrame:
    """The ledger's rows of the sources themselves: variant_index 0."""
    return ledger[ledger["variant_index"] == 0]


def planned_variants(ledger: pd.DataFrame) -> pd.DataFrame:
    """The ledger's rows of new images, written and rejected: variant_index 1 and above."""
    return ledger[ledger["variant_index"] > 0]


def written_variants(ledger: pd.DataFrame) -> pd.DataFrame:
    """The ledger's rows of new images that lie in segments."""
    return ledger[(ledger["variant_index"] > 0) & (ledger["status"] == "written")]


def count_by_class(rows: pd.DataFrame, column: str, values: list[str]) -> pd.DataFrame:
    """How many rows each class has with each of `values` in `column`.

    Returns:
        int64; a row for each label, sorted, and a column for each value, 0 where there is none.
    """
    return pd.crosstab(rows["label"], rows[column]).reindex(columns=values, fill_value=0)


def example_rows(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` rows to show: from each class in turn, within a class by source_id."""
    ordered = rows.sort_values("source_id")
    turn = ordered.groupby("label").cumcount()
    in_turn = ordered.assign(turn=turn).sort_values(["turn", "label"], kind="stable")
    return in_turn.head(count).drop(columns="turn")
