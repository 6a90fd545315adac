"""The lines of counts.csv and their sums, by hand; why variants were rejected: test_counts.py."""

import io

import pandas as pd

from tasks.augment import counts

VALIDATED = pd.DataFrame(
    {
        "source_id": [*"abcdef"],
        "file_name": [f"{name}.png" for name in "abcdef"],
        "label": ["cat", "dog", "cat", "cat", "emu", "cat"],
        "split": ["train", "train", "train", "test", "test", "train"],
        "status": ["ok"] * 5 + ["duplicate"],
    },
    index=[10, 11, 12, 13, 14, 15],
)
PLANNED = pd.Series({12: 4, 10: 3, 11: 0})
WRITTEN = pd.Series({10: 1, 11: 0, 12: 4})


def test_each_usable_image_has_a_line_and_held_out_ones_have_zeros() -> None:
    lines = counts.count_rows(VALIDATED, PLANNED, WRITTEN)
    columns = ["planned", "written", "rejected"]
    assert lines["source_id"].tolist() == [*"abcde"]
    assert lines[columns].to_numpy().tolist() == [
        [3, 1, 2], [0, 0, 0], [4, 4, 0], [0, 0, 0], [0, 0, 0]
    ]  # fmt: skip


def test_classes_count_the_sources_of_the_training_split() -> None:
    found = counts.counts_by_class(counts.count_rows(VALIDATED, PLANNED, WRITTEN))
    cat = {"sources": 2, "planned": 7, "written": 5, "rejected": 2, "training_images": 7}
    dog = {"sources": 1, "planned": 0, "written": 0, "rejected": 0, "training_images": 1}
    assert list(found) == ["cat", "dog", "emu"]
    for label, wanted in zip(found, (cat, dog, dict.fromkeys(dog, 0)), strict=True):
        assert wanted.items() <= found[label].items()


def test_lines_are_read_as_text() -> None:
    text = b"source_id,label,planned\n0123,NA,3\n0456,01,\n"
    assert counts.read_counts(io.BytesIO(text)).to_numpy().tolist() == [
        ["0123", "NA", "3"],
        ["0456", "01", ""],
    ]


def test_the_metrics_are_the_sums_of_all_classes() -> None:
    lines = counts.count_rows(VALIDATED, PLANNED, WRITTEN)
    wanted = {
        "recipe_hash": "0123",
        "sources": 3,
        "planned": 7,
        "written": 5,
        "rejected": 2,
        "training_images": 8,
    }
    found = counts.summary(lines, "0123", counts.sum_rejections([]))
    assert wanted.items() <= found.items() and found["rejections"] == {}
