"""The metrics of the test split, against numbers found by hand."""

import math

import numpy as np
import pytest

from tasks.evaluate.metrics import calibration_error, confusion, summarise

# four images of two classes: right, right, wrong, right
PROBABILITIES = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
TARGETS = np.array([0, 0, 1, 1])


def test_numbers_by_hand() -> None:
    found = summarise(PROBABILITIES, TARGETS, ["cat", "dog"], bins=10)
    assert found["images"] == 4
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == (1 + 0.5) / 2
    cat_f1, dog_f1 = 2 * (2 / 3) * 1 / (2 / 3 + 1), 2 * 1 * 0.5 / 1.5
    assert found["macro_f1"] == pytest.approx((cat_f1 + dog_f1) / 2, abs=1e-6)
    assert found["log_loss"] == pytest.approx(
        -sum(map(math.log, (0.9, 0.6, 0.2, 0.7))) / 4, abs=1e-6
    )
    assert found["per_class"]["dog"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": 0.666667,
        "images": 2,
    }


def test_calibration_error_by_hand() -> None:
    # each image is alone in its bin: |0.9-1|, |0.6-1|, |0.8-0|, |0.7-1|, each with a weight of 1/4
    assert calibration_error(PROBABILITIES, TARGETS, 10) == pytest.approx(
        (0.1 + 0.4 + 0.8 + 0.3) / 4
    )
    # one bin: mean confidence 0.75, accuracy 0.75
    assert calibration_error(PROBABILITIES, TARGETS, 1) == pytest.approx(0)
    certain = np.array([[1.0, 0.0]])
    assert calibration_error(certain, np.array([0]), 15) == 0


def test_a_class_without_test_images_does_not_count_in_the_means() -> None:
    three = np.column_stack([PROBABILITIES, np.zeros(4)])
    found = summarise(three, TARGETS, ["cat", "dog", "emu"], bins=10)
    assert found["balanced_accuracy"] == 0.75
    assert found["per_class"]["emu"]["images"] == 0


def test_confusion_has_true_classes_in_rows() -> None:
    assert confusion(PROBABILITIES, TARGETS).tolist() == [[2, 0], [1, 1]]
