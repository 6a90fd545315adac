"""Metrics of a classifier, each with its 95% interval, from true classes and probabilities."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from torch import Tensor

from tasks.evaluate.intervals import Interval, bootstrap, effective_units, of_mean, wilson
from tasks.model.calibration import to_probabilities

ROWS_AT_ONCE = 4096  # the probabilities of all images may take gigabytes
LEAST_PROBABILITY = np.finfo(float).eps  # has a logarithm
OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "calibration_error")


class Outcomes(NamedTuple):
    """What the network says of each image; arrays of (images,).

    `targets` and `predicted`: class numbers. `confidence`: the probability of the predicted class.
    `of_label`: the probability of the true one.
    """

    targets: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    of_label: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Which images are recognised: bool (images,)."""
        return self.targets == self.predicted

    def take(self, rows: np.ndarray) -> "Outcomes":
        """Some images, or all in another order."""
        return Outcomes(*(values[rows] for values in self))


class Counts(NamedTuple):
    """Of each class: images (`support`), images predicted as it, and those rightly (`hits`)."""

    support: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        return _ratio(self.hits, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        return _ratio(self.hits, self.support)

    @property
    def f1(self) -> np.ndarray:
        return _ratio(2 * self.hits, self.support + self.predicted)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)


def outcomes_of(logits: Tensor, targets: np.ndarray, temperature: float = 1.0) -> Outcomes:
    """What logits (images, classes) say at a temperature."""
    parts = [
        outcomes_from(
            to_probabilities(logits[start : start + ROWS_AT_ONCE], temperature).numpy(),
            targets[start : start + ROWS_AT_ONCE],
        )
        for start in range(0, len(targets), ROWS_AT_ONCE)
    ]
    return Outcomes(*map(np.concatenate, zip(*parts, strict=True)))


def probabilities_of(logits: Tensor, temperature: float) -> np.ndarray:
    """All probabilities, float32 (images, classes)."""
    probabilities = np.empty(tuple(logits.shape), np.float32)
    for start in range(0, len(logits), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        probabilities[part] = to_probabilities(logits[part], temperature).numpy()
    return probabilities


def outcomes_from(probabilities: np.ndarray, targets: np.ndarray) -> Outcomes:
    """What probabilities, (images, classes), rows add up to 1, say."""
    rows = np.arange(len(targets))
    predicted = probabilities.argmax(axis=1)
    return Outcomes(
        targets, predicted, probabilities[rows, predicted], probabilities[rows, targets]
    )


def bin_numbers(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each confidence; bin k holds those in (k / bins, (k + 1) / bins]."""
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def calibration_error(outcomes: Outcomes, bins: int) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy over equal bins.

    Source: M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities
    Using Bayesian Binning", AAAI 2015; for the top class as in C. Guo et al., "On Calibration of
    Modern Neural Networks", ICML 2017.

    Returns:
        0 (confidence is accuracy) to 1.
    """
    numbers = bin_numbers(outcomes.confidence, bins)
    gaps = np.bincount(numbers, outcomes.confidence - outcomes.correct, bins)
    return float(np.abs(gaps).sum() / len(outcomes.targets))


def summarise(
    outcomes: Outcomes, classes: list[str], bins: int, units: np.ndarray | None = None
) -> dict[str, Any]:
    """The figures of all images and, as `per_class`, of each class, to 6 digits.

    Each figure comes with the ends of its 95% interval, `NAME_low` and `NAME_high`. Classes without
    a test image count in no mean.

    Args:
        outcomes: of the test images.
        classes: the labels, by class number.
        bins: of the calibration error.
        units: int (images,), see intervals.independent_units(); None: each image is one.
    """
    images = len(outcomes.targets)
    units = np.arange(images) if units is None else units
    table = _Table(outcomes, len(classes), bins)
    figures = table.figures(table.sums())
    per_class = _per_class(table.counts(table.sums()), outcomes, units)
    ends = _overall_ends(table, figures, per_class, units)
    overall = {name: (figures[i], ends.low[i], ends.high[i]) for i, name in enumerate(OVERALL)}
    return {
        "images": images,
        **({"independent": int(units.max()) + 1} if len(set(units)) < images else {}),
        **_flat(overall),
        "per_class": {
            label: {**_flat(_of_class(per_class, i)), "images": int(table.support[i])}
            for i, label in enumerate(classes)
        },
    }


def _of_class(figures: dict[str, tuple], number: int) -> dict[str, tuple]:
    """The figures of one class: each with its ends."""
    return {
        name: (value[number], low[number], high[number])
        for name, (value, low, high) in figures.items()
    }


def _flat(figures: dict[str, tuple]) -> dict[str, float]:
    """`NAME`, `NAME_low` and `NAME_high` of each figure, as DVC's metrics have them."""
    found: dict[str, float] = {}
    for name, values in figures.items():
        names = (name, f"{name}_low", f"{name}_high")
        found |= {key: round(float(value), 6) for key, value in zip(names, values, strict=True)}
    return found


def _per_class(
    counts: Counts, outcomes: Outcomes, units: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Precision, recall and F1 of each class, with the low and high ends of their intervals.

    F1 has that of hits / (images of the class or predicted as it), of which it is a function:
    F1 = 2s / (1 + s).
    """
    classes = len(counts.support)
    wrong = ~outcomes.correct
    either = np.concatenate([outcomes.targets, outcomes.predicted[wrong]])
    of_either = _units_by_class(either, np.concatenate([units, units[wrong]]), classes)
    overlap = _ratio(counts.hits, counts.support + counts.predicted - counts.hits)
    of_overlap = wilson(overlap, of_either)
    recall = wilson(counts.recall, _units_by_class(outcomes.targets, units, classes))
    precision = wilson(counts.precision, _units_by_class(outcomes.predicted, units, classes))
    f1 = (2 * end / (1 + end) for end in of_overlap)
    return {
        "precision": (counts.precision, *precision),
        "recall": (counts.recall, *recall),
        "f1": (counts.f1, *f1),
    }


def _units_by_class(numbers: np.ndarray, units: np.ndarray, classes: int) -> np.ndarray:
    """How many units each class's images count as, see effective_units(): float (classes,)."""
    most = int(units.max()) + 1
    pairs, images = np.unique(numbers.astype(np.int64) * most + units, return_counts=True)
    total = np.bincount(pairs // most, images, classes)
    return total**2 / np.maximum(np.bincount(pairs // most, images.astype(float) ** 2, classes), 1)


def _overall_ends(
    table: "_Table", figures: np.ndarray, per_class: dict[str, Any], units: np.ndarray
) -> Interval:
    """The intervals of OVERALL.

    Accuracy has Wilson's; the others the bootstrap's. Means over classes reach as far as the
    intervals of the classes say, since few images of a class may all be right by chance. The
    calibration error of a resample is higher than that of the images (R. Roelofs et al.,
    "Mitigating Bias in Calibration Error Estimation", 2022): its low end is mirrored.
    """
    low, high = bootstrap(table.by_unit(units), table.strata(units), table.figures)
    low[0], high[0] = wilson(figures[0], effective_units(np.bincount(units)))
    present = table.support > 0
    for place, name in ((1, "recall"), (2, "f1")):
        value, *ends = (values[present] for values in per_class[name])
        wide = of_mean(value, Interval(*ends))
        low[place], high[place] = min(low[place], wide.low), max(high[place], wide.high)
    low[4] = max(0.0, min(low[4], 2 * figures[4] - high[4]))
    return Interval(low, np.maximum(high, figures))


class _Table:
    """What is added up over images for all figures: a sparse row for each image.

    Columns: of each class its images, those predicted as it and those rightly; the loss; of each
    bin of confidence the gap between confidence and accuracy; 1.
    """

    def __init__(self, outcomes: Outcomes, classes: int, bins: int) -> None:
        self.outcomes, self.classes = outcomes, classes
        self.support = np.bincount(outcomes.targets, minlength=classes)
        images, correct = len(outcomes.targets), outcomes.correct
        bin_of = bin_numbers(outcomes.confidence, bins)
        columns = [
            outcomes.targets,
            classes + outcomes.predicted,
            2 * classes + outcomes.targets,
            np.full(images, 3 * classes),
            np.full(images, 3 * classes + 1),
            3 * classes + 2 + bin_of,
        ]
        loss = -np.log(np.maximum(outcomes.of_label, LEAST_PROBABILITY))
        ones = np.ones(images)
        values = [ones, ones, correct, loss, ones, outcomes.confidence - correct]
        rows = np.tile(np.arange(images), len(columns))
        places = rows, np.concatenate(columns)
        shape = (images, 3 * classes + 2 + bins)
        self.rows = sparse.csr_array((np.concatenate(values), places), shape)

    def sums(self) -> np.ndarray:
        """Over all images: (1, columns)."""
        return np.asarray(self.rows.sum(axis=0))[None, :]

    def by_unit(self, units: np.ndarray) -> sparse.csr_array:
        """A row for each unit."""
        places = units, np.arange(len(units))
        return (sparse.csr_array((np.ones(len(units)), places)) @ self.rows).tocsr()

    def strata(self, units: np.ndarray) -> np.ndarray:
        """The class of each unit: of its first image."""
        return self.outcomes.targets[np.unique(units, return_index=True)[1]]

    def counts(self, sums: np.ndarray) -> Counts:
        """Of a single row of sums."""
        return Counts(*np.split(sums[0, : 3 * self.classes].round().astype(np.int64), 3))

    def figures(self, sums: np.ndarray) -> np.ndarray:
        """OVERALL of each row of sums: (rows, 5), or (5,) of a single one."""
        present = self.support > 0
        by_class = (sums[:, i * self.classes : (i + 1) * self.classes] for i in range(3))
        counts = Counts(*(part[:, present] for part in by_class))
        loss, images = sums[:, 3 * self.classes], sums[:, 3 * self.classes + 1]
        gaps = np.abs(sums[:, 3 * self.classes + 2 :]).sum(axis=1)
        has_images = np.maximum((counts.support > 0).sum(axis=1), 1)
        found = [
            counts.hits.sum(axis=1) / images,
            counts.recall.sum(axis=1) / has_images,
            counts.f1.sum(axis=1) / has_images,
            loss / images,
            gaps / images,
        ]
        return np.column_stack(found) if len(sums) > 1 else np.concatenate(found)


def confusion(outcomes: Outcomes, classes: int) -> np.ndarray:
    """How many images of each class were predicted as which: int (classes, classes), rows true."""
    pairs = outcomes.targets.astype(np.int64) * classes + outcomes.predicted
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
