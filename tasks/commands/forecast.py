"""Forecast of a plan: how many images result, what they take on disk, how many can differ."""

import time
from typing import Any

import pandas as pd

from tasks.augment import plan
from tasks.augment.segments import bytes_in_tar
from tasks.capacity.count import Capacity, by_source, check_places
from tasks.commands import exposure_forecast
from tasks.commands.plan_warnings import plan_warnings
from tasks.common.machine import worker_count
from tasks.dataset.selections import examples
from tasks.variants.make import Recipe, expand
from tasks.variants.params import AugmentParams
from tasks.variants.sources import to_sources, training_sources

SAMPLED_SOURCES = 24


def forecast(
    validated: pd.DataFrame, params: AugmentParams, training: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Counts per class and in all, capacity, warnings, and disk and time estimated from a few variants made for it.

    `training`: `epochs`, `batch_size` and `augmentation`, where what training sees is asked for.

    Raises:
        UserError: for a plan that cannot be kept.
    """
    rows = training_sources(validated)
    counts = plan.plan_counts(rows, params)
    places, capacities = by_source(rows, params.policy)
    if params.distinct:
        check_places(rows, counts, places, capacities)
    distinct = exposure_forecast.per_source(counts, places, capacities, Capacity.expected_distinct)
    table = plan.per_class(rows, counts)
    table["expected_distinct"] = distinct.groupby(rows["label"]).sum().round(1)
    table = table.reindex(classes_of(validated), fill_value=0)
    variant_bytes, variant_seconds = sample_cost(rows, Recipe.from_params(params))
    total = int(counts.sum())
    found = {
        "classes": {str(label): row for label, row in table.to_dict("index").items()},
        "sources": len(rows),
        "variants": total,
        "training_images": len(rows) + total,
        "multiplier": (len(rows) + total) / max(len(rows), 1),
        **capacity_range(capacities),
        "expected_distinct": round(float(distinct.sum()), 1),
        "disk_bytes": round(total * variant_bytes),
        "seconds": round(total * variant_seconds / worker_count(), 1),
        "warnings": plan_warnings(params.policy, rows, counts, places, capacities, params.distinct),
    }
    if training is not None:
        asked = training["epochs"], training["batch_size"]
        found["training"] = {
            **training,
            "modes": exposure_forecast.exposure(
                counts, places, capacities, *asked, params.distinct
            ),
        }
    return found


def capacity_range(capacities: list[Capacity]) -> dict[str, Any]:
    """The least and the most different images of one source; None where there is no bound."""
    counts = [found.count for found in capacities]
    bounded = [count for count in counts if count is not None]
    return {
        "capacity_per_image": min(bounded, default=None) if len(bounded) == len(counts) else None,
        "capacity_per_image_most": max(bounded, default=None)
        if len(bounded) == len(counts)
        else None,
        "capacity_exact": all(found.exact for found in capacities),
    }


def classes_of(validated: pd.DataFrame) -> list[str]:
    """Every class with a usable image, in order; some may have none to train on."""
    return sorted(validated.loc[validated["status"] == "ok", "label"].unique())


def sample_cost(rows: pd.DataFrame, recipe: Recipe) -> tuple[float, float]:
    """Bytes in a segment and seconds of one worker that a variant takes: means over one each of a few sources."""
    chosen = examples(rows, SAMPLED_SOURCES)
    sources = list(to_sources(chosen, pd.Series(1, chosen.index)))
    if not sources:
        return 0.0, 0.0
    expand(sources[0], recipe, {})  # builds the policy
    started = time.perf_counter()
    made = [variant for source in sources for variant in expand(source, recipe, {})]
    seconds = time.perf_counter() - started
    return bytes_in_tar(made) / len(made), seconds / len(made)
