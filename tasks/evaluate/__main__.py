"""Run the evaluate stage: judge the best weights on the test split and write the report."""

import shutil
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor, nn

from tasks.common import errors, events, tables
from tasks.common.params import read_params
from tasks.common.temporary import atomic_write
from tasks.dataset.manifests import read_ledger, read_validated
from tasks.dataset.paths import (
    BREAKDOWN,
    CONFUSION,
    DATA_REPORT,
    EVALUATE_METRICS,
    HISTORY,
    LEDGER,
    PREDICTIONS,
    REPORT,
    ROBUSTNESS,
    VALIDATE_REPORT,
)
from tasks.dataset.selections import usable
from tasks.dataset.variant_measures import read_measured
from tasks.evaluate import augmented_predictions, metrics, mistakes, report, robustness
from tasks.evaluate.intervals import in_percent, independent_units
from tasks.evaluate.metrics import Outcomes
from tasks.evaluate.nearest import Nearest, find_nearest, sample_of_training
from tasks.evaluate.params import EvaluateParams
from tasks.evaluate.robustness import Robustness
from tasks.evaluate.slices import summarise_slices
from tasks.model import image_array
from tasks.model.device import choose_device, fix_randomness
from tasks.model.images import InputForm
from tasks.model.inference import predict
from tasks.model.saved_model import load_model
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams


def predict_array(array: np.ndarray, network: nn.Module) -> Tensor:
    """The logits of images, float32 (images, classes).

    Args:
        array: uint8 (images, 3, size, size).
        network: from uint8 images to logits.
    """
    device = choose_device()
    network.to(device)
    return predict(network, array, device)


def prediction_rows(test: pd.DataFrame, outcomes: Outcomes, classes: list[str]) -> pd.DataFrame:
    """The content of reports/predictions.csv: a row for each row of `test`.

    Returns:
        source_id, file_name, label; `predicted`, the likeliest class, and its `probability`;
        `probability_of_label`; probabilities to 6 digits.
    """
    rows = test[["source_id", "file_name", "label"]].copy()
    rows["predicted"] = [classes[i] for i in outcomes.predicted]
    rows["probability"] = outcomes.confidence.round(6)
    rows["probability_of_label"] = outcomes.of_label.round(6)
    return rows


def main() -> None:
    """Run the stage."""
    params = read_params("evaluate", EvaluateParams)
    train_params = read_params("train", TrainParams)
    augment = read_params("augment", AugmentParams)
    fix_randomness(train_params.seed, train_params.threads)
    network, card = load_model()
    validated, ledger = read_validated(), read_ledger()
    test, form, classes = usable(validated, "test"), InputForm.from_card(card), card["classes"]
    targets = np.array([classes.index(label) for label in test["label"]])
    temperature = card.get("temperature", 1.0)
    files = image_array.split_files(validated, "test")
    with image_array.decoded_images(files, form, "decoding test images") as array:
        logits = predict_array(array, network)
        outcomes = metrics.outcomes_of(logits, targets, temperature)
        predictions = prediction_rows(test, outcomes, classes)
        corrupted = corrupted_outcomes(network, array, test, targets, augment, params)
        worst = np.array(array[mistakes.worst_rows(predictions, params.worst_mistakes)])
    nearest = nearest_training(network, worst, validated, form)

    plain = metrics.outcomes_of(logits, targets)
    numbers = judge(test, outcomes, plain, classes, params.calibration_bins)
    numbers["temperature"] = temperature
    if corrupted is not None:
        numbers["robustness"] = robustness.summarise_robustness(corrupted)
    if params.test_time_augmentation:
        recipe = augmented_predictions.recipe_for_any_class(augment, form.preprocessing)
        probabilities = metrics.probabilities_of(logits, temperature)
        mean = augmented_predictions.mean_over_variants(
            network, test, probabilities, params.test_time_augmentation, recipe, form, temperature
        )
        numbers["test_time_augmentation"] = judge_mean(test, targets, mean, classes, params)
    curves = robustness.curves(corrupted, numbers["accuracy"])
    write_tables(numbers, predictions, curves)
    findings = report.Findings(
        validated=validated,
        ledger=ledger,
        measured=read_measured(LEDGER),
        history=pd.read_csv(HISTORY),
        numbers=numbers,
        slices=summarise_slices(test, outcomes),
        plain=plain,
        outcomes=outcomes,
        bins=params.calibration_bins,
        curves=curves,
        trained=corrupted.trained if corrupted else (),
        mistakes=mistakes.find_mistakes(
            predictions, validated, params.worst_mistakes, form.preprocessing, nearest
        ),
        compared=0 if nearest is None else len(nearest.of),
        card=card,
    )
    write_report(report.render(findings))
    announce(numbers)


def judge(
    test: pd.DataFrame, outcomes: Outcomes, plain: Outcomes, classes: list[str], bins: int
) -> dict[str, Any]:
    """The figures of the test split, and its calibration error without the temperature.

    Images are taken in the order of their hashes: their names decide nothing.
    """
    order = np.argsort(test["source_id"].to_numpy(), kind="stable")
    units = independent_units(test.iloc[order])
    numbers = metrics.summarise(outcomes.take(order), classes, bins, units)
    before = round(metrics.calibration_error(plain.take(order), bins), 6)
    per_class = numbers.pop("per_class")
    return {**numbers, "calibration_error_uncalibrated": before, "per_class": per_class}


def judge_mean(
    test: pd.DataFrame,
    targets: np.ndarray,
    mean: augmented_predictions.Mean,
    classes: list[str],
    params: EvaluateParams,
) -> dict[str, Any]:
    """The overall figures of the means over variants, and what they cost."""
    outcomes = metrics.outcomes_from(mean.probabilities, targets)
    numbers = judge(test, outcomes, outcomes, classes, params.calibration_bins)
    for name in ("images", "independent", "per_class", "calibration_error_uncalibrated"):
        numbers.pop(name, None)
    passes = params.test_time_augmentation + 1
    return {"forward_passes": passes, "left_out": mean.left_out, **numbers}


def corrupted_outcomes(
    network: nn.Module,
    array: np.ndarray,
    test: pd.DataFrame,
    targets: np.ndarray,
    augment: AugmentParams,
    params: EvaluateParams,
) -> Robustness | None:
    """What becomes of some test images when they are corrupted; None where that is turned off."""
    chosen = robustness.choose_images(test, params.robustness_images)
    if not len(chosen):
        return None
    clean, found = robustness.judge_corrupted(network, np.array(array[chosen]), targets[chosen])
    units = independent_units(test.iloc[chosen])
    trained = robustness.trained_corruptions(augment)
    return Robustness(clean, found, trained, units)


def nearest_training(
    network: nn.Module, images: np.ndarray, validated: pd.DataFrame, form: InputForm
) -> Nearest | None:
    """The training originals nearest to some test images; see find_nearest()."""
    if not len(images):
        return None
    files = sample_of_training(image_array.split_files(validated, "train"))
    return find_nearest(network, images, files, form)


def split_numbers(numbers: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures of all test images, which DVC lists; those of each class and corruption.

    DVC makes a column of each figure that it lists.
    """
    overall = {name: value for name, value in numbers.items() if name != "per_class"}
    breakdown = {"per_class": numbers["per_class"]}
    if "robustness" in numbers:
        robust = dict(numbers["robustness"])
        breakdown["by_corruption"] = robust.pop("by_corruption")
        overall["robustness"] = robust
    return overall, breakdown


def write_tables(numbers: dict[str, Any], predictions: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Write the metrics, the predictions, and what DVC draws its plots from."""
    overall, breakdown = split_numbers(numbers)
    tables.write_json(EVALUATE_METRICS, overall)
    tables.write_json(BREAKDOWN, breakdown)
    actual = predictions.rename(columns={"label": "actual"})
    tables.write_csv(CONFUSION, actual[["actual", "predicted"]])
    tables.write_csv(PREDICTIONS, predictions)
    tables.write_csv(ROBUSTNESS, curves)


def write_report(page: str) -> None:
    """Write the report and, beside it, a copy of what validate found, to which it links."""
    with atomic_write(REPORT) as temporary:
        temporary.write_text(page, encoding="utf-8")
    with atomic_write(DATA_REPORT) as temporary:  # the old one may be a link into DVC's cache
        shutil.copyfile(VALIDATE_REPORT, temporary)


def announce(numbers: dict[str, Any]) -> None:
    """Say the figures; the flow gets them too."""
    ends = numbers["accuracy_low"], numbers["accuracy_high"]
    events.say(f"test accuracy {in_percent(numbers['accuracy'], *ends)}")
    events.report_counts(
        test_images=numbers["images"], **{name: numbers[name] for name in metrics.OVERALL}
    )
    events.emit("link", text="report", path=str(REPORT))


if __name__ == "__main__":
    errors.run(main)
