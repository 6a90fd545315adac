"""Metrics of a classifier from true labels and predicted probabilities."""

from typing import Any

import numpy as np
from sklearn import metrics as sk


def calibration_error(probabilities: np.ndarray, targets: np.ndarray, bins: int) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy over equal bins.

    Source: M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities
    Using Bayesian Binning", AAAI 2015; for the top class as in C. Guo et al., "On Calibration of
    Modern Neural Networks", ICML 2017.

    Args:
        probabilities: float (images, classes), rows add up to 1.
        targets: int (images,), the number of each image's true class.
        bins: how many; bin k holds the confidences in (k / bins, (k + 1) / bins].

    Returns:
        0 (confidence is accuracy) to 1.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == targets
    bin_numbers = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_numbers, weights=confidence - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(targets))


def summarise(
    probabilities: np.ndarray, targets: np.ndarray, classes: list[str], bins: int
) -> dict[str, Any]:
    """The content of metrics/evaluate.json, numbers to 6 digits.

    Args:
        probabilities: float (images, classes), rows add up to 1.
        targets: int (images,), the number of each image's true class.
        classes: the labels, by class number.
        bins: of the calibration error.
    """
    predicted = probabilities.argmax(axis=1)
    class_numbers = np.arange(len(classes))
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        targets, predicted, labels=class_numbers, zero_division=0.0
    )
    present = support > 0
    overall = {
        "accuracy": sk.accuracy_score(targets, predicted),
        "balanced_accuracy": recall[present].mean(),  # classes without a test image have no recall
        "macro_f1": f1[present].mean(),
        "log_loss": sk.log_loss(targets, probabilities, labels=class_numbers),
        "calibration_error": calibration_error(probabilities, targets, bins),
    }
    per_class = {
        label: {
            "precision": round(float(precision[i]), 6),
            "recall": round(float(recall[i]), 6),
            "f1": round(float(f1[i]), 6),
            "images": int(support[i]),
        }
        for i, label in enumerate(classes)
    }
    rounded = {name: round(float(value), 6) for name, value in overall.items()}
    return {"images": len(targets), **rounded, "per_class": per_class}


def confusion(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How many images of each class were predicted as which: int (classes, classes), rows true."""
    class_numbers = np.arange(probabilities.shape[1])
    return sk.confusion_matrix(targets, probabilities.argmax(axis=1), labels=class_numbers)
