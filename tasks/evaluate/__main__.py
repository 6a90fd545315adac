"""Run the evaluate stage: judge the best weights on the test split and write the report."""

import shutil
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from tasks.common import errors, events, tables
from tasks.common.params import read_params
from tasks.common.temporary import atomic_write
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.paths import (
    CONFUSION,
    DATA_REPORT,
    EVALUATE_METRICS,
    HISTORY,
    LEDGER,
    PREDICTIONS,
    REPORT,
    VALIDATE_REPORT,
)
from tasks.dataset.selections import usable
from tasks.dataset.variant_measures import read_measured
from tasks.evaluate import metrics, report
from tasks.evaluate.params import EvaluateParams
from tasks.model import image_array
from tasks.model.device import choose_device, fix_randomness
from tasks.model.images import InputForm
from tasks.model.inference import predict
from tasks.model.saved_model import load_model
from tasks.train.params import TrainParams


def predict_files(files: pd.DataFrame, network: nn.Module, form: InputForm) -> np.ndarray:
    """The class probabilities of images: float64 (files, classes), rows add up to 1.

    Args:
        files: see image_array.split_files().
        network: from uint8 images to logits.
        form: of its input.
    """
    device = choose_device()
    network.to(device)
    with image_array.decoded_images(files, form, "decoding test images") as array:
        logits = predict(network, array, device)
    return torch.softmax(logits.double(), dim=1).numpy()


def prediction_rows(
    test: pd.DataFrame, probabilities: np.ndarray, classes: list[str]
) -> pd.DataFrame:
    """The content of reports/predictions.csv: a row for each row of `test`.

    Returns:
        source_id, file_name, label; `predicted`, the likeliest class, and its `probability`;
        `probability_of_label`; probabilities to 6 digits.
    """
    targets = [classes.index(label) for label in test["label"]]
    rows = test[["source_id", "file_name", "label"]].copy()
    rows["predicted"] = [classes[i] for i in probabilities.argmax(axis=1)]
    rows["probability"] = probabilities.max(axis=1).round(6)
    rows["probability_of_label"] = probabilities[np.arange(len(rows)), targets].round(6)
    return rows


def main() -> None:
    """Run the stage."""
    params = read_params("evaluate", EvaluateParams)
    train_params = read_params("train", TrainParams)
    fix_randomness(train_params.seed, train_params.threads)
    network, card = load_model()
    validated, ledger = read_validated(), read_ledger()
    files = image_array.split_files(validated, "test")
    probabilities = predict_files(files, network, InputForm.from_card(card))

    classes = card["classes"]
    targets = np.array([classes.index(label) for label in files["label"]])
    numbers = metrics.summarise(probabilities, targets, classes, params.calibration_bins)
    predictions = prediction_rows(usable(validated, "test"), probabilities, classes)
    write_tables(numbers, predictions)
    findings = report.Findings(
        validated=validated,
        ledger=ledger,
        measured=read_measured(LEDGER),
        history=pd.read_csv(HISTORY),
        numbers=numbers,
        confusion=metrics.confusion(probabilities, targets),
        predictions=predictions,
        card=card,
    )
    write_report(report.render(findings, params.worst_mistakes))
    names = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "calibration_error")
    events.report_counts(test_images=numbers["images"], **{name: numbers[name] for name in names})
    events.emit("link", text="report", path=str(REPORT))


def write_tables(numbers: dict[str, Any], predictions: pd.DataFrame) -> None:
    """Write the metrics, the predictions, and what DVC draws the confusion matrix from."""
    tables.write_json(EVALUATE_METRICS, numbers)
    actual = predictions.rename(columns={"label": "actual"})
    tables.write_csv(CONFUSION, actual[["actual", "predicted"]])
    tables.write_csv(PREDICTIONS, predictions)


def write_report(page: str) -> None:
    """Write the report and, beside it, a copy of what validate found, to which it links."""
    with atomic_write(REPORT) as temporary:
        temporary.write_text(page, encoding="utf-8")
    with atomic_write(DATA_REPORT) as temporary:  # the old one may be a link into DVC's cache
        shutil.copyfile(VALIDATE_REPORT, temporary)


if __name__ == "__main__":
    errors.run(main)
