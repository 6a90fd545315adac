from tasks.validate import duplicates
from tests.tasks.validate.rows import rows_of


def test_of_copies_the_first_in_test_then_validation_then_train_stays() -> None:
    rows = rows_of(
        ("a", "x", "cat", "train"),
        ("b", "x", "cat", "test"),
        ("c", "x", "cat", "test"),
        ("d", "x", "cat", "validation"),
    )
    duplicates.mark_duplicates(rows)
    assert rows["status"].tolist() == ["duplicate", "ok", "duplicate", "duplicate"]
    assert rows["duplicate_of"].tolist() == ["b", None, "b", "b"]


def test_equal_pixels_under_two_labels_are_all_quarantined() -> None:
    rows = rows_of(
        ("a", "x", "cat", None),
        ("b", "x", "dog", None),
        ("c", "x", "cat", None),
        ("d", "y", "dog", None),
    )
    duplicates.mark_duplicates(rows)
    assert rows["status"].tolist() == ["quarantined"] * 3 + ["ok"]
    assert rows["reason"].tolist() == ["label_conflict"] * 3 + [None]
