"""Classes of unequal size: their weights, and an order that shows each equally often."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.train.balance import balanced_presentations, balanced_samples, class_weights
from tasks.train.feed import Feed

LABELS = np.array([0] * 6 + [1] * 2)
labels_of_samples = st.lists(st.integers(0, 4), min_size=1, max_size=40).map(np.array)


def test_weights_by_hand() -> None:
    # 8 samples of 2 classes that have any: 8 / (2 * 6) and 8 / (2 * 2)
    assert class_weights(LABELS, 3) == pytest.approx([2 / 3, 2.0, 0.0])


@given(labels_of_samples)
def test_the_weight_of_a_sample_is_one_in_the_mean(labels: np.ndarray) -> None:
    weights = class_weights(labels, 5)[labels]
    assert weights.mean() == pytest.approx(1)
    sums = np.bincount(labels, weights)
    assert sums[sums > 0] == pytest.approx(sums.max())


def test_an_epoch_shows_each_class_equally_often() -> None:
    assert np.bincount(LABELS[balanced_samples(LABELS, 1, 1)]).tolist() == [4, 4]
    shown = sum(np.bincount(balanced_samples(LABELS, 1, e), minlength=8) for e in (1, 2, 3))
    assert shown.tolist() == [2] * 6 + [6] * 2


@given(labels_of_samples, st.integers(0, 3), st.integers(1, 5))
def test_presentations_are_known_without_the_order(
    labels: np.ndarray, seed: int, epochs: int
) -> None:
    found = np.zeros(len(labels), np.int64)
    for epoch in range(1, epochs + 1):
        samples = balanced_samples(labels, seed, epoch)
        assert len(samples) == len(labels)
        found += np.bincount(samples, minlength=len(labels))
        by_class = np.bincount(labels[samples])[np.unique(labels)]
        assert by_class.max() - by_class.min() <= 1
    assert found.tolist() == balanced_presentations(labels, seed, epochs).tolist()
    by_class = np.bincount(labels, found)[np.unique(labels)]
    assert by_class.max() - by_class.min() <= 1  # what remains goes to the classes in turn
    for label in np.unique(labels):
        assert np.ptp(found[labels == label]) <= 1


def test_the_seed_and_the_epoch_decide_the_order() -> None:
    labels = np.arange(60) % 3
    first = balanced_samples(labels, 1, 2).tolist()
    assert first == balanced_samples(labels, 1, 2).tolist()
    assert first != balanced_samples(labels, 2, 2).tolist()
    assert first != balanced_samples(labels, 1, 3).tolist()


def test_the_feed_counts_what_a_balanced_order_repeats_and_leaves_out() -> None:
    labels = np.array([0] * 8 + [1])
    feed = Feed(np.zeros((9, 3, 2, 2), np.uint8), torch.from_numpy(labels), balanced=True)
    shown = np.zeros(2, int)
    for epoch in (1, 2, 3):
        for _, classes in feed.epoch(epoch, 4, seed=0):  # batches of 4 and 4, one sample is left
            shown += np.bincount(classes, minlength=2)
    assert shown.sum() == 3 * 8 == feed.shown.sum() and feed.left_out.sum() == 3
    due = balanced_presentations(labels, 0, 3)
    assert (feed.shown + feed.left_out).tolist() == due.tolist()
    assert due[8] == 13 and due[:8].sum() == 14
