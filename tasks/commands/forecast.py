"""Forecast a plan: how many images result, how many can differ, what they take on disk and in time.

Nothing is written. Cost is measured: a few variants are made, and their bytes and seconds counted.
"""

import time
from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
import pandas as pd

from tasks.augment import plan
from tasks.augment.expand import Encoded, expand_source
from tasks.augment.tar_format import member_bytes
from tasks.capacity.count import Capacity, checked_capacities
from tasks.capacity.labels import expected_labels
from tasks.commands import exposure_forecast
from tasks.common.machine import worker_count
from tasks.common.texts import counted
from tasks.dataset.selections import class_names, example_rows
from tasks.lint.area_rules import evenly_spaced
from tasks.lint.count_rules import Planned
from tasks.lint.lint import lint
from tasks.train.device_augmentation.policy import has_policies
from tasks.variants.gates import GATE
from tasks.variants.originals import OF_THE_DATASET, Originals, read_originals
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes, policies
from tasks.variants.sources import Source, policy_inputs, to_sources, training_sources

SAMPLED_SOURCES = 24
SOURCES_BEHIND_GATES = 96  # where there are gates, of whose effect a few say little


class Sample(NamedTuple):
    """Variants made to know what they take: means over them, and reasons of those rejected."""

    bytes: float  # of a variant in a segment
    seconds: float  # of one worker, for a variant
    made: int
    rejected: Counter[str]
    redrawn: int = 0  # by gates


def forecast(
    validated: pd.DataFrame,
    params: AugmentParams,
    recipes: Recipes,
    training: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Counts per class and in all, capacity, warnings, disk space and time.

    Args:
        validated: the validated manifest.
        params: the augment block.
        recipes: of these parameters.
        training: `epochs`, `batch_size`, `augmentation` and `balance`, to forecast what training
            sees; None leaves that out.

    Returns:
        What `variegate plan --json` prints; disk_bytes and seconds are estimates.

    Raises:
        UserError: for a plan that cannot be fulfilled.
    """
    rows = training_sources(validated)
    counts = plan.plan_counts(rows, params)
    inputs = policy_inputs(rows, recipes.general.preprocessing)
    capacity_index, capacities = checked_capacities(inputs, counts, params)
    findings = lint(
        params, recipes, Planned(inputs, counts, capacity_index, capacities), sampled=True
    )
    distinct = exposure_forecast.forecast_per_source(
        counts, capacity_index, capacities, Capacity.expected_new
    )
    table = plan.plan_by_class(rows, counts)
    table["expected_distinct"] = distinct.groupby(rows["label"]).sum().round(1)
    table = table.reindex(class_names(validated), fill_value=0)  # some have no training image
    expected = expected_labels(rows["label"], counts, recipes) if recipes.maps else {}
    by_label = {label: {"expected": round(expected.get(label, 0.0), 2)} for label in table.index}
    originals = read_originals(validated, recipes.general.preprocessing)
    sample = draw_sample(rows, counts, recipes, originals)
    total = int(counts.sum())
    gated = {"gates": gates_forecast(sample, total)} if recipes.general.gates else {}
    result = {
        "classes": {str(label): row for label, row in table.to_dict("index").items()},
        "sources": len(rows),
        "variants": total,
        "policies": own_policies(params, class_names(validated)),
        "training_images": len(rows) + total,
        "multiplier": (len(rows) + total) / max(len(rows), 1),
        **({"by_label": by_label} if recipes.maps else {}),
        **capacity_range(capacities),
        "expected_distinct": round(float(distinct.sum()), 1),
        "disk_bytes": round(total * sample.bytes),
        "seconds": round(total * sample.seconds / worker_count(), 1),
        **gated,
        "warnings": [
            *(finding.text for finding in findings),
            *(rejected_samples(sample) if total else []),
        ],
        "lint": [finding._asdict() for finding in findings],
    }
    if training is not None:
        modes = exposure_forecast.forecast_exposure(
            counts,
            capacity_index,
            capacities,
            training["epochs"],
            training["batch_size"],
            params.distinct,
            rows["label"] if training["balance"] == "sampler" else None,
            has_policies(params),
        )
        result["training"] = {**training, "modes": modes}
    return result


def own_policies(params: AugmentParams, classes: list[str]) -> list[dict[str, Any]]:
    """The policies of classes for which it is not augment.policy, and what label rules changed."""
    spelled = {normalize("NFC", label): label for label in classes}
    return [
        {
            "classes": list(filter(None, map(spelled.get, policy.labels))),
            "policy": policy.steps,
            "changes": list(policy.changes),
        }
        for policy in policies(params, classes)
        if policy.labels is not None
    ]


def capacity_range(capacities: list[Capacity]) -> dict[str, Any]:
    """The least and the most different images of one source.

    Without a bound for some, there is no most; without one for all, no least either.
    """
    counts = [capacity.count for capacity in capacities if capacity.count is not None]
    bounded = len(counts) == len(capacities)
    return {
        "capacity_per_image": min(counts, default=None),
        "capacity_per_image_most": max(counts, default=None) if bounded else None,
        "capacity_exact": all(capacity.exact for capacity in capacities),
    }


def draw_sample(
    rows: pd.DataFrame, counts: pd.Series, recipes: Recipes, originals: Originals
) -> Sample:
    """Make a variant each of SAMPLED_SOURCES sources, or of none where there is no source.

    Where there are gates of more sources, and once more without: the difference is theirs.
    """
    gates = bool(recipes.general.gates)
    chosen = (
        evenly_chosen(rows, counts) if gates else example_rows(rows[counts > 0], SAMPLED_SOURCES)
    )
    sources = list(to_sources(chosen, pd.Series(1, chosen.index)))
    if not sources:
        return Sample(0.0, 0.0, 0, Counter())
    expand_source(sources[0], recipes.of(sources[0].label))  # builds the policy
    started = time.perf_counter()
    made: list[Encoded] = []
    for source in sources:
        encoded = expand_source(source, recipes.of(source.label))
        made += [originals.judge(variant, source.label, recipes) for variant in encoded]
    seconds = time.perf_counter() - started
    redrawn = _redrawn_by_gates(sources, recipes, made) if gates else 0
    stored = sum(member_bytes(len(data)) for _, data in made if data is not None)
    reasons = Counter(kind_of(str(row["reason"])) for row, data in made if data is None)
    return Sample(stored / len(made), seconds / len(made), len(made), reasons, redrawn)


def evenly_chosen(rows: pd.DataFrame, counts: pd.Series) -> pd.DataFrame:
    """Up to SOURCES_BEHIND_GATES rows, at even steps through the variants planned of all rows.

    Each once: to a gate, variants of one source are much alike.
    """
    ordered = rows.sort_values(["label", "source_id"])
    ends = counts[ordered.index].to_numpy().cumsum()
    steps = evenly_spaced(int(counts.sum()), SOURCES_BEHIND_GATES)
    return ordered.iloc[np.unique(np.searchsorted(ends, steps, side="right"))]


def _redrawn_by_gates(sources: list[Source], recipes: Recipes, made: list[Encoded]) -> int:
    """How many of the variants `made` took more attempts than without gates."""
    without: list[Encoded] = []
    for source in sources:
        without += expand_source(source, replace(recipes.of(source.label), gates=()))
    pairs = zip(made, without, strict=True)
    return sum(with_[0]["attempt"] > other[0]["attempt"] for with_, other in pairs)


def kind_of(reason: str) -> str:
    """A reason without what differs from one variant to the next."""
    if reason.startswith(OF_THE_DATASET):  # each names another image
        return reason.partition(":")[0]
    kind, _, rest = reason.partition(": ")
    return f"{GATE} {rest.split()[0]}" if kind == GATE else reason  # each has another value


def gates_forecast(sample: Sample, variants: int) -> dict[str, int]:
    """About how many of so many variants gates will have drawn again, and rejected."""
    rejected = sum(n for reason, n in sample.rejected.items() if reason.startswith(f"{GATE} "))
    share = variants / max(sample.made, 1)
    return {
        "sampled": sample.made,
        "redrawn": round(sample.redrawn * share),
        "rejected": round(rejected * share),
    }


def rejected_samples(sample: Sample) -> list[str]:
    """A warning where variants of the sample were rejected."""
    if not sample.rejected:
        return []
    reasons = ", ".join(f"{number} {reason}" for reason, number in sample.rejected.most_common())
    return [
        f"of {counted(sample.made, 'variant')} made as a sample, "
        f"{counted(sample.rejected.total(), 'was', 'were')} rejected: {reasons}"
    ]
