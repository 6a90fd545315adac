import pandas as pd

from tasks.validate import summary
from tasks.validate.params import ValidateParams
from tasks.validate.related import duplicates, lineage
from tasks.validate.split import assign_splits
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


def test_a_left_and_a_right_sign_are_used_both_without_a_warning_and_in_one_split() -> None:
    rows = rows_of(
        *((f"{n}", f"{n}", ["left", "right"][n % 2], None) for n in range(40)),
    )
    near = pd.DataFrame(
        {"a": range(0, 40, 2), "b": range(1, 40, 2), "kind": ["mirrored", "turned"] * 10}
    )
    rows = lineage.add_lineages(duplicates.mark_duplicates(rows), near)
    rows = assign_splits(rows, ValidateParams())
    assert (rows["status"] == "ok").all()
    assert rows["split"][::2].tolist() == rows["split"][1::2].tolist()
    assert rows["split"].nunique() == 3
    pairs = duplicates.list_pairs(rows, near, lineage.find_leaks(rows))
    assert pairs["kind"].tolist() == near["kind"].tolist()
    assert pairs.loc[0, ["file_name", "label", "other", "other_label"]].tolist() == [
        "0", "left", "1", "right"
    ]  # fmt: skip
    assert summary._two_labels(pairs) == []


def test_a_mirrored_copy_in_train_of_a_test_image_leaks() -> None:
    rows = rows_of(("a", "a", "cat", "train"), ("b", "b", "cat", "test"))
    near = pd.DataFrame({"a": [0], "b": [1], "kind": ["mirrored"]})
    rows = lineage.add_lineages(rows, near)
    leaks = lineage.find_leaks(rows)
    assert leaks["other"].tolist() == ["b"]
    dropped = lineage.drop_leaks(rows, leaks)
    assert dropped["reason"].tolist() == ["leak", None]
    assert duplicates.list_pairs(dropped, near, leaks)["kind"].tolist() == ["mirrored"]
