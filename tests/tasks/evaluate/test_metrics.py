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


def test_each_bin_holds_its_upper_edge_and_gaps_within_a_bin_cancel() -> None:
    # of four bins 0.5 and 0.75 are the upper edges of the second and third
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25], [0.25, 0.75], [0.6, 0.4]])
    targets = np.array([0, 1, 1, 0])
    # second: |0.5 - 1|; third: |(0.75 - 0) + (0.75 - 1) + (0.6 - 1)|
    assert calibration_error(probabilities, targets, 4) == pytest.approx((0.5 + 0.1) / 4)
    # of two bins the first ends at 0.5: the others lie in the second
    assert calibration_error(probabilities, targets, 2) == pytest.approx((0.5 + 0.1) / 4)
    thirds = np.full((1, 3), 1 / 3)
    assert calibration_error(thirds, np.array([1]), 3) == pytest.approx(1 / 3)


def test_every_number_of_the_metrics_by_hand() -> None:
    # cat: 2 of 3 right, and 1 of 1; dog: 1 image, never said; emu: said once, no image
    probabilities = np.array([[0.7, 0.1, 0.2], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2]])
    found = summarise(probabilities, np.array([0, 0, 0, 1]), ["cat", "dog", "emu"], bins=5)
    loss = -sum(map(math.log, (0.7, 0.6, 0.2, 0.3))) / 4
    # bins of 0.2: 0.6, 0.6 and 0.5 lie in (0.4, 0.6], of which one is right; 0.7 alone
    gap = (abs(0.6 + 0.6 + 0.5 - 1) + abs(0.7 - 1)) / 4
    assert found == {
        "images": 4,
        "accuracy": 0.5,
        "balanced_accuracy": 0.333333,  # (2 / 3 + 0) / 2, without emu
        "macro_f1": 0.333333,
        "log_loss": round(loss, 6),
        "calibration_error": round(gap, 6),
        "per_class": {
            "cat": {"precision": 0.666667, "recall": 0.666667, "f1": 0.666667, "images": 3},
            "dog": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "images": 1},
            "emu": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "images": 0},
        },
    }
    assert confusion(probabilities, np.array([0, 0, 0, 1])).tolist() == [
        [2, 0, 1],
        [1, 0, 0],
        [0, 0, 0],
    ]
