"""The report is one page that loads nothing, escapes names and is the same each time."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks.evaluate.report import confusion_cells, find_mistakes, training_curves
from tests.conftest import Project

SCRIPT = "<script>alert(1)</script>"


def test_the_report_carries_everything_and_escapes_names(digits: Project) -> None:
    strange = digits.path("data/raw") / SCRIPT.replace("/", "")
    digits.path("data/raw/2").rename(strange)
    for stage in ("ingest", "validate", "augment", "train", "evaluate"):
        digits.stage(stage)
    written = {path.name for path in digits.path("reports").iterdir()}
    assert written == {"index.html", "data.html", "predictions.csv"}  # the stage's outs
    page = digits.path("reports/index.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page
    loads = re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']+)""", page)
    assert loads == ["data.html"]  # a link to the page beside it
    assert page.count("<figure>") == len(wrong_predictions(digits))
    assert "60" in page and "best epoch" in page
    assert page.count('<div class="sheet">') == 8
    predictions = pd.read_csv(digits.path("reports/predictions.csv"))
    assert len(predictions) == 3
    confusion = pd.read_csv(digits.path("plots/confusion.csv"))
    assert list(confusion) == ["actual", "predicted"] and len(confusion) == 3
    history = pd.read_csv(digits.path("plots/history.csv"))
    assert history["epoch"].tolist() == [1, 2]


def wrong_predictions(project: Project) -> pd.DataFrame:
    predictions = pd.read_csv(project.path("reports/predictions.csv"))
    return predictions[predictions["label"].astype(str) != predictions["predicted"].astype(str)]


def test_the_worst_mistakes_come_first(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    for name in "abcd":
        Image.new("L", (4, 4)).save(tmp_path / f"data/raw/{name}.png")
    predictions = pd.DataFrame(
        {
            "file_name": ["a.png", "b.png", "c.png", "d.png"],
            "label": ["x", "x", "y", "y"],
            "predicted": ["y", "x", "x", "x"],
            "probability": [0.6, 0.9, 0.99, 0.7],
            "probability_of_label": [0.4, 0.9, 0.01, 0.3],
        }
    )
    length = (tmp_path / "data/raw/a.png").stat().st_size
    validated = pd.DataFrame(
        {
            "file_name": list(predictions["file_name"]),
            "container": None,
            "offset": None,
            "bytes": length,
        }
    )
    assert [row["file_name"] for row in find_mistakes(predictions, validated, 2)] == [
        "c.png",
        "d.png",
    ]


def test_confusion_is_shaded_by_row() -> None:
    cells = confusion_cells(np.array([[3, 1], [0, 0]]))
    assert cells[0] == [{"count": 3, "share": 0.75}, {"count": 1, "share": 0.25}]
    assert cells[1][0]["share"] == 0


def test_curves_are_the_same_each_time_and_carry_no_date() -> None:
    history = pd.DataFrame(
        {
            "epoch": [1, 2],
            "train_loss": [2, 1],
            "validation_loss": [2, 1],
            "validation_accuracy": [0, 1],
        }
    )
    assert training_curves(history) == training_curves(history)
    assert "date" not in training_curves(history)
