"""Forecast of exposure: what training will see in all its epochs, by mode of augmentation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tasks.capacity.count import Capacity


def exposure(
    counts: pd.Series,
    places: np.ndarray,
    capacities: list[Capacity],
    epochs: int,
    batch_size: int,
    distinct: bool = True,
) -> dict[str, dict[str, Any]]:
    """For each mode: images stored, samples per epoch, those dropped, presentations, and different images expected.

    offline: each epoch shows every original and every stored variant once. online: it shows one new variant of each
    original, and nothing that is stored. both: all of these. Each image comes once per epoch, in random order, and a
    last batch of a single sample is left out. `counts` (variants planned) and `places` (in `capacities`) are of the
    training sources.
    """
    sources, variants = len(counts), int(counts.sum())
    samples = {"offline": sources + variants, "online": sources, "both": 2 * sources + variants}
    table = {}
    for mode, per_epoch in samples.items():
        dropped = int(per_epoch % batch_size == 1)
        missed = dropped / max(per_epoch, 1)
        different = _different(mode, counts, places, capacities, epochs, missed, distinct)
        table[mode] = {
            "stored_images": sources + (variants if mode != "online" else 0),
            "samples_per_epoch": per_epoch,
            "dropped_per_epoch": dropped,
            "presentations": (per_epoch - dropped) * epochs,
            "expected_distinct_seen": round(different, 1),
        }
    return table


def per_source(
    counts: pd.Series,
    places: np.ndarray,
    capacities: list[Capacity],
    function: Callable[[Capacity, int], float],
) -> pd.Series:
    """`function(capacity, variants planned)` of each source, computed once for equal cases."""
    keys = np.asarray(places, np.int64) << 32 | counts.to_numpy(np.int64)
    cases, case_of = np.unique(keys, return_inverse=True)
    found = [function(capacities[int(case >> 32)], int(case & 0xFFFFFFFF)) for case in cases]
    return pd.Series(
        np.array(found, float)[case_of] if len(cases) else [], counts.index, dtype=float
    )


def _different(
    mode: str,
    counts: pd.Series,
    places: np.ndarray,
    capacities: list[Capacity],
    epochs: int,
    missed: float,
    distinct: bool,
) -> float:
    """How many different images are expected to be seen, of which each is missed with a probability in each epoch."""
    made = epochs * (1 - missed)
    seen = 1 - missed**epochs

    def stored(found: Capacity, planned: int) -> float:
        new = found.new()
        return (
            min(planned, planned if new is None else new)
            if distinct
            else found.expected_new(planned)
        )

    def of_source(found: Capacity, planned: int) -> float:
        if mode == "online":
            return found.expected_distinct(made)
        kept = seen * (1 + stored(found, planned))
        return (
            kept
            if mode == "offline"
            else max(kept, seen + found.expected_new(seen * planned + made))
        )

    return float(per_source(counts, places, capacities, of_source).sum())
