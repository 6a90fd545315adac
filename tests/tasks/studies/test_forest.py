"""Forest plots: places computed by hand."""

from tasks.studies.charts import Tick
from tasks.studies.forest import MARGIN, WIDTH, Compared, forest, look


def test_differences_lie_in_points_on_one_scale() -> None:
    better = Compared("tone alone", 0.84, 0.04, 0.02, 0.06, [0.03, 0.05], True, "pays")
    worse = Compared("all", 0.78, -0.02, -0.04, 0.0, [-0.02, -0.02], False, "undecided")
    plot = forest("none", 0.8, [better, worse])
    unit = (WIDTH - 2 * MARGIN) / 15  # from -5 to +10 points
    assert plot.ticks == [
        Tick(MARGIN + round(5 * i * unit, 1), text)
        for i, text in enumerate(["-5", "0", "+5", "+10"])
    ]
    assert plot.zero == round(100 * (MARGIN + round(5 * unit, 1)) / WIDTH, 2)
    first, second = plot.rows
    assert first.bar.at == round(MARGIN + 9 * unit, 1)
    assert (first.bar.low, first.bar.high) == (
        round(MARGIN + 7 * unit, 1),
        round(MARGIN + 11 * unit, 1),
    )
    assert first.bar.seeds == [round(MARGIN + 8 * unit, 1), round(MARGIN + 10 * unit, 1)]
    assert first.bar.title == ("tone alone: +4.0 points (+2.0 to +6.0); single seeds +3.0, +5.0")
    assert (first.bar.shape, first.bar.style) == ("circle", "better")
    assert (second.bar.shape, second.bar.style) == ("ring", "open")
    assert (plot.reference, plot.accuracy, first.arm) == ("none", 0.8, better)


def test_what_differs_is_told_by_shapes_too() -> None:
    assert look(0.01, told=True) == ("circle", "better")
    assert look(-0.01, told=True) == ("square", "worse")
    assert look(-0.5, told=False) == ("ring", "open")


def test_without_arms_there_is_an_empty_plot() -> None:
    assert forest("none", 0.8, []).rows == []
