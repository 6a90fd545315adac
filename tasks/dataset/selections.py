"""Selections of manifest rows that several stages need, each by its name."""

import pandas as pd


def examples(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` rows to show: taken from the classes in turn, in each class by source_id."""
    ordered = rows.sort_values("source_id")
    turn = ordered.groupby("label").cumcount()
    return (
        ordered.assign(turn=turn)
        .sort_values(["turn", "label"], kind="stable")
        .head(count)
        .drop(columns="turn")
    )
