"""The learning rate over the steps, by hand and against torch's own schedulers."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from tasks.train.loop.optimization import build_optimizer, build_schedule
from tasks.train.params import TrainParams


def rates(steps: int, groups: int = 1, **changes: Any) -> list[list[float]]:
    """Of each group the rate in each step; the second group's highest rate is ten times as much."""
    params = TrainParams(**{"learning_rate": 0.1, "epochs": 2, **changes})
    optimizer = build_optimizer(nn.Linear(1, 1), params)
    if groups == 2:
        optimizer.add_param_group({"params": nn.Linear(1, 1).parameters(), "lr": 1.0})
    schedule = build_schedule(optimizer, steps, params)
    found: list[list[float]] = [[] for _ in range(groups)]
    for _ in range(steps):
        for group, one in zip(optimizer.param_groups, found, strict=True):
            one.append(group["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_a_constant_rate_after_a_rise_in_a_line() -> None:
    assert rates(4, schedule="constant") == [[0.1] * 4]
    # half of an epoch of 8 steps: 4 steps, then the whole rate
    found = rates(16, schedule="constant", warmup_epochs=0.5)[0]
    assert found == pytest.approx([0.02, 0.04, 0.06, 0.08] + [0.1] * 12)


def test_cosine_is_torchs_and_a_warm_up_comes_before_it() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    schedule, expected = CosineAnnealingLR(optimizer, 12), []
    for _ in range(12):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates(12, schedule="cosine")[0] == pytest.approx(expected)
    found = rates(16, schedule="cosine", warmup_epochs=0.5)[0]
    assert found == pytest.approx([0.02, 0.04, 0.06, 0.08, *expected])


def test_one_cycle_is_torchs() -> None:
    optimizer = torch.optim.AdamW(nn.Linear(1, 1).parameters(), lr=0.1)
    schedule, expected = OneCycleLR(optimizer, 0.1, total_steps=10), []
    for _ in range(10):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates(10)[0] == expected


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_each_group_has_a_highest_rate_of_its_own(schedule: str) -> None:
    first, second = rates(10, groups=2, schedule=schedule)
    assert second == pytest.approx([10 * rate for rate in first])
