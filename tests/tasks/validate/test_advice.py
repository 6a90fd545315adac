"""Advice about splits that lack images: whole texts, and that it is true."""

import pandas as pd
import pytest

from tasks.validate.advice import fill_split, lacking_splits
from tasks.validate.params import ValidateParams
from tasks.validate.related.duplicates import mark_duplicates
from tasks.validate.related.lineage import add_lineages, drop_leaks, find_leaks
from tasks.validate.split import assign_splits, class_counts, describe_splits
from tests.tasks.validate.rows import rows_of

STABLE, EXACT = ValidateParams(), ValidateParams(stratify="exact")
NO_PAIRS = pd.DataFrame({"a": [], "b": []}, dtype=int)
ADVICE = "; validate.stratify: exact gives it one"


def images(label: str, count: int, split: str | None = None, pixels: str = "") -> list[tuple]:
    """Rows (file name, pixels, label, given split), of different pixels."""
    return [(f"{split}/{label}/{n}", f"{pixels}{label}{n}", label, split) for n in range(count)]


def divided(rows: pd.DataFrame, params: ValidateParams = STABLE) -> pd.DataFrame:
    related = add_lineages(mark_duplicates(rows), NO_PAIRS)
    return assign_splits(drop_leaks(related, find_leaks(related)), params)


def test_exact_is_named_where_it_gives_the_class_an_image_and_nowhere_else() -> None:
    classes = [image for c in range(40) for image in images(f"c{c:02d}", 1 + c % 4)]
    rows = divided(rows_of(*classes))
    before, after = class_counts(rows), class_counts(divided(rows_of(*classes), EXACT))
    lines = lacking_splits(rows, STABLE)
    assert len(lines) == (before == 0).sum().sum()
    advised = [line for line in lines if line.endswith(ADVICE)]
    assert 5 < len(advised) < len(lines)
    for line in advised:
        label, split = line.split("'")[1], line.split()[4]
        assert before.loc[label, split] == 0 < after.loc[label, split]
        assert (after.loc[label] > 0).sum() > (before.loc[label] > 0).sum()
    assert not any(
        line.endswith(ADVICE) for line in lacking_splits(divided(rows_of(*classes), EXACT), EXACT)
    )


def test_a_class_of_one_image_is_told_nothing_that_cannot_help() -> None:
    rows = divided(rows_of(*images("cat", 1), *images("dog", 40)))
    lines = [line for line in lacking_splits(rows, STABLE) if "'cat'" in line]
    assert len(lines) == 2 and all(line.endswith("image (1 in all)") for line in lines)


def test_a_given_split_is_advised_nothing() -> None:
    rows = divided(
        rows_of(*images("cat", 300, "train"), *images("dog", 9, "train", "x"),
                *images("dog", 3, "validation", "y"), *images("dog", 3, "test", "z"))
    )  # fmt: skip
    assert lacking_splits(rows, STABLE) == [
        "class 'cat' has no validation image (300 in all)",
        "class 'cat' has no test image (300 in all)",
    ]


def test_one_photo_copied_into_all_three_splits_has_no_share_to_speak_of() -> None:
    splits = ("train", "validation", "test")
    rows = divided(rows_of(*((f"{split}/cat/a", "p", "cat", split) for split in splits)))
    assert describe_splits(rows, STABLE) == "the given split"
    assert not any("exact" in line for line in lacking_splits(rows, STABLE))
    assert fill_split(rows, "train", STABLE) == (
        "its images are copies of images in other splits, which are used: 1"
    )


def grouped(rows: pd.DataFrame, groups: list) -> pd.DataFrame:
    return rows.assign(group_id=groups)


@pytest.mark.parametrize(
    ("rows", "split", "params", "expected"),
    [
        (rows_of(*images("a", 2), *images("b", 1)), "validation", EXACT,
         "add images: it gets 15% of 3, which is less than one"),
        (grouped(rows_of(*images("a", 300)), ["g"] * 300), "test", EXACT,
         "all images are of one group: see ingest.group_pattern"),
        (grouped(rows_of(*images("a", 300)), ["g", "h"] * 150), "validation", STABLE,
         "images that belong together stay in one split, and the 300 images make 2 such sets, "
         "of 150 at most: see duplicates and groups"),
        (rows_of(*images("a", 9, "test"), *images("b", 9, "validation")), "train", STABLE,
         "folders or tables give every image to validation or test: give it some"),
        (grouped(rows_of(*images("a", 4, "train"), *images("b", 2, "test")), ["g"] * 6), "train",
         STABLE, "4 images belong together with one of another split: see validate.on_leak"),
    ],
)  # fmt: skip
def test_an_empty_split_is_told_what_is_in_the_way(
    rows: pd.DataFrame, split: str, params: ValidateParams, expected: str
) -> None:
    found = divided(rows, params)
    assert (found["split"] != split).all()
    assert fill_split(found, split, params) == expected


def test_an_empty_split_is_told_to_be_exact_where_that_fills_it() -> None:
    for seed in range(50):
        params = ValidateParams(seed=seed)
        rows = divided(rows_of(*images("a", 4), *images("b", 4)), params)
        empty = [
            split for split in ("train", "validation", "test") if (rows["split"] != split).all()
        ]
        if empty:
            assert fill_split(rows, empty[0], params) == "set validate.stratify: exact"
            return
    pytest.fail("no seed leaves a split empty")
