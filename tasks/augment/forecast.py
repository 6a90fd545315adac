"""The forecast: how many images result, what they take and how many can differ, before the stage runs."""

import time
from typing import Any

import numpy as np
import pandas as pd

from tasks import manifest
from tasks.augment import plan
from tasks.augment.capacity import Capacity, by_source, check_capacity
from tasks.augment.params import AugmentParams
from tasks.augment.segments import member_bytes
from tasks.augment.sources import to_sources, training_sources
from tasks.augment.variants import Recipe, expand
from tasks.machine import worker_count

SAMPLED_SOURCES = 24


def forecast(validated: pd.DataFrame, params: AugmentParams) -> dict[str, Any]:
    """Counts per class and in all, capacity, and disk and time estimated from a few variants made for the purpose.

    Raises:
        UserError: for a plan that cannot be kept.
    """
    rows = training_sources(validated)
    counts = plan.plan_counts(rows, params)
    check_capacity(rows, counts, params)
    places, capacities = by_source(rows, params.policy)
    distinct = expected_distinct(counts, places, capacities)
    table = plan.per_class(rows, counts)
    table["expected_distinct"] = distinct.groupby(rows["label"]).sum().round(1)
    table = table.reindex(classes_of(validated), fill_value=0)
    variant_bytes, variant_seconds = sample_cost(rows, Recipe.from_params(params))
    total = int(counts.sum())
    bounds = [found.count for found in capacities]
    return {
        "classes": {str(label): row for label, row in table.to_dict("index").items()},
        "sources": len(rows),
        "variants": total,
        "training_images": len(rows) + total,
        "multiplier": (len(rows) + total) / max(len(rows), 1),
        "capacity_per_image": None if None in bounds else min(bound for bound in bounds if bound is not None),
        "capacity_exact": all(found.exact for found in capacities),
        "expected_distinct": round(float(distinct.sum()), 1),
        "disk_bytes": round(total * variant_bytes),
        "seconds": round(total * variant_seconds / worker_count(), 1),
    }


def classes_of(validated: pd.DataFrame) -> list[str]:
    """Every class with a usable image, in order; some may have none to train on."""
    return sorted(validated.loc[validated["status"] == "ok", "label"].unique())


def expected_distinct(counts: pd.Series, places: np.ndarray, capacities: list[Capacity]) -> pd.Series:
    """For each source, how many of its variants are expected to differ. Computed once for equal cases."""
    cases, case_of = np.unique(np.column_stack([places, counts]), axis=0, return_inverse=True)
    expected = np.array([capacities[place].expected_distinct(int(draws)) for place, draws in cases])
    return pd.Series(expected[case_of.reshape(-1)] if len(cases) else [], counts.index, dtype=float)


def sample_cost(rows: pd.DataFrame, recipe: Recipe) -> tuple[float, float]:
    """Bytes in a segment and seconds of one worker that a variant takes: means over one each of a few sources."""
    chosen = manifest.examples(rows, SAMPLED_SOURCES)
    sources = list(to_sources(chosen, pd.Series(1, chosen.index)))
    if not sources:
        return 0.0, 0.0
    expand(sources[0], recipe, {})  # builds the policy
    started = time.perf_counter()
    made = [variant for source in sources for variant in expand(source, recipe, {})]
    seconds = time.perf_counter() - started
    return sum(member_bytes(len(v.data)) for v in made if v.data is not None) / len(made), seconds / len(made)


def as_table(found: dict[str, Any]) -> str:
    """A forecast as text for a terminal."""
    width = max([len("class"), *(len(label) for label in found["classes"])])
    lines = [f"{'class':<{width}}  {'sources':>9}  {'variants':>10}  {'training':>10}  {'times':>6}  {'distinct':>10}"]
    for label, row in [*found["classes"].items(), ("all", found)]:
        lines.append(
            f"{label:<{width}}  {row['sources']:>9,}  {row['variants']:>10,}  {row['training_images']:>10,}  "
            f"{row['multiplier']:>6.2f}  {row['expected_distinct']:>10,.0f}"
        )
    count, kind = found["capacity_per_image"], "exactly" if found["capacity_exact"] else "at most"
    lines += [
        "",
        f"capacity   one source has {'no bound of' if count is None else f'{kind} {count:,}'} different images",
        "distinct   of the variants, how many are expected to differ without drawing again",
        f"disk       about {found['disk_bytes'] / 1e6:,.1f} MB of segments",
        f"time       about {found['seconds']:,.0f} s here, with {worker_count()} workers",
    ]
    return "\n".join(lines)
