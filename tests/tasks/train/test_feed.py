"""The feed: which images and labels a batch holds, and what is counted of them."""

from collections.abc import Iterator

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.train.feed import Feed
from tasks.train.online import Shown
from tasks.train.order import batches_of_epoch


class FakeOnline:
    """Makes images of one value, 100 + the source's number; those of `rejected` fail.

    Each shows the class of that number, in odd epochs 10 more.
    """

    def __init__(self, rejected: set[int]) -> None:
        self.rejected = rejected
        self.asked: list[tuple[int, list[list[int]]]] = []

    def epoch(self, number: int, batches: list[list[int]]) -> Iterator[Shown]:
        self.asked.append((number, batches))
        for sources in batches:
            values = torch.tensor(sources, dtype=torch.uint8)[:, None, None, None] + 100
            made = torch.tensor([source not in self.rejected for source in sources])
            labels = torch.tensor(sources) + 100 + 10 * (number % 2)
            yield Shown(values.expand(-1, 3, 2, 2), made, labels)


def decoded(count: int) -> np.ndarray:
    """Images of one value, their number."""
    return np.full((count, 3, 2, 2), np.arange(count)[:, None, None, None], np.uint8)


def batches_of(count: int, size: int, seed: int, epoch: int = 1) -> list[list[int]]:
    return [batch.tolist() for batch in batches_of_epoch(count, size, seed, epoch)]


@given(st.integers(0, 30), st.integers(2, 12), st.integers(0, 5))
def test_batches_are_full_but_for_the_last_and_hold_every_sample_once(
    count: int, size: int, seed: int
) -> None:
    batches = batches_of(count, size, seed)
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(1 < len(batch) <= size for batch in batches)
    samples = [sample for batch in batches for sample in batch]
    assert len(set(samples)) == len(samples) == count - (count % size == 1)
    assert [len(batch) for batch in batches[:-1]] == [size] * len(batches[:-1])


def test_a_batch_has_the_images_of_its_labels_decoded_ones_first() -> None:
    online = FakeOnline(rejected={1})
    # samples 0 to 4 are decoded, 5 to 7 are made of the sources 0 to 2
    labels = torch.tensor([0, 1, 2, 3, 4, 100, 101, 102])
    feed = Feed(decoded(5), labels, online)
    assert len(feed) == 8
    seen = []
    for epoch in (1, 2):
        for images, own in feed.epoch(epoch, 3, seed=7):
            assert images.dtype == torch.uint8 and images.shape[1:] == (3, 2, 2)
            relabelled = 10 * (epoch % 2) * (own >= 100)
            assert images[:, 2, 1, 0].tolist() == (own - relabelled).tolist()
            assert own.tolist() == sorted(own.tolist(), key=lambda label: label >= 100)
            seen.append(len(own))
    assert seen == [3, 3, 2] * 2
    assert feed.shown.tolist() == [2] * 8
    assert feed.replaced.tolist() == [0, 0, 0, 0, 0, 0, 2, 0]
    assert feed.left_out.tolist() == [0] * 8
    assert feed.online_classes == dict.fromkeys((100, 101, 102, 110, 111, 112), 1)
    assert feed.labels.tolist() == labels.tolist()
    counts = (feed.shown, feed.replaced, feed.left_out)
    assert {each.dtype for each in counts} == {np.dtype(np.int64)}
    for number, (epoch, asked) in enumerate(online.asked, start=1):
        assert epoch == number
        wanted = [[n - 5 for n in batch if n >= 5] for batch in batches_of(8, 3, 7, number)]
        assert asked == [batch for batch in wanted if batch]


def test_a_sample_alone_in_a_last_batch_is_counted_as_left_out() -> None:
    feed = Feed(decoded(7), torch.arange(7))
    expected = np.zeros(7, int)
    for epoch in range(1, 31):
        shown = np.concatenate(batches_of(7, 3, 3, epoch)).tolist()
        expected += [sample not in shown for sample in range(7)]
        for images, own in feed.epoch(epoch, 3, seed=3):
            assert images[:, 0, 0, 0].tolist() == own.tolist()
    assert feed.left_out.tolist() == expected.tolist()
    assert (feed.shown + feed.left_out).tolist() == [30] * 7 and feed.left_out.all()
    assert feed.replaced.tolist() == [0] * 7
