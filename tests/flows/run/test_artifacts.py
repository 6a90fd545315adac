"""What is sent to Prefect is no more than its events take."""

import logging

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from flows.pipeline import without_advice
from flows.run.artifacts import MOST_BYTES_OF_PICTURE, picture_or_size
from tasks.augment.__main__ import SHEET_QUALITY, SOURCES_SHOWN
from tasks.augment.contact_sheet import CELL, MOST_SHOWN
from tasks.pixels.encode import encode
from tasks.pixels.thumbnails import data_uri

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
