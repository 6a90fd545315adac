"""What `variegate ablate` prints."""

import math
from collections.abc import Callable

import pytest

from flows.console import tables
from flows.console.ablate import MOST_CLASSES, ablation_tables
from tasks.studies.ablate import wording
from tasks.studies.ablate.ablate import Ablation
from tests.tasks.studies.ablate.found import ablation, arm, classes_of, digits

Printed = Callable[[Ablation], list[str]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """The lines that are printed of an ablation."""

    def show(found: Ablation) -> list[str]:
        tables.show(ablation_tables(found))
        return capsys.readouterr().out.splitlines()

    return show


def test_an_ablation_says_what_each_arm_does_and_ends_with_the_answer(printed: Printed) -> None:
    lines = printed(digits())
    assert [line.split("  ")[0] for line in lines[1:6]] == [
        "none", "geometry alone", "tone alone", "all", "trivialaugment",
    ]  # fmt: skip
    heads = "arm verdict accuracy points 95% interval affinity diversity"
    assert lines[0].split() == heads.split()
    much = "too much: underfitting, train longer or weaken it"
    assert lines[1].split() == ["none", "83.0%", "1.00", "1.00"]
    assert lines[5] == (
        f"trivialaugment  {much}     67.0%   -16.0  -17.0 to -15.0      0.50       4.00"
    )
    assert lines[6:11] == [
        "",
        "classes that lose by an arm:",
        "  arm  class  accuracy  points    95% interval",
        "  all  9         59.0%   -20.0  -22.0 to -18.0",
        "",
    ]
    assert " ".join(lines[11:13]) == wording.summary(digits())
    assert lines[13:] == [
        "",
        "falling    the training loss of trivialaugment still falls at its end",
        "trained    3 seeds, 3 epochs of 1,000 images each, whatever the arm",
        "judged by  240 validation images",
    ]


def test_of_many_classes_that_lose_some_are_printed(printed: Printed) -> None:
    harmed = classes_of(-0.2)["9"]._replace(harmed=True)
    classes = {f"class {number}": harmed for number in range(MOST_CLASSES + 2)}
    lines = printed(ablation(arm("all", 0.0, "harms", classes=classes)))
    assert sum("-22.0 to -18.0" in line for line in lines) == MOST_CLASSES
    assert "2 more: --json lists all" in lines


def test_an_arm_of_which_no_training_ended_has_no_diversity(printed: Printed) -> None:
    lines = printed(ablation(arm("all", -0.8, "does not pay", diversity=math.nan)))
    assert lines[2].endswith("0.95   no model")
