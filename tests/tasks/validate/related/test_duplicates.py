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


def test_a_conflict_names_its_labels_and_rows_that_are_set_aside_have_no_part_in_it() -> None:
    rows = rows_of(
        ("a", "x", "dog", None),
        ("b", "x", "cat", None),
        ("c", "x", "dog", None),
        ("d", "y", "cat", None),
        ("e", "y", "dog", None),
        ("f", "z", "cat", None),
        ("g", "z", "cat", None),
    )
    rows.loc[4, ["status", "reason"]] = ["quarantined", "corrupt"]
    found = duplicates.mark_duplicates(rows)
    assert found["detail"].tolist() == ["labelled cat and dog"] * 3 + [None] * 4
    assert found["status"].tolist() == [
        *["quarantined"] * 3, "ok", "quarantined", "ok", "duplicate"
    ]  # fmt: skip
    assert found["reason"].tolist()[3:] == [None, "corrupt", None, None]
    assert found["duplicate_of"].tolist() == [None] * 6 + ["f"]
    assert rows["status"].tolist() == ["ok"] * 4 + ["quarantined", "ok", "ok"]  # as it was


def test_a_copy_in_a_split_stays_before_one_in_none() -> None:
    rows = rows_of(("a", "x", "cat", None), ("b", "x", "cat", "train"), ("c", "x", "cat", None))
    assert duplicates.mark_duplicates(rows)["duplicate_of"].tolist() == ["b", None, "b"]
    ranks = duplicates.split_rank(pd.Series(["train", None, "test", "validation"], list("wxyz")))
    assert ranks.to_dict() == {"w": 2, "x": 3, "y": 0, "z": 1}


def test_a_copy_of_a_usable_image_stays_a_copy() -> None:
    rows = rows_of(*((name, pixels, "cat", None) for name, pixels in ("ax", "bx", "cy", "dy")))
    rows = duplicates.mark_duplicates(rows)
    assert duplicates.quarantine_copies(rows)["status"].tolist() == ["ok", "duplicate"] * 2
    rows = quarantine(rows, rows.index[2:3], "too_large", pd.Series({2: "by far"}))
    followed = duplicates.quarantine_copies(rows)
    assert followed["status"].tolist() == ["ok", "duplicate", "quarantined", "quarantined"]
    assert followed["reason"].tolist() == [None, None, "too_large", "too_large"]
    assert followed["detail"].tolist() == [None, None, "by far", "by far"]


def test_every_kind_of_pair_is_listed_once_with_both_images() -> None:
    """Copies of equal bytes and of equal pixels, a conflict, look-alikes, and a group's leak."""
    rows = rows_of(
        ("0", "x", "cat", "train"),
        ("1", "x", "cat", "test"),
        ("2", "y", "cat", None),
        ("3", "y", "cat", None),
        ("4", "z", "cat", None),
        ("5", "z", "dog", None),
        ("6", "u", "cat", "train"),
        ("7", "v", "dog", "test"),
        ("8", "w", "cat", "train"),
    )
    rows["sha256"] = [*"xxabzzuvw"]  # 2 and 3 are files of other bytes with the same pixels
    rows = duplicates.mark_duplicates(rows)
    near = pd.DataFrame({"a": [6], "b": [7], "kind": ["near"]}, index=[5])
    leaks = pd.DataFrame({"other": ["7", "7", "1"]}, index=[6, 8, 0])
    pairs = duplicates.list_pairs(rows, near, leaks)
    columns = ["kind", "file_name", "label", "split", "status"]
    columns += ["other", "other_label", "other_split", "other_status"]
    assert pairs.columns.tolist() == columns
    assert pairs.astype(object).where(pairs.notna(), None).to_numpy().tolist() == [
        ["bytes", "0", "cat", "train", "duplicate", "1", "cat", "test", "ok"],
        ["pixels", "3", "cat", None, "duplicate", "2", "cat", None, "ok"],
        ["bytes", "5", "dog", None, "label_conflict", "4", "cat", None, "label_conflict"],
        ["near", "6", "cat", "train", "ok", "7", "dog", "test", "ok"],
        ["group", "8", "cat", "train", "ok", "7", "dog", "test", "ok"],
    ]  # 6 and 7, 0 and 1 are listed already
    unread = rows.assign(pixel_sha256=None)  # as of a conflict that an earlier step found
    assert duplicates.list_pairs(unread, near, leaks)["kind"].tolist() == [
        "bytes", "pixels", "near", "group"
    ]  # fmt: skip
