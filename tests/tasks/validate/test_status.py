"""The table of the stage: facts joined, steps that leave their input as it is."""

from collections.abc import Callable

import pandas as pd
import pytest

from tasks.dataset.columns import INGESTED_COLUMNS, VALIDATED_COLUMNS
from tasks.pixels.preprocess import AS_DECODED, Preprocessing
from tasks.validate import measure, split, status
from tasks.validate.params import ValidateParams
from tasks.validate.related import duplicates, lineage
from tests.tasks.validate.rows import rows_of

NEAR = pd.DataFrame({"a": [0], "b": [3]})


def listed(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=INGESTED_COLUMNS.names).astype(object)


def facts(**of_images: dict) -> pd.DataFrame:
    table = measure.as_table(of_images.items()).to_pandas()
    return table.set_index("sha256")


def test_facts_are_joined_by_content_and_reasons_of_ingest_stay() -> None:
    table = listed(
        {"file_name": "a", "sha256": "1", "split": "test"},
        {"file_name": "b", "sha256": "2"},
        {"file_name": "c", "sha256": "1", "reason": "label_conflict", "detail": "two rows"},
        {"file_name": "d", "sha256": None, "reason": "unreadable", "detail": "gone"},
    )
    found = facts(**{"1": {"width": 5}, "2": {"reason": "corrupt", "detail": "half"}})
    rows = status.join_facts(table, found)
    assert rows.columns.tolist() == [*VALIDATED_COLUMNS.names, *status.WORKING_COLUMNS]
    assert rows["status"].tolist() == ["ok"] + ["quarantined"] * 3
    assert rows["reason"].fillna("").tolist() == ["", "corrupt", "label_conflict", "unreadable"]
    assert rows["detail"].fillna("").tolist() == ["", "half", "two rows", "gone"]
    assert rows["width"].fillna(0).tolist() == [5, 0, 5, 0]
    assert rows["given_split"].fillna("").tolist() == ["test", "", "", ""]
    assert rows["split"].isna().all()


def test_images_without_a_label_are_quarantined_with_what_ingest_says() -> None:
    table = listed(
        {"file_name": "a", "sha256": "1", "detail": "in no table"},
        {"file_name": "b", "sha256": "2", "label": "cat"},
    )
    rows = status.join_facts(table, facts(**{"1": {"width": 5}, "2": {"width": 6}}))
    rows = status.quarantine_unlabelled(rows, table)
    assert rows["reason"].fillna("").tolist() == ["no_label", ""]
    assert rows["detail"].fillna("").tolist() == ["in no table", ""]


@pytest.mark.parametrize(
    "step",
    [
        duplicates.quarantine_conflicts,
        duplicates.mark_copies,
        duplicates.quarantine_copies,
        lambda rows: lineage.add_lineages(rows, NEAR),
        lambda rows: lineage.drop_leaks(rows, pd.DataFrame({"other": ["d"]}, index=[0])),
        lambda rows: split.assign_splits(rows, ValidateParams()),
        lambda rows: split.assign_splits(rows, ValidateParams(stratify="exact")),
        lambda rows: status.quarantine(rows, rows.index[3:], "leak"),
    ],
)
def test_a_step_gives_a_new_table_and_leaves_the_old_one_as_it_was(
    step: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    rows = rows_of(
        ("a", "x", "cat", "train"),
        ("b", "x", "cat", None),
        ("c", "y", "cat", None),
        ("d", "y", "dog", "test"),
        ("e", "z", "dog", None),
        ("f", "w", "cat", None),
        ("g", "w", "dog", None),
    )
    rows.loc[4, ["status", "duplicate_of"]] = ["duplicate", "d"]
    rows.loc[3, ["status", "reason"]] = ["quarantined", "leak"]
    before = rows.copy(deep=True)
    after = step(rows)
    pd.testing.assert_frame_equal(rows, before)
    assert after.index.equals(rows.index) and set(after.columns) == set(rows.columns)
    assert not after.equals(before)


def test_an_image_that_preprocessing_would_make_too_large_is_set_aside() -> None:
    rows = rows_of(("a.png", "1", "cat", None), ("b.png", "2", "cat", None))
    rows = rows.assign(height=[60_000, 100], width=[1, 100])
    preprocessing = Preprocessing(preprocess=[{"resize": {"shorter": 224}}])
    done = status.quarantine_enlarged(rows, preprocessing)
    assert done["status"].tolist() == ["quarantined", "ok"]
    assert done["reason"].tolist() == ["too_large", None]
    assert done["detail"].tolist() == [
        "224 x 13,440,000 pixels after ingest.preprocess, over 100,000,000",
        None,
    ]
    assert status.quarantine_enlarged(rows, AS_DECODED).equals(rows)
