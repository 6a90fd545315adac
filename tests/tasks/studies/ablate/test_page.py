"""The page of an ablation carries everything, escapes names and is the same each time."""

import math
import re
from pathlib import Path

import pytest

from tasks.dataset.paths import ABLATION_REPORT
from tasks.studies.ablate import wording
from tasks.studies.ablate.ablate import Ablation
from tasks.studies.ablate.page import MOST_CLASSES, render, write_page
from tasks.studies.charts import MOST_LINES
from tests.tasks.studies.ablate.found import ablation, arm, classes_of, digits
from tests.tasks.studies.elements import ATTACK, Elements, needs_nothing, rows_of


def test_the_page_says_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_page(digits())
    page = ABLATION_REPORT.read_text(encoding="utf-8")
    text = Elements(page).text
    assert wording.summary(digits()) in text
    assert (
        "Compared: 5 arms of 3 trainings each, with the same seeds. Each training showed 1,000 "
        "training images once in each of 3 epochs, and was asked about 240 validation images. The "
        "test images were not looked at." in text
    )
    forest = rows_of(page, 0)
    assert forest[1] == ["none", "the reference", "83.0%", "", "", ""]
    assert forest[3:5] == [
        ["tone alone", "undecided: 12 more seeds would tell", "83.2%", "", "+0.2", "-0.8 to +1.2"],
        ["all", "pays, but harms class 9", "84.1%", "", "+1.1", "+0.1 to +2.1"],
    ]
    measures = rows_of(page, 1)
    assert measures[1] == ["none", "1.00", "1.00", "", "falls no more"]
    assert measures[5] == ["trivialaugment", "0.50", "4.00", "0.004", "still falls"]
    assert "1 of 3 classes is harmed by an arm, marked ▼." in text
    assert rows_of(page, 2) == [
        ["class", "none", "geometry alone", "tone alone", "all", "trivialaugment"],
        ["9", "79.0%", "+3.0", "+0.2", "▼ -20.0", "-16.0"],  # the harmed one first
        ["0", "90.0%", "+3.0", "+0.2", "+3.0", "-16.0"],
        ["6", "80.0%", "+3.0", "+0.2", "+3.0", "-16.0"],
    ]
    assert "<summary>tone alone</summary><pre>- RandomGamma</pre>" in page
    assert "<pre>- {Rotate: {limit: 15}}</pre>" in page


def test_it_needs_nothing_else_and_is_the_same_each_time() -> None:
    page = render(digits())
    assert needs_nothing(page)
    assert page == render(digits())


def test_each_drawing_says_what_it_shows() -> None:
    page = render(digits())
    drawings = re.findall(r"<svg (.*?)>", page)
    assert len(drawings) == 1 + 4 + 3 + 2  # the ruler, four arms, the key, two charts
    assert all('aria-label="' in one or 'aria-hidden="true"' in one for one in drawings)


def test_names_of_classes_and_arms_are_shown_and_not_run() -> None:
    harmed = {ATTACK: classes_of(0.0)["9"]._replace(harmed=True)}
    found = ablation(arm(f"{ATTACK} alone", 0.02, f"harms class {ATTACK}", classes=harmed))
    found = found._replace(arms=[found.arms[0]._replace(classes=harmed), found.arms[1]])
    shown = Elements(render(found))
    assert "img" not in shown.names
    assert shown.text.count(ATTACK) >= 8  # plots, legend, tables, verdict, the arms


def many(arms: int, classes: int) -> Ablation:
    names = [f"class {i:04}" for i in range(classes)]
    own = {name: classes_of(0.0)["0"] for name in names}
    found = ablation(*(arm(f"all but {i}", 0.001 * i, "pays", classes=own) for i in range(arms)))
    return found._replace(arms=[found.arms[0]._replace(classes=own), *found.arms[1:]])


def test_a_thousand_classes_and_twenty_arms_fold() -> None:
    page = render(many(20, 1000))
    text = Elements(page).text
    assert f"{1000 - MOST_CLASSES} more: variegate ablate --json lists all." in text
    assert f"and {21 - MOST_LINES} more" in text
    assert "No class is harmed by any arm, as far as can be told." in text
    assert len(page) < 400_000


def test_a_training_without_a_loss_is_left_out_of_plots() -> None:
    lost = arm("all", -0.7, "too much", diversity=math.nan, affinity=math.nan)
    found = ablation(lost, curves={"none": [2.0, 1.0], "all": [math.nan, math.inf]})
    page = render(found)
    assert not re.search(r'="[^"]*(nan|inf)\b', page)
    assert rows_of(page, 1)[2] == ["all", "", "", "0.004", "falls no more"]
