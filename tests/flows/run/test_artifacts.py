"""What Prefect shows of a stage, which is no more than its events take."""

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from flows.pipeline import without_advice
from flows.run import artifacts
from flows.run.artifacts import MOST_BYTES_OF_PICTURE, picture_or_size
from tasks.augment.__main__ import SHEET_QUALITY, SOURCES_SHOWN
from tasks.augment.contact_sheet import CELL, MOST_SHOWN
from tasks.pixels.encode import encode
from tasks.pixels.thumbnails import data_uri
from tests.tasks.augment import datasets
from tests.tasks.augment.datasets import Dataset

MOST_BYTES_OF_EVENT = 1_500_000  # Prefect's


def test_a_picture_that_prefect_would_refuse_is_named_alone() -> None:
    assert picture_or_size("contact sheet", "data:,x") == "![contact sheet](data:,x)"
    too_large = "x" * (MOST_BYTES_OF_PICTURE + 1)
    said = "The contact sheet is too large for this page: 1,400,001 bytes."
    assert picture_or_size("contact sheet", too_large) == said
    assert MOST_BYTES_OF_PICTURE < MOST_BYTES_OF_EVENT


def test_a_contact_sheet_of_photos_fits() -> None:
    photo = Image.fromarray(load_sample_image("china.jpg"))
    cell = np.asarray(photo.resize((CELL, CELL)))
    sheet = np.tile(cell, (SOURCES_SHOWN, 1 + MOST_SHOWN, 1))
    assert len(data_uri(encode(sheet, "jpeg", SHEET_QUALITY), "jpeg")) < MOST_BYTES_OF_PICTURE


def test_prefects_advice_on_servers_is_no_part_of_a_log() -> None:
    def record(message: str) -> logging.LogRecord:
        return logging.LogRecord("prefect", logging.INFO, __file__, 1, message, None, None)

    starting = record("Starting temporary server on http://127.0.0.1:8350\nSee https://docs x.")
    assert without_advice(starting)
    assert starting.getMessage() == "Starting temporary server on http://127.0.0.1:8350"
    other = record("first\nsecond, see https://x")
    assert without_advice(other) and other.getMessage() == "first\nsecond, see https://x"


@pytest.mark.starts
def test_rejected_variants_have_their_reasons_by_class_and_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setattr(datasets, "POLICIES", [["InvertImg"]])  # one new image of each source
    dataset = Dataset(random.Random(0))
    dataset.files = {f"a{number}.png": ("a", dataset.content()) for number in range(3)}
    dataset.files["b0.png"] = ("b", dataset.content())
    dataset.count = {
        "variants_per_image": 3,
        "per_class": {"b": {"variants_per_image": 1}},
    }
    datasets.run(dataset, tmp_path, monkeypatch)
    shown: dict[str, Any] = {}
    monkeypatch.setattr(
        artifacts, "create_table_artifact", lambda rows, key, description: shown.update({key: rows})
    )
    artifacts.publish_classes()
    counts = {"sources": 3, "planned": 9, "written": 3, "rejected": 6, "training_images": 6}
    whole = {"sources": 1, "planned": 1, "written": 1, "rejected": 0, "training_images": 2}
    assert shown == {
        "images-per-class": [
            {"class": "`a`", **counts, "reasons": "6 not_distinct"},
            {"class": "`b`", **whole, "reasons": ""},
        ],
        "rejected-variants": [
            {
                "reason": "not_distinct",
                "variants": 6,
                "meaning": "equal to their source or to another variant of it",
                "mend": "ask for fewer, or add a step to the policy: "
                "it makes no more different images of them",
            }
        ],
    }
