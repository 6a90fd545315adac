"""Classes of unequal size: weights of their losses, or an order that shows each equally often.

The balanced order is a function of (seed, epoch). Each class has an endless sequence of its
samples: one permutation of them after the other. An epoch takes the next part of each sequence,
all equally long but for what does not divide evenly, which falls on another class each time. So
it is known how often each sample was shown: as often as any of its class, or once more.

Example: 6 samples of class a and 2 of class b. An epoch shows 8 samples: 4 of a and 4 of b. After
3 epochs each sample of a was shown twice and each of b six times.
"""

import numpy as np


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """The weight of each class, inverse to its frequency: of a sample 1 in the mean.

    samples / (classes that have any * samples of the class); 0 for a class without samples.

    Args:
        labels: the class number of each sample of an epoch, int64 (samples,).
        classes: how many there are.
    """
    sizes = np.bincount(labels, minlength=classes)
    present = np.count_nonzero(sizes)
    return np.divide(len(labels), present * sizes, out=np.zeros(classes), where=sizes > 0)


def balanced_samples(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The samples that an epoch shows, class by class: int64, as many as there are `labels`.

    Args:
        labels: the class number of each sample.
        seed: of the permutations.
        epoch: from 1.
    """
    members_of_class = _members(labels)
    classes = len(members_of_class)
    first, end = (shown_before(len(labels), classes, turn) for turn in (epoch, epoch + 1))
    parts = [np.empty(0, np.int64)]
    for number, members in enumerate(members_of_class):
        places = _places(len(members), int(first[number]), int(end[number]), (seed, number))
        parts.append(members[places])
    return np.concatenate(parts)


def balanced_presentations(labels: np.ndarray, seed: int, epochs: int) -> np.ndarray:
    """How often `epochs` epochs show each sample: int64 (samples,)."""
    shown = np.zeros(len(labels), np.int64)
    members_of_class = _members(labels)
    totals = shown_before(len(labels), len(members_of_class), epochs + 1)
    for number, members in enumerate(members_of_class):
        rounds = int(totals[number]) // len(members)
        shown[members] = rounds
        begun = rounds * len(members)
        places = _places(len(members), begun, int(totals[number]), (seed, number))
        shown[members[places]] += 1
    return shown


def shown_before(samples: int, classes: int, epoch: int) -> np.ndarray:
    """How many presentations of each class there are before `epoch`: int64 (classes,).

    What remains of an epoch when its samples are divided by the classes goes to the classes in
    turn, so none is ever shown more than once more often than another.

    Args:
        samples: of an epoch.
        classes: that have any of them.
        epoch: from 1.
    """
    if classes == 0:
        return np.empty(0, np.int64)
    each, rest = samples // classes, samples % classes
    turns = (epoch - 1) * rest - np.arange(classes)
    return (epoch - 1) * each + -(-turns // classes) * (turns > 0)


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """The samples of each class that has any, by class number."""
    order = np.argsort(labels, kind="stable")
    parts: list[np.ndarray] = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    return [part for part in parts if len(part)]


def _places(size: int, first: int, end: int, key: tuple[int, int]) -> np.ndarray:
    """Places `first` to `end` of an endless sequence of permutations of 0..size-1.

    Philox generates the random keys of any round without those before it, and sorting them gives
    the permutation.
    """
    rounds = range(first // size, -(-end // size))
    blocks = -(-size // 4)  # Philox counts in blocks of four numbers
    generator = np.random.Philox(np.random.SeedSequence(key)).advance(rounds.start * blocks)
    keys = generator.random_raw(len(rounds) * blocks * 4).reshape(len(rounds), blocks * 4)
    sequence = keys[:, :size].argsort(axis=1, kind="stable").ravel()
    return sequence[first - rounds.start * size : end - rounds.start * size]
