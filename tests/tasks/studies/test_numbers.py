"""Accuracies and differences, in words and for JSON."""

import math

import pytest

from tasks.studies.numbers import interval, percent, points, ratio, rounded


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.0123, "+1.2"), (-0.05, "-5.0"), (0.0, "0.0"), (-0.0004, "0.0"), (0.0004, "0.0")],
)
def test_differences_are_points_with_a_sign(difference: float, text: str) -> None:
    assert points(difference) == text


def test_shares_intervals_and_ratios() -> None:
    assert percent(0.8131) == "81.3%"
    assert interval(-0.003, 0.0281) == "-0.3 to +2.8"
    assert (ratio(0.934), ratio(None), ratio(math.nan)) == ("0.93", "", "")


def test_json_has_few_digits_and_no_nan_and_leaves_arguments_of_steps_alone() -> None:
    facts = {"p": 1 / 3, "seeds": [2 / 3, math.nan], "epochs": 3, "steps": [{"limit": 1e-9}]}
    assert rounded(facts) == {
        "p": 0.333333,
        "seeds": [0.666667, None],
        "epochs": 3,
        "steps": [{"limit": 1e-9}],
    }
