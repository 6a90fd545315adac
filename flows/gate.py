"""The gate: whether the test accuracy suffices, by `evaluate.gate` and the last commit.

No stage judges it: what is committed is no dependency of a stage, and a model that fails it is
still the result of its data. `dvc repro` makes it and does not judge.
"""

import json
import math
from collections.abc import Collection
from typing import Any

from flows.versions.git import git
from tasks.common.errors import CheckFailedError
from tasks.common.params import read_params
from tasks.dataset.paths import EVALUATE_METRICS, REPORT
from tasks.evaluate.intervals import in_percent
from tasks.evaluate.params import EvaluateParams, Gate

PLACE = "params.yaml evaluate.gate"
ROUNDING = 1e-9  # 0.97 - 0.01 is less than 0.96 by less
STAGE = "evaluate"


def is_set(stages: Collection[str]) -> bool:
    """Whether a run of these stages is judged: it reached evaluate, and a bound is set."""
    gate = read_params(STAGE, EvaluateParams).gate
    return STAGE in stages and (gate.min_accuracy is not None or gate.max_drop is not None)


def judge() -> str:
    """What the gate says of the accuracy that evaluate left, in one line.

    Raises:
        CheckFailedError: where it does not suffice.
    """
    now = json.loads(EVALUATE_METRICS.read_text(encoding="utf-8"))
    return compare(read_params(STAGE, EvaluateParams).gate, now, committed_metrics())


def compare(gate: Gate, now: dict[str, Any], before: dict[str, Any] | None) -> str:
    """What the gate says of these metrics.

    The accuracy itself is compared, not the low end of its interval: with few test images that end
    is low however good the model is. The line has both.

    Args:
        gate: with a bound at least.
        now: the content of metrics/evaluate.json.
        before: that of the last commit; None where it has none.

    Raises:
        CheckFailedError: where the accuracy does not suffice.
    """
    found = f"test accuracy {_words(now)} of {now['images']:,} images"
    passed = []
    if gate.min_accuracy is not None:
        if now["accuracy"] < gate.min_accuracy - ROUNDING:
            need = f"needs {gate.min_accuracy:.2%} at least"
            raise CheckFailedError(f"{PLACE}.min_accuracy: {need}, found {found}; see {REPORT}")
        passed.append(f"at least {gate.min_accuracy:.2%}")
    if gate.max_drop is not None and before is None:
        passed.append("max_drop does not apply: the last commit has no metrics/evaluate.json")
    elif gate.max_drop is not None and before is not None:
        of_before = f"{_words(before)} of {before['images']:,} images in the last commit"
        bound = before["accuracy"] - gate.max_drop
        if now["accuracy"] < bound - ROUNDING:
            need = f"needs {bound:.2%} at least, {gate.max_drop:.2%} below {of_before}"
            raise CheckFailedError(f"{PLACE}.max_drop: {need}, found {found}; see {REPORT}")
        passed.append(f"at most {gate.max_drop:.2%} below {of_before}")
    return f"passed: {found}; {'; '.join(passed)}"


def _words(metrics: dict[str, Any]) -> str:
    """The accuracy with its interval, which metrics of older versions lack."""
    if "accuracy_low" not in metrics:
        return f"{metrics['accuracy']:.2%}"
    names = ("accuracy", "accuracy_low", "accuracy_high")
    return in_percent(*(metrics[name] for name in names))


def committed_metrics() -> dict[str, Any] | None:
    """metrics/evaluate.json of the last commit; None where it has none that can be read."""
    text = git("show", f"HEAD:./{EVALUATE_METRICS.as_posix()}")
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and _are_figures(found) else None


def _are_figures(metrics: dict[str, Any]) -> bool:
    """Whether metrics hold all numbers that compare() reads; the intervals may be missing."""
    optional = {"accuracy_low": 0.0, "accuracy_high": 1.0}
    values = {"accuracy": None, "images": None, **optional, **metrics}
    names = ("accuracy", "images", *optional)
    return all(
        isinstance(values[name], int | float) and math.isfinite(values[name]) for name in names
    )
