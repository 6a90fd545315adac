"""Places of histograms: every value falls into the bin that its bar names."""

import math

import pytest

from flows.explorer.charts import HEIGHT, WIDTH, Axis, axis_of, histogram
from tasks.dataset.columns import MEASURES

# measure, lowest and highest value; ends of the axis, bins, whether values lie beyond
AXES = [
    ("border", 0.0, 0.38, 0.0, 0.4, 20, False),
    ("clipped_low", 0.0, 0.0, 0.0, 1.0, 20, False),  # all are untouched
    ("kept", 0.62, 0.97, 0.6, 1.0, 20, False),  # holds what an untouched image has
    ("sharpness", 0.2, 140.0, 0.0, 2.0, 20, True),
    ("contrast", 0.9, 1.1, 0.9, 1.1, 20, False),
    ("similarity", -0.3, 0.99, -0.5, 1.0, 15, False),
    ("encoding_psnr", 31.0, 48.0, 30.0, 50.0, 20, False),  # an untouched image has no end
]


@pytest.mark.parametrize("case", AXES, ids=[case[0] for case in AXES])
def test_axes_have_round_ends_and_hold_an_untouched_image(case: tuple) -> None:
    measure, lowest, highest, low, high, bins, more = case
    axis = axis_of(measure, lowest, highest)
    assert (axis.scale.low, axis.scale.high) == pytest.approx((low, high))
    assert (axis.bins, axis.more) == (bins, more)
    drawn = histogram(measure, axis, {0: 1})
    assert (drawn.untouched is None) == (measure == "encoding_psnr")


@pytest.mark.parametrize("measure", MEASURES)
def test_a_whole_number_of_bins_lies_between_two_ticks(measure: str) -> None:
    for highest in (0.003, 0.07, 0.5, 0.99, 1.0, 1.7, 60.0):
        axis = axis_of(measure, 0.0, highest)
        ticks = {tick.at for tick in axis.scale.ticks()}
        places = {round(WIDTH * number / axis.bins, 1) for number in range(axis.bins + 1)}
        assert ticks <= places and 15 <= axis.bins <= 25, highest


def test_bars_are_shares_and_say_so() -> None:
    axis = axis_of("border", 0.0, 0.38)
    drawn = histogram("border", axis, {0: 30, 1: 1, 19: 969})
    assert [bar.title for bar in drawn.bars] == [
        "0 to 0.02: 30 of 1,000 variants, 3.0%",
        "0.02 to 0.04: 1 of 1,000 variants, 0.1%",
        "0.38 to 0.4: 969 of 1,000 variants, 96.9%",
    ]
    assert [(bar.x, bar.width) for bar in drawn.bars] == [(0.0, 16.0), (16.0, 16.0), (304.0, 16.0)]
    assert [bar.height for bar in drawn.bars] == [2.7, 1.0, 87.2]  # the rarest is seen
    assert all(math.isclose(bar.y + bar.height, HEIGHT) for bar in drawn.bars)
    # what lies before the first bin and beyond the last is counted in them
    assert [(bar.low, bar.high) for bar in drawn.bars] == [(None, 0.02), (0.02, 0.04), (0.38, None)]
    assert [tick.text for tick in drawn.up] == ["0%", "50%", "100%"]
    assert drawn.outline == ""


def test_the_last_bar_holds_all_beyond_the_end() -> None:
    axis = axis_of("sharpness", 0.2, 140.0)
    assert histogram("sharpness", axis, {19: 2}).bars[0].title.startswith("1.9 and more: 2 of 2")


def test_others_are_a_line_along_their_shares() -> None:
    axis = Axis(axis_of("border", 0.0, 1.0).scale, 2, False)
    drawn = histogram("border", axis, {0: 1}, {0: 1, 1: 3})
    assert drawn.outline == "0.0,67.5 160.0,67.5 160.0,22.5 320.0,22.5"
    assert drawn.bars[0].title == "0 to 0.5: 1 of 1 variants, 100.0%; 25.0% of the others"
