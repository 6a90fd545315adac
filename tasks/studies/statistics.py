"""Is one arm better than another? Paired over seeds and images, corrected for many arms.

Accuracies differ from seed to seed, and on other images they would differ too. A t-test over seeds
knows nothing of images, and a bootstrap of few seeds says too little of how rare a difference is.
An arm has to pass both: the wider interval holds, and the larger p-value.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.05  # of p-values that hold for all that is compared together
RESAMPLES = 4_000
DRAWS_AT_ONCE = 10_000_000  # in memory
TOLD_BY_RESAMPLES = 10  # fewer of them say too little of a tail
POWER = 0.8  # the usual one: J. Cohen, "Statistical Power Analysis", 1988
MOST_SEEDS = 1_000  # nobody trains more often


class Difference(NamedTuple):
    """Of two mean accuracies, as fractions: its 95% interval and the p-value of no difference."""

    mean: float
    low: float
    high: float
    p: float


class Totals(NamedTuple):
    """How many more images an arm got right than another one, in units of images.

    `more`: int (seeds, units). `sizes`: images of each unit, int (units,).
    """

    more: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, correct: np.ndarray, reference: np.ndarray, units: np.ndarray) -> "Totals":
        """See compare()."""
        numbers = np.unique(units, return_inverse=True)[1]
        by_image = correct.astype(np.int64) - reference
        more = np.array([np.bincount(numbers, weights=row) for row in by_image])
        return cls(more.astype(np.int64), np.bincount(numbers))

    @property
    def by_seed(self) -> np.ndarray:
        """The difference of the accuracies of each seed, float (seeds,)."""
        return np.asarray(self.more.sum(axis=1) / self.sizes.sum())


def compare(correct: np.ndarray, reference: np.ndarray, units: np.ndarray) -> Difference:
    """The difference of an arm to another one.

    Args:
        correct: which validation images the arm's models got right, bool (seeds, images), of two
            seeds or more.
        reference: the same of the other arm, with the same seeds and images.
        units: which images belong together, int (images,).
    """
    totals = Totals.of(correct, reference, units)
    seeds, images = over_seeds(totals.by_seed), over_seeds_and_images(totals)
    low, high = min(seeds.low, images.low), max(seeds.high, images.high)
    # a t-interval of two or three seeds can be wider than accuracies can differ
    return Difference(seeds.mean, max(low, -1.0), min(high, 1.0), max(seeds.p, images.p))


def over_seeds(by_seed: np.ndarray) -> Difference:
    """A paired t-test: over seeds, on these images."""
    count, mean = len(by_seed), float(by_seed.mean())
    error = float(by_seed.std(ddof=1)) / math.sqrt(count)
    half = float(stats.t.ppf(0.975, count - 1)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, count - 1)) if error else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p)


def over_seeds_and_images(totals: Totals) -> Difference:
    """A bootstrap: seeds and units of images are resampled, independently of each other.

    What is resampled of seeds is their means, so that chance within single images, which is in both
    parts, counts twice. It counts three times where both are resampled at once: A. B. Owen, "The
    pigeonhole bootstrap", 2007. A bootstrap of few seeds is too narrow: these are spread until 95
    in 100 are as wide as the t-interval. The same each time, in whichever order images come.
    """
    seeds, by_seed = len(totals.more), totals.by_seed
    mean = float(by_seed.mean())
    columns, shares, units = _patterns(totals)
    generator = np.random.default_rng(0)
    times = generator.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES)
    wider = float(stats.t.ppf(0.975, seeds - 1) / stats.norm.ppf(0.975))
    of_seeds = wider * (times @ (by_seed - mean)) / math.sqrt(seeds * (seeds - 1))
    found = []
    at_once = max(1, DRAWS_AT_ONCE // len(shares))
    for start in range(0, RESAMPLES, at_once):
        drawn = generator.multinomial(units, shares, min(at_once, RESAMPLES - start)) @ columns
        found.append(drawn[:, 0] / drawn[:, 1] / seeds)
    means = np.concatenate(found) + of_seeds
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(mean, float(low), float(high), _p_value(means, mean))


def _patterns(totals: Totals) -> tuple[np.ndarray, np.ndarray, int]:
    """What units are drawn from: their sums over seeds and sizes, their shares, how many are drawn.

    Equal units are drawn as one, which takes no longer for a million images. Of few images a
    bootstrap knows no difference that they do not show, so two units are added: half of one that
    the arm alone gets right, half of one that the other alone does, and one that is equal in both.

    Source: A. Agresti, Y. Min, "Simple improved confidence intervals for comparing matched
    proportions", 2005.
    """
    columns = np.stack([totals.more.sum(axis=0), totals.sizes], axis=1)
    patterns, counts = np.unique(columns, axis=0, return_counts=True)
    seeds, units = totals.more.shape
    added = totals.sizes.mean() * np.array([[seeds, 1], [-seeds, 1], [0, 1]])
    weights = np.array([*counts, 0.5, 0.5, 1])
    return np.vstack([patterns, added]), weights / weights.sum(), units + 2


def _p_value(means: np.ndarray, mean: float) -> float:
    """Twice the share of resamples on the other side of 0; of a few, that of a normal tail."""
    beyond = min(float(np.mean(means <= 0)), float(np.mean(means >= 0)))
    least = TOLD_BY_RESAMPLES / len(means)
    if beyond < least:
        deviation = float(means.std())
        beyond = min(least, float(stats.norm.sf(abs(mean) / deviation))) if deviation else 0.0
    return min(1.0, 2 * beyond)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that hold for all of them together: Holm's step-down procedure.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def seeds_needed(
    correct: np.ndarray,
    reference: np.ndarray,
    units: np.ndarray,
    level: float = LEVEL,
    worthwhile: float = 0.0,
) -> int | None:
    """How many more seeds would likely decide (4 times in 5), as far as can be told from these.

    Decided is what is at least as far from 0 as its interval is wide, and what cannot reach the
    gain `worthwhile`. None where no number of seeds would: as seeds grow, what differs from image
    to image stays.

    Args:
        correct: see compare().
        reference: see compare().
        units: see compare().
        level: of the p-value.
        worthwhile: the least gain that matters, as a fraction; 0 asks for a difference alone.
    """
    totals = Totals.of(correct, reference, units)
    by_seed = totals.by_seed
    mean, present = float(by_seed.mean()), len(by_seed)
    seeds = np.arange(present + 1, MOST_SEEDS)
    error = by_seed.std(ddof=1) / np.sqrt(seeds)
    z = float(stats.norm.ppf(1 - level / 2))
    t, likely = stats.t.ppf([[1 - level / 2], [POWER]], seeds - 1)
    half = np.sqrt((t * error) ** 2 + z**2 * _variances_of_images(totals, seeds))
    differs = abs(mean) > half + likely * error
    too_little = mean + half + likely * error < worthwhile
    decided = np.flatnonzero(differs | too_little)
    return int(decided[0]) + 1 if len(decided) else None


def _variances_of_images(totals: Totals, more: np.ndarray) -> np.ndarray:
    """The variances that images give to means over so many seeds: float, one for each of `more`.

    What differs from image to image stays as seeds grow; chance within single images, which a
    bootstrap over images sees too, shrinks.

    Source: the components of variance of two crossed factors, here without those of seeds: S. R.
    Searle, G. Casella, C. E. McCulloch, "Variance Components", 1992.
    """
    seeds, units = totals.more.shape
    rest = totals.more - totals.by_seed[:, None] * totals.sizes
    of_unit = rest.mean(axis=0)
    by_chance = ((rest - of_unit) ** 2).sum() / (seeds - 1)  # of one seed
    stays = max(0.0, float((of_unit**2).sum() - by_chance / seeds))
    images = float(totals.sizes.sum())
    # the units added by _patterns() are the last part
    return np.asarray((stays + by_chance / more) / images**2 + 1 / (units + 2) ** 2)
