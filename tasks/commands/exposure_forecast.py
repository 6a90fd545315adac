"""Forecast, before training, what it will show in all its epochs with each mode of augmentation.

Example: 100 sources with 4 variants each. In each of 10 epochs `offline` shows the same 500 images,
`online` 100 new variants, and `both` all of these. tasks/train/exposure.py counts afterwards what
was shown.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tasks.capacity.count import Capacity


def forecast_exposure(
    counts: pd.Series,
    capacity_index: np.ndarray,
    capacities: list[Capacity],
    epochs: int,
    batch_size: int,
    distinct: bool = True,
) -> dict[str, dict[str, Any]]:
    """What training will show in each mode.

    offline: each epoch shows every original and every stored variant once. online: it shows one new
    variant of each original, and nothing that is stored. both: all of these. The order is random,
    and a last batch of a single sample is left out.

    Args:
        counts: variants planned of each training source.
        capacity_index: int (sources,), the index of each source's capacity in `capacities`.
        capacities: see capacities_by_source().
        epochs: of training.
        batch_size: samples in a batch.
        distinct: whether the variants of a source differ from each other and from it.

    Returns:
        For each mode stored_images, samples_per_epoch, dropped_per_epoch (left out), presentations
        (in all epochs) and expected_distinct_seen: how many different images are expected.
    """
    sources, variants = len(counts), int(counts.sum())
    samples = {"offline": sources + variants, "online": sources, "both": 2 * sources + variants}
    table = {}
    for mode, per_epoch in samples.items():
        dropped = int(per_epoch % batch_size == 1)
        expected_distinct = partial(
            _expected_distinct,
            mode=mode,
            epochs=epochs,
            missed=dropped / max(per_epoch, 1),
            distinct=distinct,
        )
        seen = forecast_per_source(counts, capacity_index, capacities, expected_distinct)
        table[mode] = {
            "stored_images": sources + (variants if mode != "online" else 0),
            "samples_per_epoch": per_epoch,
            "dropped_per_epoch": dropped,
            "presentations": (per_epoch - dropped) * epochs,
            "expected_distinct_seen": round(float(seen.sum()), 1),
        }
    return table


def forecast_per_source(
    counts: pd.Series,
    capacity_index: np.ndarray,
    capacities: list[Capacity],
    function: Callable[[Capacity, int], float],
) -> pd.Series:
    """`function(capacity, variants planned)` of each source; see forecast_exposure().

    Most sources share their capacity and number with others, so each pair is computed once.
    """
    keys = np.asarray(capacity_index, np.int64) << 32 | counts.to_numpy(np.int64)
    pairs, pair_of_source = np.unique(keys, return_inverse=True)
    values = [function(capacities[int(pair >> 32)], int(pair & 0xFFFFFFFF)) for pair in pairs]
    return pd.Series(np.array(values, float)[pair_of_source], counts.index, dtype=float)


def _expected_distinct(
    capacity: Capacity, planned: int, mode: str, epochs: int, missed: float, distinct: bool
) -> float:
    """How many different images of one source are expected to be seen in all epochs.

    `missed`: the probability that a sample is left out of an epoch.
    """
    made = epochs * (1 - missed)
    if mode == "online":
        return capacity.expected_shown(made)
    seen = 1 - missed**epochs  # the probability that a stored image is seen at all
    from_disk = seen * (1 + _distinct_stored(capacity, planned, distinct))
    if mode == "offline":
        return from_disk
    return max(from_disk, seen + capacity.expected_new(seen * planned + made))


def _distinct_stored(capacity: Capacity, planned: int, distinct: bool) -> float:
    """How many different images, the source aside, its planned variants are expected to be."""
    if not distinct:
        return capacity.expected_new(planned)
    most = capacity.most_written()
    return planned if most is None else min(planned, most)
