"""The order of an epoch: each sample once, decided by the seed and the epoch alone."""

import itertools

import numpy as np

from tasks.train.order import batches_of_epoch, batches_per_epoch, in_batches


def test_every_sample_comes_once_an_epoch_in_an_order_of_its_own() -> None:
    epochs = [np.concatenate(batches_of_epoch(10, 4, seed=1, epoch=epoch)) for epoch in (1, 2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()


def test_the_seed_and_the_epoch_decide_and_nothing_else() -> None:
    np.random.seed(5)
    first = np.concatenate(batches_of_epoch(50, 7, seed=3, epoch=2))
    np.random.seed(6)
    assert first.tolist() == np.concatenate(batches_of_epoch(50, 7, seed=3, epoch=2)).tolist()
    assert first.tolist() != np.concatenate(batches_of_epoch(50, 7, seed=4, epoch=2)).tolist()


def test_a_last_batch_of_one_is_left_out() -> None:
    assert [len(batch) for batch in batches_of_epoch(9, 4, seed=0, epoch=1)] == [4, 4]


def test_batches_are_as_many_as_was_said() -> None:
    for count, size in itertools.product(range(60), range(2, 20)):
        assert len(in_batches(np.arange(count), size)) == batches_per_epoch(count, size)
