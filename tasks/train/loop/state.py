"""A training between two steps: all that later steps depend on, and nothing else.

There is no state of a random generator in it: the order of an epoch is a function of (seed, epoch),
and what a step draws one of (seed, step).
"""

from typing import Any

import torch
from torch import Tensor, nn

from tasks.train.feed import Feed
from tasks.train.history import best_epoch
from tasks.train.loop.optimization import build_optimizer, build_schedule
from tasks.train.order import batches_per_epoch
from tasks.train.params import TrainParams


class TrainingState:
    """The network, its optimizer and schedule, what the feed counted, and the history.

    Attributes:
        epoch: that is trained, from 1.
        batch: how many batches of that epoch are done.
        loss_sum: of the samples of that epoch, float32 on the device.
        samples: of that epoch, that were trained on.
        history: a row for each epoch that is done, see fit().
        best_weights: the core's, on the CPU, after the best epoch; empty before the first.
    """

    def __init__(
        self, network: nn.Sequential, feed: Feed, params: TrainParams, device: torch.device
    ) -> None:
        self.network = network
        self.feed = feed
        self.batches_per_epoch = batches_per_epoch(len(feed), params.batch_size)
        self.optimizer = build_optimizer(network, params)
        self.schedule = build_schedule(
            self.optimizer, params.epochs * self.batches_per_epoch, params
        )
        self.epoch = 1
        self.history: list[dict[str, float]] = []
        self.best_weights: dict[str, Tensor] = {}
        self.begin_epoch(device)

    def end_epoch(self, row: dict[str, float], device: torch.device) -> None:
        """Add the row of the epoch, keep its weights where they are the best, begin the next."""
        self.history.append(row)
        if best_epoch(self.history)["epoch"] == self.epoch:
            self.best_weights = copy_of_weights(self.network[-1])
        self.epoch += 1
        self.begin_epoch(device)

    def begin_epoch(self, device: torch.device) -> None:
        """Forget the sums of the epoch before."""
        self.batch = 0
        self.loss_sum = torch.zeros((), device=device)
        self.samples = 0

    @property
    def step(self) -> int:
        """How many steps are done, over all epochs."""
        return (self.epoch - 1) * self.batches_per_epoch + self.batch

    def state_dict(self) -> dict[str, Any]:
        """All of it, of types that torch.load() reads with weights_only=True."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "feed": self.feed.state_dict(),
            "epoch": self.epoch,
            "batch": self.batch,
            "loss_sum": self.loss_sum,
            "samples": self.samples,
            "history": self.history,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, which lies on the device."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.feed.load_state_dict(state["feed"])
        self.epoch, self.batch = state["epoch"], state["batch"]
        self.loss_sum, self.samples = state["loss_sum"], state["samples"]
        self.history, self.best_weights = state["history"], state["best_weights"]


def copy_of_weights(network: nn.Module) -> dict[str, Tensor]:
    """The network's weights by name, on the CPU; later training does not change them.

    Each is contiguous, which on a GPU they are not: safetensors saves no others.
    """
    weights = network.state_dict()
    return {
        name: weight.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, weight in weights.items()
    }
