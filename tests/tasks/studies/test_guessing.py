"""Models that have learned nothing are told."""

import numpy as np

from tasks.studies.guessing import guessing

LABELS = np.arange(100) % 4
UNITS = np.arange(100)


def test_models_that_may_be_guessing_are_told() -> None:
    assert guessing(0.33, LABELS, UNITS) == (
        "trained on originals, models are right on 33.0% of 100 validation images; who always "
        "names the largest class is right on 25.0%. That is too little to judge augmentation by: "
        "raise train.epochs, or have more images"
    )


def test_models_that_surely_know_more_are_not() -> None:
    assert guessing(0.35, LABELS, UNITS) == ""  # Wilson's interval begins at 26%
    assert guessing(0.35, LABELS, UNITS // 10) != ""  # ten units tell less


def test_the_largest_class_is_what_counts() -> None:
    assert guessing(0.9, np.minimum(LABELS, 1) * 0, UNITS) != ""
