import numpy as np
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


def test_a_lineage_has_one_number_and_clusters_their_first_images_id() -> None:
    rows = rows_of(*FIVE).assign(source_id=[*"vwxyz"])
    near = pd.DataFrame({"a": [0, 3], "b": [4, 1]})
    found = lineage.add_lineages(rows, near)
    assert found["cluster"].astype(object).where(found["cluster"].notna(), None).tolist() == [
        "v", "w", None, "w", "v"
    ]  # fmt: skip
    assert found["lineage"].tolist() == [0, 1, 2, 1, 0]
    alone = lineage.add_lineages(rows, near.iloc[:0])
    assert alone["cluster"].isna().all() and alone["lineage"].tolist() == [0, 1, 2, 3, 4]


def test_a_duplicate_joins_its_original_and_its_group() -> None:
    rows = rows_of(*FIVE)
    rows.loc[3, ["status", "duplicate_of"]] = ["duplicate", "b"]
    rows["group_id"] = ["p", None, None, "p", None]
    assert lineage.find_lineages(rows).tolist() == [0, 0, 1, 0, 2]
    written = rows.drop(columns="sample")
    assert lineage.find_lineages(written).tolist() == [0, 0, 1, 0, 2]


def test_leaks_are_of_used_images_alone_and_copies_are_not_dropped() -> None:
    rows = rows_of(
        ("a", "a", "cat", "validation"),
        ("b", "b", "cat", "train"),
        ("c", "c", "cat", "test"),
        ("d", "d", "cat", None),
        ("e", "e", "cat", "train"),
        ("f", "f", "cat", "validation"),
        ("g", "g", "cat", "test"),
    )
    rows["status"] = ["ok", "ok", "quarantined", "ok", "duplicate", "ok", "duplicate"]
    rows["lineage"] = [0, 0, 0, 0, 1, 1, 2]
    leaks = lineage.find_leaks(rows)
    assert leaks.to_dict("index") == {
        1: {"split": "train", "other": "a", "other_split": "validation"},
        4: {"split": "train", "other": "f", "other_split": "validation"},
    }
    dropped = lineage.drop_leaks(rows, leaks)
    assert dropped["status"].tolist() == ["ok", "quarantined", *rows["status"][2:]]
    assert dropped["reason"].tolist() == [None, "leak", *[None] * 5]
    assert dropped["detail"].tolist() == [None, "belongs together with a", *[None] * 5]


def test_components_by_hand() -> None:
    left, right = np.array([0, 5, 3, 3]), np.array([5, 1, 4, 4])
    assert lineage.components(6, left, right).tolist() == [0, 0, 1, 2, 2, 0]
