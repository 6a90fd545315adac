import pandas as pd

from tasks.validate.related import lineage
from tests.tasks.validate.rows import rows_of

FIVE = [(name, name, "cat", None) for name in "abcde"]


def test_clusters_are_named_by_their_first_image() -> None:
    near = pd.DataFrame({"a": [1, 2], "b": [2, 4]})
    assert lineage.find_clusters(rows_of(*FIVE), near).fillna("").tolist() == [
        "",
        "b",
        "b",
        "",
        "b",
    ]


def test_lineages_join_groups_clusters_and_copies() -> None:
    rows = rows_of(*FIVE)
    assert len(set(lineage.find_lineages(rows))) == 5
    rows["group_id"] = ["p1", "p1", None, "p2", None]
    rows["cluster"] = [None, "b", "b", None, None]
    rows.loc[4, ["status", "duplicate_of"]] = ["duplicate", "d"]
    found = lineage.find_lineages(rows)
    assert found[0] == found[1] == found[2] != found[3] == found[4]


def test_quarantined_images_join_nothing() -> None:
    rows = rows_of(*FIVE)
    rows["group_id"] = ["p1", "p1", "p1", None, None]
    rows.loc[1, "status"] = "quarantined"
    found = lineage.find_lineages(rows)
    assert found[0] == found[2] != found[1]


def test_leaks_are_what_comes_after_the_best_split_of_their_lineage() -> None:
    rows = rows_of(
        ("a", "a", "cat", "train"),
        ("b", "b", "cat", "test"),
        ("c", "c", "cat", "validation"),
        ("d", "d", "cat", "train"),
        ("e", "e", "cat", "train"),
    )
    rows["group_id"] = ["p", "p", "p", "q", "q"]
    leaks = lineage.find_leaks(rows.assign(lineage=lineage.find_lineages(rows)))
    assert leaks.to_dict("index") == {
        0: {"split": "train", "other": "b", "other_split": "test"},
        2: {"split": "validation", "other": "b", "other_split": "test"},
    }


def test_the_images_of_a_sample_are_a_lineage_and_leak_where_a_split_parts_them() -> None:
    rows = rows_of(
        ("x.tar::1.left.jpg", "a", "cat", "train"),
        ("x.tar::1.right.jpg", "b", "cat", "test"),
        ("x.tar::2.left.jpg", "c", "cat", "train"),
        ("x.tar::3.jpg", "d", "cat", "train"),
    )
    rows["sample"] = ["x.tar::1", "x.tar::1", "x.tar::2", None]
    rows["group_id"] = [None, None, "p", "p"]
    related = rows.assign(lineage=lineage.find_lineages(rows))
    found = related["lineage"]
    assert found[0] == found[1] != found[2] == found[3]
    assert lineage.find_leaks(related).to_dict("index") == {
        0: {"split": "train", "other": "x.tar::1.right.jpg", "other_split": "test"}
    }
