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
from tasks.train.balance import shown_before


def forecast_exposure(
    counts: pd.Series,
    capacity_index: np.ndarray,
    capacities: list[Capacity],
    epochs: int,
    batch_size: int,
    distinct: bool = True,
    labels: pd.Series | None = None,
    on_device: bool = False,
) -> dict[str, dict[str, Any]]:
    """What training will show in each mode.

    offline: each epoch shows every original and every stored variant once. online: it shows one new
    variant of each original, and nothing that is stored. both: all of these. device: it shows each
    original, augmented on the device. The order is random, and a last batch of a single sample is
    left out. With `labels` an epoch shows as many samples, and each class equally often.

    Args:
        counts: variants planned of each training source.
        capacity_index: int (sources,), the index of each source's capacity in `capacities`.
        capacities: see capacities_by_source().
        epochs: of training.
        batch_size: samples in a batch.
        distinct: whether the variants of a source differ from each other and from it.
        labels: the class of each source, where train.balance is `sampler`.
        on_device: whether device augmentation has the policy.

    Returns:
        For each mode stored_images, samples_per_epoch, dropped_per_epoch (left out), presentations
        (in all epochs) and expected_distinct_seen: how many different images are expected. With
        `labels` presentations_of_a_class too, what is left out among them.
    """
    sources, variants = len(counts), int(counts.sum())
    samples = {"offline": counts + 1, "online": counts * 0 + 1, "both": counts + 2}
    if on_device:
        samples["device"] = samples["online"]
    table: dict[str, dict[str, Any]] = {}
    for mode, of_source in samples.items():
        per_epoch = int(of_source.sum())
        dropped = int(per_epoch % batch_size == 1)
        missed = dropped / max(per_epoch, 1)
        by_class = {} if labels is None else _balanced(of_source.groupby(labels).sum(), epochs)
        # a sample's showings: the same of all, or by class
        parts = [(slice(None), epochs * (1 - missed), 1 - missed**epochs)]
        if labels is not None:
            per_sample = pd.Series(by_class) / of_source.groupby(labels).sum() * (1 - missed)
            parts = [
                ((labels == label).to_numpy(), min(shown, epochs), min(shown, 1.0))
                for label, shown in per_sample.items()
            ]
        seen = 0.0
        for rows, made, seen_at_all in parts:
            expected = partial(
                _expected_distinct, mode=mode, made=made, seen=seen_at_all, distinct=distinct
            )
            part = forecast_per_source(counts[rows], capacity_index[rows], capacities, expected)
            seen += float(part.sum())
        table[mode] = {
            "stored_images": sources + (variants if mode in ("offline", "both") else 0),
            "samples_per_epoch": per_epoch,
            "dropped_per_epoch": dropped,
            "presentations": (per_epoch - dropped) * epochs,
            "expected_distinct_seen": round(seen, 1),
        }
        if labels is not None:
            table[mode]["presentations_of_a_class"] = by_class
    return table


def _balanced(samples: pd.Series, epochs: int) -> dict[str, int]:
    """How often a balanced order shows each class, what is left out included.

    `samples`: of each class in an epoch.
    """
    shown = shown_before(int(samples.sum()), len(samples), epochs + 1)
    return {str(label): int(count) for label, count in zip(samples.index, shown, strict=True)}


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
    capacity: Capacity, planned: int, mode: str, made: float, seen: float, distinct: bool
) -> float:
    """How many different images of one source are expected to be seen in all epochs.

    Args:
        capacity: of the source.
        planned: its stored variants.
        mode: of augmentation.
        made: how many variants are made on the fly.
        seen: the probability that a stored image is seen at all.
        distinct: see forecast_exposure().
    """
    if mode in ("online", "device"):
        return capacity.expected_shown(made)
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
