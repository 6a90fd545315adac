"""Selections of manifest rows: usable images, originals, variants, classes, examples to show."""

from collections.abc import Collection, Sequence
from difflib import SequenceMatcher
from unicodedata import normalize

import pandas as pd

from tasks.common.errors import UserError

CLASSES_SHOWN = 10  # of all
NAMES_SHOWN = 5  # of some that have something in common
LEAST_LIKENESS = 0.6  # of names that are shown as near, as difflib has it


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


def class_named(name: str, classes: Collection[str], place: str, where: str = "training") -> str:
    """The class that `place` calls `name`, whichever way its accents are encoded.

    Raises:
        UserError: where there is none.
    """
    if name in classes:
        return name
    composed = normalize("NFC", name)
    found = [str(label) for label in classes if normalize("NFC", label) == composed]
    if len(found) == 1:
        return found[0]
    near = _near_names(name, sorted(classes))
    likely = f"near it: {', '.join(near)}; " if near else ""
    need = f"no such class in {where}; {likely}classes: {classes_in_words(classes)}"
    raise UserError(f"{place} {name!r}: {need}")


def classes_in_words(classes: Collection[str]) -> str:
    """Their names, of many the first."""
    known = sorted(classes)
    more = f" and {len(known) - CLASSES_SHOWN:,} more" if len(known) > CLASSES_SHOWN else ""
    return ", ".join(known[:CLASSES_SHOWN]) + more


def names_in_words(classes: Sequence[str]) -> str:
    """Names of classes in quotes, of many the first."""
    shown = ", ".join(map(repr, classes[:NAMES_SHOWN]))
    more = len(classes) - NAMES_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def _near_names(name: str, known: list[str]) -> list[str]:
    """Up to three names that differ from `name` in little, the nearest first."""
    plain = name.casefold()
    likeness = {other: SequenceMatcher(None, plain, other.casefold()).ratio() for other in known}
    nearest = sorted(known, key=lambda other: -likeness[other])[:3]
    return [other for other in nearest if likeness[other] >= LEAST_LIKENESS]


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
