"""95% intervals: Wilson's for shares of images, a stratified bootstrap for all other figures.

Images that belong together (one group, or images that look the same) are no independent evidence.
They are one unit here: units are resampled, and a share counts as one of so many units of equal
size as tell as much.

A bootstrap knows no mistake that the test images do not hold: of five images that are all right it
gives 100% to 100%. Wilson's interval gives 57% to 100%.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Z = 1.959963984540054  # 95% of a normal distribution lie within so many deviations
RESAMPLES, LEAST_RESAMPLES = 10_000, 1_000
MOST_DRAWS = 200_000_000  # in all: with more units there are fewer resamples
DRAWS_AT_ONCE = 4_000_000  # in memory


class Interval(NamedTuple):
    """The ends of an interval, one or an array of them."""

    low: np.ndarray
    high: np.ndarray


def independent_units(rows: pd.DataFrame) -> np.ndarray:
    """The number of each image's unit: images of one `group_id` or `cluster` are one unit.

    `rows`: of the validated manifest.
    """
    images = len(rows)
    links = [_links(rows[name], images) for name in ("group_id", "cluster")]
    graph = sparse.block_array([[sparse.hstack(links)]]).tocsr()
    joined = sparse.block_array([[None, graph], [graph.T, None]])
    return pd.factorize(connected_components(joined, directed=False)[1][:images])[0]


def _links(names: pd.Series, images: int) -> sparse.coo_array:
    """Which image has which name: (images, names)."""
    codes, known = pd.factorize(names)
    with_name = np.flatnonzero(codes >= 0)
    ones = np.ones(len(with_name), np.int8)
    return sparse.coo_array((ones, (with_name, codes[with_name])), (images, max(1, len(known))))


def effective_units(images: np.ndarray) -> float:
    """How many units of equal size tell as much as units of so many images; 0 of none.

    A unit with most of the images decides a share nearly alone, however many others there are.
    Source: L. Kish, "Survey Sampling", 1965.
    """
    sizes = images.astype(float)
    return float(sizes.sum() ** 2 / max(1.0, (sizes**2).sum()))


def wilson(share: np.ndarray | float, units: np.ndarray | float) -> Interval:
    """The interval of a share of so many independent units; of none it is 0 to 1.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    1927. It holds for few units and for shares near 0 and 1 too.
    """
    share, units = np.asarray(share, float), np.asarray(units, float)
    step = Z**2 / np.maximum(units, 1)
    middle = (share + step / 2) / (1 + step)
    half = np.sqrt(share * (1 - share) * step + step**2 / 4) / (1 + step)
    low = np.where((units == 0) | (share == 0), 0.0, middle - half)
    high = np.where((units == 0) | (share == 1), 1.0, middle + half)
    return Interval(np.clip(low, 0, 1), np.clip(high, 0, 1))


def of_mean(values: np.ndarray, ends: Interval) -> Interval:
    """The interval of a mean of shares, from their own intervals.

    Source: G. Y. Zou, A. Donner, "Construction of confidence limits about effect measures",
    2008 (MOVER).
    """
    mean, count = values.mean(), len(values)
    low = mean - math.sqrt(((values - ends.low) ** 2).sum()) / count
    high = mean + math.sqrt(((ends.high - values) ** 2).sum()) / count
    return Interval(np.clip(low, 0, 1), np.clip(high, 0, 1))


def bootstrap(
    columns: sparse.csr_array,
    strata: np.ndarray,
    statistics: Callable[[np.ndarray], np.ndarray],
) -> Interval:
    """Percentile intervals of statistics of sums over units, which are resampled within strata.

    Source: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993. The same each time:
    the units in their order decide.

    Args:
        columns: float (units, columns), what is added up over the units.
        strata: int (units,), within which as many units are drawn as there are.
        statistics: from sums (resamples, columns) to (resamples, statistics).
    """
    units = len(strata)
    order = np.argsort(strata, kind="stable")
    _, starts, sizes = np.unique(strata[order], return_index=True, return_counts=True)
    first, among = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    by_column = columns[order].T.tocsr()
    resamples = min(RESAMPLES, max(LEAST_RESAMPLES, MOST_DRAWS // units))
    at_once = max(1, DRAWS_AT_ONCE // max(units, by_column.shape[0]))
    generator = np.random.default_rng(0)
    found = []
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = first + (generator.random((rows, units)) * among).astype(np.int64)
        drawn += np.arange(rows)[:, None] * units
        times = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units)
        found.append(statistics((by_column @ times.T.astype(np.float64)).T))
    return Interval(*np.quantile(np.concatenate(found), [0.025, 0.975], axis=0))


def in_percent(value: float, low: float, high: float) -> str:
    """A share with its interval, as `99.24% (98.7 to 99.7)`."""
    return f"{value:.2%} ({100 * low:.1f} to {100 * high:.1f})"


def in_numbers(value: float, low: float, high: float) -> str:
    """Any other figure with its interval, as `0.0775 (0.0512 to 0.1103)`."""
    return f"{value:.4f} ({low:.4f} to {high:.4f})"
