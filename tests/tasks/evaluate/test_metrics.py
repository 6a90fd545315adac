"""The metrics of the test split, against numbers found by hand."""

import math
import time

import numpy as np
import pytest
import torch

from tasks.evaluate.metrics import (
    Outcomes,
    calibration_error,
    confusion,
    outcomes_from,
    outcomes_of,
    probabilities_of,
    summarise,
)

# four images of two classes: right, right, wrong, right
PROBABILITIES = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
TARGETS = np.array([0, 0, 1, 1])
FOUR = outcomes_from(PROBABILITIES, TARGETS)


def test_numbers_by_hand() -> None:
    found = summarise(FOUR, ["cat", "dog"], bins=10)
    assert found["images"] == 4
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == (1 + 0.5) / 2
    cat_f1, dog_f1 = 2 * (2 / 3) * 1 / (2 / 3 + 1), 2 * 1 * 0.5 / 1.5
    assert found["macro_f1"] == pytest.approx((cat_f1 + dog_f1) / 2, abs=1e-6)
    assert found["log_loss"] == pytest.approx(
        -sum(map(math.log, (0.9, 0.6, 0.2, 0.7))) / 4, abs=1e-6
    )
    dog = found["per_class"]["dog"]
    assert {name: dog[name] for name in ("precision", "recall", "f1", "images")} == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": 0.666667,
        "images": 2,
    }


def test_calibration_error_by_hand() -> None:
    # each image is alone in its bin: |0.9-1|, |0.6-1|, |0.8-0|, |0.7-1|, each with a weight of 1/4
    assert calibration_error(FOUR, 10) == pytest.approx((0.1 + 0.4 + 0.8 + 0.3) / 4)
    # one bin: mean confidence 0.75, accuracy 0.75
    assert calibration_error(FOUR, 1) == pytest.approx(0)
    certain = outcomes_from(np.array([[1.0, 0.0]]), np.array([0]))
    assert calibration_error(certain, 15) == 0


def test_each_bin_holds_its_upper_edge_and_gaps_within_a_bin_cancel() -> None:
    # of four bins 0.5 and 0.75 are the upper edges of the second and third
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25], [0.25, 0.75], [0.6, 0.4]])
    found = outcomes_from(probabilities, np.array([0, 1, 1, 0]))
    # second: |0.5 - 1|; third: |(0.75 - 0) + (0.75 - 1) + (0.6 - 1)|
    assert calibration_error(found, 4) == pytest.approx((0.5 + 0.1) / 4)
    # of two bins the first ends at 0.5: the others lie in the second
    assert calibration_error(found, 2) == pytest.approx((0.5 + 0.1) / 4)
    thirds = outcomes_from(np.full((1, 3), 1 / 3), np.array([1]))
    assert calibration_error(thirds, 3) == pytest.approx(1 / 3)


def test_a_class_without_test_images_does_not_count_in_the_means() -> None:
    three = outcomes_from(np.column_stack([PROBABILITIES, np.zeros(4)]), TARGETS)
    found = summarise(three, ["cat", "dog", "emu"], bins=10)
    assert found["balanced_accuracy"] == 0.75
    emu = found["per_class"]["emu"]
    assert (emu["images"], emu["recall_low"], emu["recall_high"]) == (0, 0.0, 1.0)


# cat: 2 of 3 right, and 1 of 1; dog: 1 image, never said; emu: said once, no image
THREE = outcomes_from(
    np.array([[0.7, 0.1, 0.2], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2]]),
    np.array([0, 0, 0, 1]),
)


def test_every_number_of_the_metrics_by_hand() -> None:
    found = summarise(THREE, ["cat", "dog", "emu"], bins=5)
    loss = -sum(map(math.log, (0.7, 0.6, 0.2, 0.3))) / 4
    # bins of 0.2: 0.6, 0.6 and 0.5 lie in (0.4, 0.6], of which one is right; 0.7 alone
    gap = (abs(0.6 + 0.6 + 0.5 - 1) + abs(0.7 - 1)) / 4
    points = {name: value for name, value in found.items() if not name.endswith(("_low", "_high"))}
    del points["per_class"]
    assert points == {
        "images": 4,
        "accuracy": 0.5,
        "balanced_accuracy": 0.333333,  # (2 / 3 + 0) / 2, without emu
        "macro_f1": 0.333333,
        "log_loss": round(loss, 6),
        "calibration_error": round(gap, 6),
    }
    assert found["per_class"]["cat"] == {
        "precision": 0.666667,
        "precision_low": 0.20766,
        "precision_high": 0.938508,
        "recall": 0.666667,
        "recall_low": 0.20766,
        "recall_high": 0.938508,
        "f1": 0.666667,  # 2 of the 4 that are cats or are said to be
        "f1_low": pytest.approx(2 * 0.150039 / 1.150039, abs=2e-6),
        "f1_high": pytest.approx(2 * 0.849961 / 1.849961, abs=2e-6),
        "images": 3,
    }
    assert confusion(THREE, 3).tolist() == [[2, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_every_figure_lies_in_its_interval_and_few_right_images_are_no_certainty() -> None:
    right = outcomes_from(np.tile([[0.95, 0.05], [0.05, 0.95]], (5, 1)), np.tile([0, 1], 5))
    for outcomes in (FOUR, THREE, right):
        found = summarise(outcomes, ["cat", "dog", "emu"], bins=5)
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "calibration_error"):
            assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    found = summarise(right, ["cat", "dog"], bins=5)
    assert found["accuracy_low"] == round(10 / (10 + 1.959964**2), 6)
    assert found["balanced_accuracy_low"] < 0.75 and found["macro_f1_low"] < 0.85
    assert found["per_class"]["cat"]["recall_low"] == round(5 / (5 + 1.959964**2), 6)


def test_images_that_belong_together_are_less_evidence() -> None:
    many = Outcomes(*(np.tile(values, 50) for values in FOUR))
    alone = summarise(many, ["cat", "dog"], bins=10)
    grouped = summarise(many, ["cat", "dog"], bins=10, units=np.repeat(np.arange(50), 4))
    assert "independent" not in alone and grouped["independent"] == 50
    assert alone["accuracy"] == grouped["accuracy"]
    assert grouped["accuracy_low"] < alone["accuracy_low"]


def test_a_temperature_changes_no_prediction_and_probabilities_are_made_in_parts() -> None:
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, 3, (5000, 4))).float()
    targets = np.zeros(5000, int)
    plain, cold = outcomes_of(logits, targets), outcomes_of(logits, targets, 0.5)
    assert (plain.predicted == cold.predicted).all()
    assert (cold.confidence > plain.confidence).all()
    expected = torch.softmax(logits.double() / 0.5, 1)
    assert cold.of_label == pytest.approx(expected[:, 0].numpy())
    assert np.abs(probabilities_of(logits, 0.5) - expected.numpy()).max() < 1e-6


@pytest.mark.slow
def test_many_images_of_many_classes_take_seconds() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 1000, 100_000)
    predicted = np.where(generator.random(100_000) < 0.8, targets, targets[::-1])
    outcomes = Outcomes(targets, predicted, generator.random(100_000), generator.random(100_000))
    started = time.monotonic()
    summarise(outcomes, [str(number) for number in range(1000)], 15)
    assert time.monotonic() - started < 60
