"""Which words follow from which evidence, and in which order reasons count."""

import math

import numpy as np
import pytest

from tasks.studies.ablate.verdicts import (
    Evidence,
    still_falls,
    underfits,
    verdict,
    worthwhile_gain,
)
from tasks.studies.statistics import Difference

NOT_TOLD = Difference(0.002, -0.012, 0.016, 0.8)
BETTER = Difference(0.02, 0.011, 0.029, 0.001)
WORSE = Difference(-0.05, -0.06, -0.04, 0.001)
KNOWN_ZERO = Difference(0.001, -0.004, 0.006, 0.7)
HARMED = ["dress"]


@pytest.mark.parametrize(
    "difference, is_underfit, harmed, more_seeds, expected",
    [
        (BETTER, False, [], 3, "pays"),
        (BETTER, True, [], 3, "pays"),  # harder images, better models: as it is meant
        (BETTER, False, HARMED, 3, "pays, but harms class dress"),
        (WORSE, False, [], 3, "does not pay"),
        (WORSE, False, HARMED, 3, "does not pay"),
        (WORSE, True, [], 3, "too much: underfitting, train longer or weaken it"),
        (WORSE, True, HARMED, 3, "too much: underfitting, train longer or weaken it"),
        (KNOWN_ZERO, False, [], 3, "undecided: 0.6 points to gain at most"),
        (KNOWN_ZERO, True, [], None, "undecided: 0.6 points to gain at most"),
        (KNOWN_ZERO, False, HARMED, 3, "harms class dress"),
        (NOT_TOLD, False, HARMED, 3, "harms class dress"),
        (NOT_TOLD, True, [], 3, "undecided: 3 more seeds would tell"),
        (NOT_TOLD, False, [], 1, "undecided: 1 more seed would tell"),
        (NOT_TOLD, False, [], 120, "undecided: 120 more seeds would tell"),
        (NOT_TOLD, False, [], None, "undecided: more validation images would tell"),
        (WORSE._replace(p=0.06), True, [], 2, "undecided: 0.0 points to gain at most"),
        (BETTER._replace(p=0.06), False, [], 2, "undecided: 2 more seeds would tell"),
    ],
)
def test_verdicts(
    difference: Difference,
    is_underfit: bool,
    harmed: list[str],
    more_seeds: int | None,
    expected: str,
) -> None:
    assert verdict(Evidence(difference, 0.01, is_underfit, harmed, more_seeds)) == expected


@pytest.mark.parametrize(
    "harmed, expected",
    [
        (["a", "b"], "harms classes a, b"),
        (["a", "b", "c"], "harms classes a, b, c"),
        (["a", "b", "c", "d", "e"], "harms classes a, b, c and 2 more"),
    ],
)
def test_of_many_harmed_classes_the_first_are_named(harmed: list[str], expected: str) -> None:
    assert verdict(Evidence(NOT_TOLD, 0.01, False, harmed, 3)) == expected


def test_a_point_matters_but_of_few_mistakes_a_fifth() -> None:
    assert worthwhile_gain(0.5, 1000) == worthwhile_gain(0.9, 1000) == 0.01
    assert worthwhile_gain(0.98, 1000) == pytest.approx(0.004)
    assert worthwhile_gain(1.0, 1000) == 0.001
    assert worthwhile_gain(0.5, 50) == 0.02  # an image


def test_too_little_is_what_models_without_augmentation_know_of_unseen_images() -> None:
    assert not underfits(0.49, 0.5)
    assert underfits(0.51, 0.5)
    assert not underfits(math.nan, 0.5)  # no model: known by its accuracy


@pytest.mark.parametrize(
    "losses, falls",
    [
        (2.0 ** -np.arange(16), False),  # halved in each epoch: done long before the end
        (2.0 - 0.1 * np.arange(16), True),  # a line
        (1 / (1 + np.arange(16)), False),
        (np.linspace(2.3, 2.0, 16) ** 2, True),
        (np.full(16, 2.3), False),  # nothing is learned
        (np.linspace(1, 2, 16), False),
        (np.array([1.0, 0.9, 0.8]), True),  # too few epochs to tell
        (np.array([1.0, 0.5, 0.3, 0.29]), False),
        (np.array([1.0, 0.8, 0.6, 0.4]), True),
        (np.full(8, np.nan), False),
    ],
)
def test_a_loss_still_falls_where_the_last_quarter_brings_a_tenth(
    losses: np.ndarray, falls: bool
) -> None:
    assert still_falls(losses) is falls


def test_the_end_of_a_rate_that_goes_to_0_says_nothing() -> None:
    # a line that lies flat in the last two of twenty epochs, where steps have no length any more
    losses = np.array([*np.linspace(2, 1, 18), 1.0, 1.0])
    assert still_falls(losses)
