"""Intervals hold the truth as often as they say, and are wide where images are few."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from tasks.evaluate.intervals import (
    Interval,
    bootstrap,
    effective_units,
    in_numbers,
    in_percent,
    independent_units,
    of_mean,
    wilson,
)


def test_wilson_by_hand() -> None:
    # of 5 right of 5: 5 / (5 + z^2); of 262 of 264 as statsmodels' proportion_confint gives it
    assert wilson(1.0, 5).low == pytest.approx(5 / (5 + 1.959964**2))
    assert wilson(1.0, 5).high == 1
    assert wilson(0.0, 5).low == 0
    assert wilson(0.0, 0) == Interval(0, 1)
    found = wilson(262 / 264, 264)
    assert (round(float(found.low), 4), round(float(found.high), 4)) == (0.9728, 0.9979)


@pytest.mark.parametrize("share", [0.6, 0.9, 0.99])
def test_wilson_holds_the_truth_in_about_95_of_100_cases(share: float) -> None:
    right = np.random.default_rng(0).binomial(200, share, 5_000)
    low, high = wilson(right / 200, np.full(5_000, 200))
    assert ((low <= share) & (share <= high)).mean() == pytest.approx(0.95, abs=0.025)


def test_the_mean_of_one_share_has_its_interval() -> None:
    ends = wilson(np.array([0.8]), np.array([50]))
    found = of_mean(np.array([0.8]), ends)
    assert [float(found.low), float(found.high)] == pytest.approx([ends.low[0], ends.high[0]])


def mean_ends(values: np.ndarray, strata: np.ndarray) -> list[float]:
    sums = sparse.csr_array(np.column_stack([values, np.ones(len(values))]))
    found = bootstrap(sums, strata, lambda each: (each[:, 0] / each[:, 1])[:, None])
    return [float(found.low[0]), float(found.high[0])]


def test_the_bootstrap_of_a_mean_is_what_theory_says_and_the_same_each_time() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    one = np.zeros(400, int)
    half = 1.96 * values.std() / 20
    assert mean_ends(values, one) == pytest.approx(
        [values.mean() - half, values.mean() + half], abs=0.02
    )
    assert mean_ends(values, one) == mean_ends(values, one)


def test_what_differs_between_strata_widens_nothing() -> None:
    values = np.repeat([0.0, 10.0], 50)
    assert mean_ends(values, np.repeat([0, 1], 50)) == [5, 5]
    low, high = mean_ends(values, np.zeros(100, int))
    assert low < 4.2 and high > 5.8


def test_images_of_a_group_or_that_look_alike_are_one_unit() -> None:
    rows = pd.DataFrame(
        {
            "group_id": ["a", None, "a", "b", None, None],
            "cluster": [None, "x", "x", None, None, None],
        }
    )
    assert independent_units(rows).tolist() == [0, 0, 0, 1, 2, 3]
    alone = pd.DataFrame({"group_id": [None, None], "cluster": [None, None]})
    assert independent_units(alone).tolist() == [0, 1]


def test_a_unit_with_most_of_the_images_leaves_little_evidence() -> None:
    assert effective_units(np.array([5, 5, 5])) == 3
    assert effective_units(np.array([900, *[1] * 100])) == pytest.approx(1000**2 / 810_100)
    assert effective_units(np.array([])) == 0


def test_intervals_of_units_of_unequal_size_hold_the_truth() -> None:
    generator, holds = np.random.default_rng(0), 0
    for _ in range(400):
        sizes = np.maximum(1, generator.lognormal(1.5, 1, 100)).astype(int)
        share = sizes[generator.random(100) < 0.85].sum() / sizes.sum()
        low, high = wilson(share, effective_units(sizes))
        holds += bool(low <= 0.85 <= high)
    assert 0.93 <= holds / 400 <= 0.98  # as if all units told as much: 0.81


def test_figures_in_words() -> None:
    assert in_percent(0.9924, 0.987, 0.997) == "99.24% (98.7 to 99.7)"
    assert in_numbers(0.07748, 0.0512, 0.1103) == "0.0775 (0.0512 to 0.1103)"
