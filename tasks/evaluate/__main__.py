"""Run the stage: judge the best weights on the test split and write the report."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tasks import errors, manifest, progress, validate
from tasks.augment import ledger
from tasks.errors import UserError
from tasks.evaluate import metrics, report
from tasks.evaluate.params import EvaluateParams
from tasks.params import read_params
from tasks.train import CARD, HISTORY, WEIGHTS, images
from tasks.train.inference import Normalise, choose_device, fix_randomness, predict
from tasks.train.model import build_model
from tasks.train.params import TrainParams

METRICS = Path("metrics/evaluate.json")
CONFUSION = Path("plots/confusion.csv")
PREDICTIONS = Path("reports/predictions.csv")
REPORT = Path("reports/index.html")
DATA_PAGE = REPORT.with_name("data.html")  # what validate found, beside it


def load_model() -> tuple[nn.Module, dict]:
    """The trained network, from uint8 images to logits, and its card.

    Raises:
        UserError: where there is none.
    """
    if not (WEIGHTS.is_file() and CARD.is_file()):
        raise UserError(f"{WEIGHTS}: not found; the train stage makes it: run `variegate run --until train`")
    try:
        card = json.loads(CARD.read_text(encoding="utf-8"))
        core = build_model(card["model"], len(card["classes"]), card["image_size"])
        core.load_state_dict(load_file(WEIGHTS))
    except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{WEIGHTS}, {CARD}: cannot be read as a model: {reason}; train again") from None
    return nn.Sequential(Normalise(card["mean"], card["std"]), core), card


def predict_files(files: pd.DataFrame, network: nn.Module, size: int) -> np.ndarray:
    """Probabilities, float64 (files, classes)."""
    device = choose_device()
    network.to(device)
    with images.decoded(files, size, "decoding test images") as array:
        logits = predict(network, array, device)
    return torch.softmax(logits.double(), dim=1).numpy()


def prediction_rows(test: pd.DataFrame, probabilities: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """A line per test image: what it is, what was predicted, and the probabilities of both; to 6 digits."""
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
    validated = validate.read()
    variants = ledger.read()
    test = validated[(validated["status"] == "ok") & (validated["split"] == "test")].reset_index(drop=True)
    classes = card["classes"]
    probabilities = predict_files(images.split_files(validated, "test"), network, card["image_size"])
    targets = np.array([classes.index(label) for label in test["label"]])

    numbers = metrics.summarise(probabilities, targets, classes, params.calibration_bins)
    predictions = prediction_rows(test, probabilities, classes)
    manifest.write_json(METRICS, numbers)
    actual = predictions.rename(columns={"label": "actual"})
    manifest.write_csv(CONFUSION, actual[["actual", "predicted"]])
    manifest.write_csv(PREDICTIONS, predictions)
    page = report.render(
        report.Findings(
            validated=validated,
            variants=variants,
            history=pd.read_csv(HISTORY),
            numbers=numbers,
            confusion=metrics.confusion(probabilities, targets),
            predictions=predictions,
            card=card,
        ),
        params.worst_mistakes,
    )
    with manifest.replacing(REPORT) as temporary:
        temporary.write_text(page, encoding="utf-8")
    told = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "calibration_error")
    progress.counts(test_images=numbers["images"], **{name: numbers[name] for name in told})
    shutil.copyfile(validate.PAGE, DATA_PAGE)
    progress.report("link", text="report", path=str(REPORT))


if __name__ == "__main__":
    errors.run(main)
