"""Shares of the work, buckets of gradients, and whether processes agree."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.train.distributed.gradient_sum import in_buckets
from tasks.train.distributed.group import Group
from tasks.train.loop.checkpoint_key import require_same_key
from tasks.train.loop.optimization import seed_step
from tasks.train.order import in_batches, size_of_batch


@given(st.integers(0, 50), st.integers(1, 9))
def test_shares_are_all_items_in_order_and_equal_but_for_one(count: int, size: int) -> None:
    shares = [Group(rank, size).share_of(np.arange(count)) for rank in range(size)]
    assert np.concatenate(shares).tolist() == list(range(count))
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1


@given(st.integers(0, 50), st.integers(2, 9))
def test_the_size_of_a_whole_batch_is_known_without_it(count: int, size: int) -> None:
    batches = in_batches(np.arange(count), size)
    expected = [len(batch) for batch in batches]
    assert [size_of_batch(count, size, number) for number in range(len(batches))] == expected


def test_buckets_keep_the_order_and_their_size() -> None:
    weights = [torch.zeros(numbers) for numbers in (2, 1, 5, 1, 1, 1)]  # of 4 bytes
    sizes = [[weight.numel() for weight in bucket] for bucket in in_buckets(weights, 12)]
    assert sizes == [[2, 1], [5], [1, 1, 1]]
    assert in_buckets([]) == []


def test_each_process_draws_its_own_dropout_and_the_first_what_one_alone_draws() -> None:
    drawn = []
    for rank in ((), (0,), (1,), (2,)):
        seed_step(42, 7, *rank)
        drawn.append(float(torch.rand(())))
    assert drawn[0] == drawn[1] and len(set(drawn)) == 3


class Told(Group):
    """A group whose other processes have said what their keys are."""

    others: Sequence[dict[str, str]] = ()

    def gather(self, value: Any) -> list[Any]:
        return [value, *self.others]


def test_processes_with_other_code_or_data_do_not_train_together() -> None:
    key = {"train.epochs": "3", "the device": "a card", "torch": "2.11"}
    other_card = {**key, "the device": ""}
    Told.others = [other_card]
    require_same_key(key, Told())
    Told.others = [other_card, {**other_card, "torch": "2.15"}]
    with pytest.raises(UserError) as caught:
        require_same_key(key, Told())
    assert str(caught.value) == (
        "params.yaml train.devices: all processes need the same project, code and libraries; "
        "in process 3, torch was 2.11, is 2.15"
    )
