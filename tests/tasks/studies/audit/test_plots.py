"""Plots over magnitude: places computed by hand."""

import pytest

from tasks.studies.audit.plots import HEIGHT, MOST_CLASSES, WIDTH, plots_of
from tasks.studies.charts import Tick
from tests.tasks.studies.audit.found import finding, findings, keeps

FLIP = ("VerticalFlip", None, None, None)


def test_each_range_has_a_plot_whose_columns_are_its_magnitudes() -> None:
    scale = finding(("Affine", "scale", 1.0, 1.2), "6", "keeps", None, 0.0)
    turn = finding(("Affine", "rotate", 0.0, 9.0), "6", "keeps", None, 0.0)
    plots = plots_of([scale, turn, scale._replace(low=1.2, high=1.4)])
    assert [plot.argument for plot in plots] == ["scale", "rotate"]
    assert plots[0].across == [Tick(WIDTH / 4, "1 to 1.2"), Tick(3 * WIDTH / 4, "1.2 to 1.4")]


def test_what_has_no_range_is_one_plot() -> None:
    turns = [finding(("D4", element, None, None), "6", "keeps", None, 0.0) for element in "hv"]
    [plot] = plots_of(turns)
    assert [tick.text for tick in plot.across] == ["h", "v"]
    [plot] = plots_of([finding(FLIP, "6", "keeps", None, 0.0)])
    assert [tick.text for tick in plot.across] == ["as it is"]


def test_shares_are_drawn_less_those_of_untouched_images() -> None:
    moves = finding(FLIP, "6", "moves", "9", 0.31)  # 26% to 36%, untouched 1%
    [plot] = plots_of([moves, *keeps("VerticalFlip", labels="05")])
    [line] = plot.lines
    [mark] = line.marks
    assert plot.up == [Tick(HEIGHT, "0%"), Tick(HEIGHT / 2, "20%"), Tick(0, "40%")]
    assert (mark.x, mark.y) == (WIDTH / 2, HEIGHT / 4)
    assert (mark.low, mark.high) == (
        pytest.approx(HEIGHT * (1 - 0.25 / 0.4), abs=0.05),
        pytest.approx(HEIGHT * (1 - 0.35 / 0.4), abs=0.05),
    )
    assert plot.threshold == HEIGHT * (1 - 0.05 / 0.4)
    others = HEIGHT * (1 - 0.01 / 0.4)  # both have 2%
    corners = (f"0.0,{others}", f"600.0,{others}", f"600.0,{others}", f"0.0,{others}")
    assert plot.band == " ".join(corners)


def test_classes_stand_side_by_side_and_what_cannot_be_told_is_not_drawn() -> None:
    rows = [row for row in findings() if row.step == "Rotate"]
    [plot] = plots_of(rows)
    assert [(line.name, len(line.marks)) for line in plot.lines] == [("5", 5), ("6", 5), ("9", 5)]
    assert [line.marks[0].x for line in plot.lines] == [32.0, 60.0, 88.0]
    assert plot.band == ""


def test_of_many_classes_those_with_the_largest_shares_are_drawn() -> None:
    rows = [finding(FLIP, f"k{i:02}", "moves", "x", 0.1 + i / 100) for i in range(20)]
    [plot] = plots_of(rows)
    assert [line.name for line in plot.lines] == [f"k{i}" for i in range(20 - MOST_CLASSES, 20)]
    assert plot.left_out == 20 - MOST_CLASSES
    assert len({mark.x for line in plot.lines for mark in line.marks}) == MOST_CLASSES
