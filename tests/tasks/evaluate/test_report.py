"""The report is one page that loads nothing, escapes names and is the same each time."""

import re
from html import unescape
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML

from tasks.dataset.paths import NAVIGATION
from tasks.evaluate.metrics import Outcomes
from tasks.evaluate.mistakes import find_mistakes
from tasks.evaluate.plots import reliability_table
from tasks.evaluate.report import confused_pairs, confusion_cells, training_curves
from tests.conftest import ROOT, Project

SCRIPT = "<script>alert(1)</script>"


def test_the_report_carries_everything_and_escapes_names(digits: Project) -> None:
    strange = digits.path("data/raw") / SCRIPT.replace("/", "")
    digits.path("data/raw/2").rename(strange)
    stages = ("ingest", "validate", "augment", "train", "evaluate")
    said = {stage: digits.stages_here(stage) for stage in stages}
    written = {path.name for path in digits.path("reports").iterdir()}
    assert written == {"index.html", "data.html", "predictions.csv"}  # the stage's outs
    page = digits.path("reports/index.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert not re.findall(r"""src=["'](?!data:)""", page)
    links = re.findall(r"""href=["'](?!data:|#)([^"']+)""", page)
    assert [link for link in links if not link.startswith("/")] == ["data.html"]  # beside it
    assert set(NAVIGATION.values()) <= {unescape(link) for link in links}
    assert {link.partition("?")[0] for link in links} - {"data.html"} == {
        "/image", "/images", "/class", "/operation", *NAVIGATION.values(),
    } - {NAVIGATION["Variants"]}  # fmt: skip
    assert f"/class?{urlencode({'name': strange.name})}" in links
    wrong = wrong_predictions(digits)["file_name"]
    assert {f"/image?{urlencode({'file': name})}" for name in wrong} <= set(links)
    assert "variegate ui" in page and "127.0.0.1" not in page
    assert page.count('<figure class="pair mistake">') == len(wrong_predictions(digits))
    assert "60" in page and "best epoch" in page
    assert page.count('<div class="sheet">') == 8
    predictions = pd.read_csv(digits.path("reports/predictions.csv"))
    assert len(predictions) == 3
    confusion = pd.read_csv(digits.path("plots/confusion.csv"))
    assert list(confusion) == ["actual", "predicted"] and len(confusion) == 3
    robustness = pd.read_csv(digits.path("plots/robustness.csv"))
    assert robustness["severity"].tolist() == [0, 1, 2, 3, 4, 5]
    plots = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["plots"]
    drawn = plots[2]["robustness"]["y"]["plots/robustness.csv"]
    assert ["severity", *drawn] == list(robustness)
    assert "temperature 1: not fitted: 3 validation images, fewer than 20" in said["train"]
    assert re.search(r"test accuracy \d+\.\d\d% \(\d+\.\d to \d+\.\d\)\n", said["evaluate"])
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


def test_the_pairs_with_the_most_mistakes_come_first() -> None:
    targets, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([1, 1, 0, 0, 2, 2])
    found = confused_pairs(Outcomes(targets, predicted, predicted, predicted), ["a", "b", "c"])
    assert found == [
        {"label": "a", "predicted": "b", "images": 2},
        {"label": "b", "predicted": "a", "images": 1},
        {"label": "c", "predicted": "a", "images": 1},
    ]


def test_the_reliability_of_each_bin_by_hand() -> None:
    confidence = np.array([0.55, 0.6, 0.95, 0.85])
    targets, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    table = reliability_table(Outcomes(targets, predicted, confidence, confidence), 5)
    assert table["images"].tolist() == [2, 2]
    assert table["confidence"].tolist() == pytest.approx([0.575, 0.9])
    assert table["accuracy"].tolist() == [0.5, 1.0]
    assert table["low"].iloc[1] == pytest.approx(2 / (2 + 1.959964**2))
