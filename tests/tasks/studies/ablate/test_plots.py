"""Plots of an ablation: places computed by hand."""

from tasks.studies.ablate.plots import LEAST, MOST, differences, losses, tradeoff
from tasks.studies.charts import HEIGHT, MOST_LINES, WIDTH, Tick
from tests.tasks.studies.ablate.found import ablation, arm, digits


def test_each_seed_is_held_against_that_of_none() -> None:
    plot = differences(digits())
    assert [row.arm.name for row in plot.rows][:2] == ["geometry alone", "tone alone"]
    assert [round(seed, 6) for seed in plot.rows[0].arm.seeds] == [0.025, 0.03, 0.035]
    assert [row.arm.told for row in plot.rows] == [True, False, True, True]
    assert [row.bar.style for row in plot.rows] == ["better", "open", "better", "worse"]


def test_affinity_lies_across_and_diversity_up() -> None:
    found = ablation(arm("all", -0.1, "does not pay", affinity=0.6, diversity=3.0))
    plot = tradeoff(found.arms)
    assert plot.across == [Tick(i * WIDTH / 4, f"{0.6 + i / 10:.1f}") for i in range(5)]
    assert plot.up == [Tick(HEIGHT * (1 - i / 4), f"{1 + i / 2:.1f}") for i in range(5)]
    none, all_steps = plot.marks
    assert (none.x, none.y, none.radius) == (WIDTH, HEIGHT, LEAST)
    assert (all_steps.x, all_steps.y, all_steps.radius) == (0, 0, MOST)
    assert (none.shape, all_steps.shape) == ("cross", "square")
    assert all_steps.title == "all: affinity 0.60, diversity 3.00, -10.0 points"
    assert (none.name, all_steps.name) == ("none", "all")


def test_losses_are_lines_over_epochs() -> None:
    plot = losses({"none": [2.0, 1.0, 0.5], "all": [2.0, 1.5, 1.0]})
    assert plot.across == [Tick(0, "1"), Tick(WIDTH / 2, "2"), Tick(WIDTH, "3")]
    assert [one.name for one in plot.lines] == ["none", "all"]
    assert plot.lines[0].points == f"0.0,0.0 {WIDTH / 2},{HEIGHT / 2} {WIDTH}.0,{HEIGHT * 0.75}"
    assert plot.left_out == 0
    of_many = losses({str(i): [1.0] for i in range(20)})
    assert (len(of_many.lines), of_many.left_out) == (MOST_LINES, 20 - MOST_LINES)
    assert losses({}).lines == []
