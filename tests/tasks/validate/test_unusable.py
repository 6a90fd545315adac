"""An image that cannot be used changes nothing about one that can."""

from random import Random
from unittest.mock import patch

import pandas as pd
import pytest

from tasks.dataset.columns import INGESTED_COLUMNS
from tasks.validate import measure
from tasks.validate.__main__ import validate
from tasks.validate.params import ValidateParams

Image = dict[str, str | None]  # columns of the ingested manifest, `pixels`, and `fault`


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VARIEGATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def run(images: list[Image], stratify: str = "stable") -> pd.DataFrame:
    """The validated rows of images whose pixels are given by name, and their bytes by two."""
    table = pd.DataFrame(images)
    corrupt = table["fault"] == "corrupt"
    table["sha256"] = (table["pixels"] + table["copy"]).where(~corrupt, "0" + table["pixels"])
    ingested = table.reindex(columns=INGESTED_COLUMNS.names).astype(object)
    facts = measure.as_table(
        (
            sha256,
            {"reason": "corrupt"} if is_corrupt else {"pixel_sha256": pixels, "contrast": 9.0},
        )
        for sha256, pixels, is_corrupt in zip(
            table["sha256"], table["pixels"], corrupt, strict=True
        )
    )
    found = facts.to_pandas().drop_duplicates("sha256").set_index("sha256")
    params = ValidateParams(near_duplicates="off", stratify=stratify)
    with patch.object(measure, "measure_all", return_value=found):
        rows = validate(ingested.where(ingested.notna(), None), params).rows
    return rows.set_index("file_name").drop(columns="lineage")


FAULTS: list[Image] = [
    {"fault": "corrupt"},
    {"label": None},
    {"reason": "label_conflict"},
    {"reason": "unreadable", "pixels": "-"},
    {"split": None},  # where others have one
]
WITH_A_SPLIT: Image = {
    "file_name": "z", "pixels": "z", "copy": "1", "label": "cat", "split": "train", "fault": None
}  # fmt: skip


def draw(random: Random, name: str) -> Image:
    """An image among few pixels, labels, splits and groups, so that many are related."""
    return {
        "file_name": name,
        "pixels": random.choice("pqrstuvw"),
        "copy": random.choice("12"),
        "label": random.choice(["cat", "cat", "cat", "dog"]),
        "split": random.choice([None, "train", "validation", "test"]),
        "group_id": random.choice([None, None, None, "g", "h"]),
        "fault": None,
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("stratify", ["stable", "exact"])
def test_unusable_images_change_no_other_row(stratify: str, seed: int) -> None:
    random = Random(seed)
    images = [draw(random, f"{number}") for number in range(20)] + [WITH_A_SPLIT]
    before = run(images, stratify)
    unusable = [{**draw(random, f"x{n}"), **FAULTS[n % len(FAULTS)]} for n in range(20)]
    mixed = images.copy()
    for image in unusable:
        mixed.insert(random.randint(0, len(mixed)), image)
    after = run(mixed, stratify)
    assert set(after.loc[[image["file_name"] for image in unusable], "status"]) == {"quarantined"}
    pd.testing.assert_frame_equal(after.loc[before.index], before)


def test_a_copy_without_a_split_neither_contradicts_nor_replaces_one_that_has_it() -> None:
    beside: Image = {
        "file_name": "train/b",
        "pixels": "q",
        "copy": "1",
        "label": "dog",
        "fault": None,
    }
    without: Image = {**beside, "file_name": "cat/a", "pixels": "p", "label": "cat"}
    with_one: Image = {**without, "file_name": "train/a", "label": "dog", "split": "train"}
    rows = run([without, {**beside, "split": "train"}, with_one])
    assert rows["status"].to_dict() == {"cat/a": "quarantined", "train/b": "ok", "train/a": "ok"}
    assert rows.loc["cat/a", "reason"] == "no_split"


def test_images_of_two_labels_give_the_others_no_split_to_lack() -> None:
    image: Image = {"file_name": "cat/a", "pixels": "p", "copy": "1", "label": "cat", "fault": None}
    one: Image = {**image, "file_name": "test/cat/x", "pixels": "q", "split": "test"}
    rows = run([image, one, {**one, "file_name": "test/dog/x", "label": "dog"}])
    assert rows["reason"].fillna("").tolist() == ["", "label_conflict", "label_conflict"]
    assert rows.loc["cat/a", "split"] in ("train", "validation", "test")
