"""What the stage makes of its test images does not depend on their names or order."""

import numpy as np
import pandas as pd

from tasks.evaluate.__main__ import judge, prediction_rows, split_numbers
from tasks.evaluate.metrics import outcomes_from

IMAGES = 60


def test_the_order_of_the_images_decides_nothing() -> None:
    generator = np.random.default_rng(0)
    test = pd.DataFrame(
        {
            "source_id": [f"{number:016x}" for number in generator.permutation(IMAGES)],
            "group_id": [None, "a", "a", *[None] * (IMAGES - 3)],
            "cluster": None,
        }
    )
    probabilities = generator.dirichlet(np.ones(3), IMAGES)
    outcomes = outcomes_from(probabilities, generator.integers(0, 3, IMAGES))
    order = generator.permutation(IMAGES)
    found, again = (
        judge(test.iloc[rows], outcomes.take(rows), outcomes.take(rows), ["a", "b", "c"], 5)
        for rows in (np.arange(IMAGES), order)
    )
    assert found == again
    assert found["independent"] == IMAGES - 1
    assert found["calibration_error_uncalibrated"] == found["calibration_error"]


def test_a_row_of_the_predictions_by_hand() -> None:
    test = pd.DataFrame({"source_id": ["0"], "file_name": ["a.png"], "label": ["cat"]})
    outcomes = outcomes_from(np.array([[0.3, 0.7]]), np.array([0]))
    assert prediction_rows(test, outcomes, ["cat", "dog"]).to_dict("records") == [
        {
            "source_id": "0",
            "file_name": "a.png",
            "label": "cat",
            "predicted": "dog",
            "probability": 0.7,
            "probability_of_label": 0.3,
        }
    ]


def test_figures_of_classes_and_corruptions_are_no_metrics_that_dvc_lists() -> None:
    robust = {"accuracy": 0.9, "by_corruption": {"contrast": 0.8}}
    numbers = {"accuracy": 1.0, "per_class": {"cat": {"f1": 1.0}}, "robustness": robust}
    overall, breakdown = split_numbers(numbers)
    assert overall == {"accuracy": 1.0, "robustness": {"accuracy": 0.9}}
    assert breakdown == {"per_class": {"cat": {"f1": 1.0}}, "by_corruption": {"contrast": 0.8}}
    assert numbers["robustness"] == robust  # the report reads it afterwards
    plain = {"accuracy": 1.0, "per_class": {}}
    assert split_numbers(plain) == ({"accuracy": 1.0}, {"per_class": {}})
