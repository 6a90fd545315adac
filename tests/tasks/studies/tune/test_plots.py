"""Plots of a tuning: places computed by hand."""

from tasks.studies.charts import HEIGHT, WIDTH, Tick
from tasks.studies.tune.plots import MARGIN, best_so_far, by_choice
from tests.tasks.studies.tune.found import pruned, trial


def test_each_kind_has_a_column_and_a_strength_its_place_in_it() -> None:
    plot = by_choice(
        [
            trial(0, "none", 0.80),
            trial(1, "strength", 0.90, choice={"strength": 0.25}),
            trial(2, "randaugment", None),
            pruned(3, "randaugment", 0.82),
        ]
    )
    unit = WIDTH / 4  # none, strength twice as wide, randaugment
    assert plot.across == [
        Tick(unit / 2, "none"),
        Tick(2 * unit, "own policy\nby strength"),
        Tick(3.5 * unit, "randaugment"),
    ]
    assert [tick.text for tick in plot.up] == ["80%", "85%", "90%"]
    none, half, hopeless, second = plot.marks
    assert (none.x, none.y, none.shape) == (unit / 2, HEIGHT, "circle")
    assert half.x == unit + MARGIN + 0.25 * (2 * unit - 2 * MARGIN)
    assert half.y == 0
    assert (hopeless.y, hopeless.shape) == (HEIGHT, "cross")
    assert hopeless.x == 3 * unit + MARGIN + (unit - 2 * MARGIN) / 4  # side by side
    assert second.x == 3 * unit + MARGIN + (unit - 2 * MARGIN) * 3 / 4
    assert second.shape == "ring"
    assert half.title == "trial 2, own policy, by strength, strength 0.25: complete, 90.0%"
    assert [mark.name for mark in plot.marks] == ["1", "2", "3", "4"]


def test_the_best_so_far_is_a_stair_of_complete_trials() -> None:
    plot = best_so_far(
        [
            pruned(0, "none", 0.90),  # not comparable
            trial(1, "none", 0.80),
            trial(2, "randaugment", 0.85),
            trial(3, "randaugment", 0.82),
        ]
    )
    assert [tick.text for tick in plot.across] == ["1", "2", "3", "4"]
    third = WIDTH / 3
    [line] = plot.lines
    half = HEIGHT / 2
    assert line.points == (
        f"{third},{HEIGHT}.0 {2 * third},{HEIGHT}.0 {2 * third},{half} {WIDTH}.0,{half}"
    )
    assert [mark.shape for mark in plot.marks] == ["ring", "circle", "circle", "circle"]
