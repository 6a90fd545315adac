"""Rules about numbers: more variants than can differ, and variants that nothing changes."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.capacity.count import Capacity
from tasks.lint.findings import Finding
from tasks.variants.recipe import ClassPolicy

MOST_UNTOUCHED = 0.25  # of variants, where copies are stored
MOST_DRAWN_AGAIN = 0.5  # of draws, where copies are drawn again


class Planned(NamedTuple):
    """Training sources and what is planned of each.

    Attributes:
        rows: of sources.policy_inputs().
        counts: variants planned of each.
        capacity_index: int (sources,), the index of each source's capacity in `capacities`.
        capacities: see checked_capacities().
    """

    rows: pd.DataFrame
    counts: pd.Series
    capacity_index: np.ndarray
    capacities: list[Capacity]

    def given(self) -> pd.DataFrame:
        """The rows of those that get variants."""
        return self.rows[self.counts.to_numpy() > 0]

    def where(self, its: np.ndarray) -> "Planned":
        """Those that are marked, bool (sources,), with their own capacities alone."""
        used, index = np.unique(self.capacity_index[its], return_inverse=True)
        own = [self.capacities[number] for number in used]
        return Planned(self.rows[its], self.counts[its], index, own)


def too_many(policy: ClassPolicy, planned: Planned, distinct: bool) -> list[Finding]:
    """More variants planned of an image than can differ."""
    new = np.array([_most_new(capacity) for capacity in planned.capacities], float)
    surplus = planned.counts.to_numpy() - new[planned.capacity_index]
    concerned = surplus > 0
    if not concerned.any():
        return []
    end = "rejected" if distinct else "copies"
    why = (
        f"{concerned.sum():,} training images get more variants than can differ: at least "
        f"{surplus[concerned].sum():,.0f} of {planned.counts.sum():,} variants will be {end}"
    )
    instead = "plan fewer or add a step to the policy"
    return [Finding("too_many_variants", policy.location, why, instead)]


def _most_new(capacity: Capacity) -> float:
    """How many variants there can be; infinite without a bound, or where a step cannot be applied.

    step_rules() tells of the latter.
    """
    most = capacity.most_written()
    return math.inf if most is None or capacity.failing else most


def mostly_untouched(policy: ClassPolicy, planned: Planned, distinct: bool) -> list[Finding]:
    """A policy of which many draws leave an image as it is."""
    untouched = np.array([capacity.untouched for capacity in planned.capacities], float)
    # too_many() tells of sources of which nothing new can be made
    hopeless = np.array([capacity.new() == 0 for capacity in planned.capacities], bool)
    variants = np.where(hopeless[planned.capacity_index], 0, planned.counts.to_numpy())
    if not variants.sum():
        return []
    share = float((untouched[planned.capacity_index] * variants).sum() / variants.sum())
    if share <= (MOST_DRAWN_AGAIN if distinct else MOST_UNTOUCHED):
        return []
    so = (
        f"{share:.0%} of draws leave an image as it is, and are drawn again"
        if distinct
        else f"{share:.0%} of variants are expected to be copies of their sources"
    )
    instead = "raise p of its steps, or set p: 1.0 for one of them"
    return [Finding("mostly_untouched", policy.location, so, instead)]
