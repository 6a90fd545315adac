"""Accuracy on corrupted test images: a curve over five severities beside the clean figure."""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from tasks.common import events
from tasks.evaluate.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from tasks.evaluate.intervals import Interval, effective_units, wilson
from tasks.model.device import choose_device
from tasks.model.inference import BATCH_SIZE, predict
from tasks.variants.params import AugmentParams
from tasks.variants.policy import steps_within
from tasks.variants.published_policies import PUBLISHED
from tasks.variants.recipe import policies

ADJUST_LIGHT = ("brightness", "contrast")  # what each published policy does as well


class Robustness(NamedTuple):
    """How many corrupted images are recognised.

    `clean`: bool (images,). `corrupted`: bool (corruptions, severities, images), as CORRUPTIONS has
    them. `trained`: the corruptions that the policy itself makes. `units`: int (images,), see
    intervals.independent_units().
    """

    clean: np.ndarray
    corrupted: np.ndarray
    trained: tuple[str, ...]
    units: np.ndarray


def choose_images(test: pd.DataFrame, most: int) -> np.ndarray:
    """The rows of the test images that are corrupted: those with the lowest `source_id`.

    It is a hash of their bytes, so they are drawn at random, and always the same.
    """
    return np.sort(np.argsort(test["source_id"].to_numpy(), kind="stable")[:most])


def judge_corrupted(
    network: nn.Module, images: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which images are recognised, clean and corrupted; see Robustness.

    Args:
        network: from uint8 images to logits.
        images: uint8 (images, 3, size, size).
        targets: their class numbers.
    """
    device = choose_device()
    network.to(device)
    found = np.zeros((len(CORRUPTIONS), SEVERITIES, len(images)), bool)
    starts = range(0, len(images), BATCH_SIZE)
    tasks = list(product(enumerate(CORRUPTIONS), range(1, SEVERITIES + 1), starts))
    for (number, name), severity, start in events.track(
        tasks, len(tasks), "judging corrupted images", "part"
    ):
        part = slice(start, start + BATCH_SIZE)
        made = corrupt(images[part], name, severity)
        found[number, severity - 1, part] = _right(network, made, targets[part], device)
    return _right(network, images, targets, device), found


def _right(
    network: nn.Module, images: np.ndarray, targets: np.ndarray, device: torch.device
) -> np.ndarray:
    return predict(network, images, device).argmax(dim=1).numpy() == targets


def trained_corruptions(params: AugmentParams) -> tuple[str, ...]:
    """The corruptions that a step of some policy makes too: they are not held out."""
    names: set[str] = set()
    for policy in policies(params):
        names |= {name for name, _ in steps_within(policy.steps, policy.location)}
    light = ADJUST_LIGHT if names & set(PUBLISHED) else ()
    return tuple(
        name for name, made in CORRUPTIONS.items() if names & set(made.alike) or name in light
    )


def summarise_robustness(found: Robustness) -> dict[str, Any]:
    """Its figures, to 6 digits: over all corruptions and, as `by_corruption`, of each.

    `accuracy` is the mean over the held-out corruptions, which the policy does not make (over all
    where it makes all), and their severities.
    """
    names = list(CORRUPTIONS)
    held_out = [i for i, name in enumerate(names) if name not in found.trained]
    chosen = found.corrupted[held_out or range(len(names))]
    of_image = chosen.mean(axis=(0, 1))
    low, high = _interval_of_mean(of_image, found.units)
    by_name = found.corrupted.mean(axis=(1, 2))
    return {
        "images": len(found.clean),
        "corruptions": len(chosen),
        "clean_accuracy": round(float(found.clean.mean()), 6),
        "accuracy": round(float(of_image.mean()), 6),
        "accuracy_low": round(float(low), 6),
        "accuracy_high": round(float(high), 6),
        "by_corruption": dict(zip(names, by_name.round(6).tolist(), strict=True)),
    }


def _interval_of_mean(values: np.ndarray, units: np.ndarray) -> Interval:
    """Wilson's interval of the mean of a share of each image.

    Such shares vary less than right and wrong do: they tell as much as so many times the images.
    Where they do not vary at all, they say nothing of how much others would.
    """
    mean, variance = values.mean(), values.var()
    times = max(1.0, mean * (1 - mean) / variance) if variance > 0 else 1.0
    return wilson(mean, effective_units(np.bincount(units)) * times)


def curves(found: Robustness | None, clean: float) -> pd.DataFrame:
    """The content of plots/robustness.csv: accuracy at severities 0, clean, to 5.

    Returns:
        severity; `mean` over the held-out corruptions; a column for each corruption. Only
        severity 0 where nothing was corrupted, with the accuracy `clean`.
    """
    names = list(CORRUPTIONS)
    if found is None:
        table = np.full((1, len(names)), clean)
    else:
        first = np.full((1, len(names)), found.clean.mean())
        table = np.vstack([first, found.corrupted.mean(axis=2).T])
    rows = pd.DataFrame(table, columns=names).round(6)
    trained = found.trained if found else ()
    held_out = [name for name in names if name not in trained] or names
    rows.insert(0, "severity", range(len(rows)))
    rows.insert(1, "mean", rows[held_out].mean(axis=1).round(6))
    return rows
