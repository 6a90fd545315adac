"""Slices: which images they hold, and which of them differ by more than chance."""

import numpy as np
import pandas as pd

from tasks.evaluate.metrics import Outcomes
from tasks.evaluate.slices import folders, holm, summarise_slices

IMAGES = 200


def rows_of_test(**columns: object) -> pd.DataFrame:
    """Rows of the validated manifest that differ in nothing but `columns`."""
    numbers = range(IMAGES)
    same = {
        "file_name": [f"cat/{number}.png" for number in numbers],
        "label": "cat",
        "container": None,
        "group_id": None,
        "cluster": None,
        "width": 8,
        "height": 8,
        **dict.fromkeys(("brightness", "contrast", "sharpness"), 1.0),
    }
    return pd.DataFrame({**same, **columns}, index=numbers)


def outcomes(wrong: np.ndarray) -> Outcomes:
    targets = np.zeros(IMAGES, int)
    return Outcomes(targets, wrong.astype(int), np.ones(IMAGES), np.ones(IMAGES))


def test_images_that_do_not_differ_are_no_slices() -> None:
    found = summarise_slices(rows_of_test(), outcomes(np.zeros(IMAGES, bool)))
    assert found == {"slices": [], "too_small": 0}


def test_quarters_folders_and_groups_are_slices_and_small_ones_are_counted() -> None:
    numbers = np.arange(IMAGES)
    test = rows_of_test(
        brightness=numbers.astype(float),
        file_name=[f"{'old' if n < 80 else 'new'}/cat/{n}.png" for n in numbers],
        group_id=["a"] * 30 + ["b"] * 19 + [None] * 151,
        cluster=["x"] * 25 + [None] * 175,
    )
    found = summarise_slices(test, outcomes(np.zeros(IMAGES, bool)))
    assert [(row["by"], row["name"], row["images"]) for row in found["slices"]] == [
        ("brightness", "1 of 4: 0 to 49", 50),
        ("brightness", "2 of 4: 50 to 99", 50),
        ("brightness", "3 of 4: 100 to 149", 50),
        ("brightness", "4 of 4: 150 to 199", 50),
        ("near-duplicates", "looks like another image", 25),
        ("near-duplicates", "stands alone", 175),
        ("folder", "new", 120),
        ("folder", "old", 80),
        ("group", "a", 30),
    ]
    assert found["too_small"] == 1
    assert not any(row["differs"] for row in found["slices"])


def test_the_slice_in_which_mistakes_lie_is_marked_and_no_other() -> None:
    numbers = np.arange(IMAGES)
    test = rows_of_test(
        brightness=numbers.astype(float), contrast=(numbers * 7 % 200).astype(float)
    )
    found = summarise_slices(test, outcomes((numbers < 50) & (numbers % 2 == 0)))
    worse = [row for row in found["slices"] if row["accuracy"] < row["accuracy_of_rest"]]
    marked = [row for row in worse if row["differs"]]
    assert [(row["by"], row["name"]) for row in marked] == [("brightness", "1 of 4: 0 to 49")]
    assert marked[0]["accuracy"] == 0.5 and marked[0]["accuracy_of_rest"] == 1.0
    assert marked[0]["accuracy_low"] < 0.5 < marked[0]["accuracy_high"] < 0.65


def test_mistakes_within_one_group_are_one_piece_of_evidence() -> None:
    numbers = np.arange(IMAGES)
    bright, wrong = numbers.astype(float), numbers < 10
    alone = summarise_slices(rows_of_test(brightness=bright), outcomes(wrong))
    groups = [f"{number // 50}" for number in numbers]
    grouped = summarise_slices(rows_of_test(brightness=bright, group_id=groups), outcomes(wrong))
    assert alone["slices"][0]["differs"] and not grouped["slices"][0]["differs"]


def test_one_large_group_marks_no_slice_by_chance() -> None:
    numbers = np.arange(IMAGES)
    groups = ["film"] * 120 + [None] * 80
    test = rows_of_test(brightness=numbers.astype(float), group_id=groups)
    found = summarise_slices(test, outcomes(numbers < 120))
    alone = summarise_slices(test.assign(group_id=None), outcomes(numbers < 120))
    assert not any(row["differs"] for row in found["slices"])
    assert all(row["differs"] for row in alone["slices"])


def test_chance_alone_marks_a_slice_in_few_of_many_datasets() -> None:
    marked = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        names = ("brightness", "contrast", "sharpness")
        test = rows_of_test(**{name: generator.random(IMAGES) for name in names})
        found = summarise_slices(test, outcomes(generator.random(IMAGES) < 0.1))
        marked += any(row["differs"] for row in found["slices"])
    assert marked <= 3  # 1 is expected at most


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.03, 0.04: 3 x 0.01, 2 x 0.03, and no less for the last
    assert np.allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_folder_is_the_place_without_the_class() -> None:
    rows = pd.DataFrame(
        {
            "file_name": ["cam1/cat/a.png", "cat/cam2/b.png", "cat/c.png", "s.tar::d.png"],
            "container": [None, None, None, "shards/s.tar"],
            "label": "cat",
        }
    )
    assert folders(rows).tolist() == ["cam1", "cam2", ".", "shards/s.tar"]
