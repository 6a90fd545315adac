"""An image that cannot be used changes nothing about one that can."""

from unittest.mock import patch

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


LABELS = st.sampled_from(["cat", "dog"])
IMAGE = st.fixed_dictionaries(
    {
        "file_name": st.uuids().map(str),
        "pixels": st.sampled_from("pqrstu"),
        "copy": st.sampled_from("12"),
        "label": LABELS,
        "split": st.sampled_from([None, "train", "validation", "test"]),
        "group_id": st.sampled_from([None, "g", "h"]),
        "fault": st.none(),
    }
)
UNUSABLE = st.sampled_from(
    [
        {"fault": "corrupt"},
        {"label": None},
        {"reason": "label_conflict"},
        {"reason": "unreadable", "pixels": "-"},
        {"split": None},  # where others have one
    ]
)


@given(st.lists(IMAGE, min_size=1, max_size=12), IMAGE, UNUSABLE, st.data())
def test_an_unusable_image_changes_no_other_row(
    images: list[Image], added: Image, fault: Image, data: st.DataObject
) -> None:
    stratify = data.draw(st.sampled_from(["stable", "exact"]))
    before = run(images, stratify)
    if (
        fault == {"split": None}
        and before.loc[before["status"] == "ok", "given_split"].isna().all()
    ):
        return  # it can be used
    position = data.draw(st.integers(0, len(images)))
    unusable: Image = {**added, **fault}
    after = run([*images[:position], unusable, *images[position:]], stratify)
    assert after.loc[unusable["file_name"], "status"] == "quarantined"
    pd.testing.assert_frame_equal(after.drop(index=unusable["file_name"]), before)


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
