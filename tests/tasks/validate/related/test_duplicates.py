import pandas as pd

from tasks.validate.related import duplicates
from tasks.validate.status import quarantine
from tests.tasks.validate.rows import rows_of


def test_of_copies_the_first_in_test_then_validation_then_train_stays() -> None:
    rows = rows_of(
        ("a", "x", "cat", "train"),
        ("b", "x", "cat", "test"),
        ("c", "x", "cat", "test"),
        ("d", "x", "cat", "validation"),
    )
    rows = duplicates.mark_duplicates(rows)
    assert rows["status"].tolist() == ["duplicate", "ok", "duplicate", "duplicate"]
    assert rows["duplicate_of"].tolist() == ["b", None, "b", "b"]


def test_equal_pixels_under_two_labels_are_all_quarantined() -> None:
    rows = rows_of(
        ("a", "x", "cat", None),
        ("b", "x", "dog", None),
        ("c", "x", "cat", None),
        ("d", "y", "dog", None),
    )
    rows = duplicates.mark_duplicates(rows)
    assert rows["status"].tolist() == ["quarantined"] * 3 + ["ok"]
    assert rows["reason"].tolist() == ["label_conflict"] * 3 + [None]


def test_copies_of_what_is_quarantined_later_are_quarantined_for_the_same_reason() -> None:
    rows = duplicates.mark_duplicates(
        rows_of(("a", "x", "cat", None), ("b", "x", "cat", None), ("c", "y", "cat", None))
    )
    rows = quarantine(rows, rows.index[:1], "leak", pd.Series(["with c"]))
    followed = duplicates.quarantine_copies(rows)
    assert followed["status"].tolist() == ["quarantined", "quarantined", "ok"]
    assert followed["reason"].tolist() == ["leak", "leak", None]
    assert followed["detail"].tolist() == ["with c", "with c", None]
