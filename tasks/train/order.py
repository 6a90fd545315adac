"""In which order an epoch shows its samples: a function of the seed and the epoch, nothing else.

So a training that goes on from a checkpoint, in the middle of an epoch, shows what it would have
shown. A sample is one image of an epoch; samples have numbers.
"""

import numpy as np

from tasks.train.balance import balanced_samples


def samples_of_epoch(
    count: int, seed: int, epoch: int, balanced: np.ndarray | None = None
) -> np.ndarray:
    """What an epoch shows, in random order: int64 (count,).

    Args:
        count: of the samples, which are 0..count-1.
        seed: train.seed.
        epoch: from 1.
        balanced: the class number of each sample, where each class is to be shown equally often;
            None: each sample is shown once.
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    return order if balanced is None else balanced_samples(balanced, seed, epoch)[order]


def in_batches(samples: np.ndarray, size: int) -> list[np.ndarray]:
    """`samples` in batches of `size`, the last may be smaller: each int64 (batch,).

    A last batch of one sample is left out: batch normalisation cannot use it.
    """
    starts = range(0, batches_per_epoch(len(samples), size) * size, size)
    return [samples[start : start + size] for start in starts]


def batches_of_epoch(count: int, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Each sample once, in batches; see samples_of_epoch() and in_batches()."""
    return in_batches(samples_of_epoch(count, seed, epoch), size)


def batches_per_epoch(count: int, size: int) -> int:
    """How many batches `count` samples make."""
    return count // size + int(count % size > 1)


def size_of_batch(count: int, size: int, batch: int) -> int:
    """How many of `count` samples a batch of an epoch has, the first batch being 0."""
    return min(size, count - batch * size)
