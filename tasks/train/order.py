"""In which order an epoch shows its samples: a function of the seed and the epoch, nothing else.

So a training that goes on from a checkpoint, in the middle of an epoch, shows what it would have
shown. A sample is one image of an epoch; samples have numbers.
"""

import numpy as np


def batches_of_epoch(count: int, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The samples 0..count-1 in random order, in batches of `size`: each int64 (batch,).

    A last batch of one sample is left out: batch normalisation cannot use it.

    Args:
        count: of the samples.
        size: samples in a batch, at most.
        seed: train.seed.
        epoch: from 1.
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    starts = range(0, batches_per_epoch(count, size) * size, size)
    return [order[start : start + size] for start in starts]


def batches_per_epoch(count: int, size: int) -> int:
    """How many batches `count` samples make."""
    return count // size + int(count % size > 1)
