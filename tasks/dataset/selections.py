"""Selections of manifest rows that several stages need, each by its name."""

import pandas as pd


def is_usable(rows: pd.DataFrame) -> pd.Series:
    """A mask of the rows of the validated manifest whose image can be used: bool."""
    return rows["status"] == "ok"


def usable(rows: pd.DataFrame, split: str | None = None) -> pd.DataFrame:
    """The rows of the validated manifest whose image can be used, of one split or of all."""
    chosen = is_usable(rows)
    return rows[chosen if split is None else chosen & (rows["split"] == split)]


def quarantined(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the validated manifest that were set aside; their `reason` says why."""
    return rows[rows["status"] == "quarantined"]


def class_names(rows: pd.DataFrame) -> list[str]:
    """Every class with a usable image, sorted: the number of a class is its position here."""
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


def examples(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` rows to show: taken from the classes in turn, in each class by source_id."""
    ordered = rows.sort_values("source_id")
    turn = ordered.groupby("label").cumcount()
    in_turn = ordered.assign(turn=turn).sort_values(["turn", "label"], kind="stable")
    return in_turn.head(count).drop(columns="turn")
