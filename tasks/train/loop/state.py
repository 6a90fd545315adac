"""A training between two steps: all that later steps depend on, and nothing else.

There is no state of a random generator in it: the order of an epoch is a function of (seed, epoch),
and what a step draws one of (seed, step).
"""

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from tasks.common.errors import UserError
from tasks.train.distributed.gradient_sum import GradientSum
from tasks.train.feed import Feed
from tasks.train.history import best_epoch
from tasks.train.loop.average import WeightAverage
from tasks.train.loop.compiled import forward_of
from tasks.train.loop.optimization import build_optimizer, build_schedule
from tasks.train.order import batches_per_epoch
from tasks.train.params import TrainParams


class Part(Protocol):
    """What keeps a state of its own, as torch's modules and optimizers do.

    The state is made of what torch.load() reads with weights_only=True: dicts, lists, numbers,
    texts and tensors. load_state_dict() gets it with its tensors on the CPU.
    """

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class DivergedError(UserError):
    """The loss or the weights of a training left all bounds."""


class TrainingState:
    """The network, its optimizer and schedule, what the feed counted, and the history.

    What is added to a training and changes with its steps belongs here: a part with a state of its
    own into `parts`, a plain value into PLAIN. Both are then kept in checkpoints.

    Of a group of processes each has the same state, but for what its feed counted.

    Attributes:
        group: the processes that train together.
        gradient_sum: sums gradients over them; None where there are no others.
        forward: what gives the logits of a training batch, see forward_of().
        parts: what keeps a state of its own, by name.
        epoch: that is trained, from 1.
        batch: how many batches of that epoch are done.
        loss_sum: of the samples of that epoch, float32 on the device.
        samples: of that epoch, that were trained on.
        first_bad: the first step, from 0, whose loss was infinite or no number, int64 on the
            device; -1 where there is none. So no step has to wait for the device.
        average: of the weights; None where it is not asked for.
        images_at_once: how many images of a batch the device has room for; None: all.
        history: a row for each epoch that is done, see fit().
        best_weights: the core's, on the CPU, after the best epoch; empty before the first.
    """

    PLAIN = ("epoch", "batch", "samples", "images_at_once", "history", "best_weights")

    def __init__(
        self, network: nn.Sequential, feed: Feed, params: TrainParams, device: torch.device
    ) -> None:
        self.network = network
        self.group = feed.group
        self.forward = forward_of(network, params, self.group)
        self.gradient_sum = GradientSum(network) if self.group.size > 1 else None
        self.feed = feed
        self.params = params
        self.batches_per_epoch = batches_per_epoch(len(feed), params.batch_size)
        self.steps = params.epochs * self.batches_per_epoch
        self.optimizer = build_optimizer(network, params)
        self.schedule = build_schedule(self.optimizer, self.steps, params)
        self.average = WeightAverage(network, params.ema) if params.ema else None
        self.first_bad = torch.full((), -1, dtype=torch.int64, device=device)
        self.images_at_once: int | None = None
        self.parts: dict[str, Part] = {
            "network": network,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "feed": feed,
        }
        if self.average:
            self.parts["average"] = self.average
        self.epoch = 1
        self.history: list[dict[str, float]] = []
        self.best_weights: dict[str, Tensor] = {}
        self.begin_epoch(device)

    def end_epoch(self, row: dict[str, float], device: torch.device) -> None:
        """Add the row of the epoch, keep its weights where they are the best, begin the next."""
        self.history.append(row)
        if best_epoch(self.history)["epoch"] == self.epoch:
            self.best_weights = copy_of_weights(self.judged[-1])
        self.epoch += 1
        self.begin_epoch(device)

    def begin_epoch(self, device: torch.device) -> None:
        """Forget the sums of the epoch before."""
        self.batch = 0
        self.loss_sum = torch.zeros((), device=device)
        self.samples = 0

    @property
    def judged(self) -> nn.Sequential:
        """What is validated and kept: the network, or the average of its weights."""
        return cast(nn.Sequential, self.average.network) if self.average else self.network

    def end_step(self, loss: Tensor, samples: int) -> None:
        """Note the mean loss of a batch, after the weights were changed."""
        bad = (self.first_bad < 0) & ~loss.isfinite()
        self.first_bad = torch.where(bad, self.step, self.first_bad)
        if self.average:
            self.average.update(self.step)
        self.loss_sum += loss * samples
        self.samples += samples
        self.batch += 1

    def require_finite(self) -> None:
        """Check that all losses and weights are numbers, before they are kept or judged.

        Raises:
            DivergedError: where they are not, with the step and its images.
        """
        first_bad = int(self.first_bad)
        weights = [weight.detach() for weight in self.network.parameters()]
        if first_bad < 0 and not nn.utils.get_total_norm(weights).isfinite():
            first_bad = self.step - 1
        if first_bad >= 0:
            raise DivergedError(_left_all_bounds(self.feed, self.params, first_bad))

    @property
    def step(self) -> int:
        """How many steps are done, over all epochs."""
        return (self.epoch - 1) * self.batches_per_epoch + self.batch

    def state_dict(self) -> dict[str, Any]:
        """All of it, of types that torch.load() reads with weights_only=True."""
        return {
            **{name: part.state_dict() for name, part in self.parts.items()},
            **{name: getattr(self, name) for name in self.PLAIN},
            "loss_sum": self.loss_sum,
            "first_bad": self.first_bad,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, whose tensors lie on the CPU."""
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        for name in self.PLAIN:
            setattr(self, name, state[name])
        device = self.loss_sum.device
        self.loss_sum, self.first_bad = state["loss_sum"].to(device), state["first_bad"].to(device)


def _left_all_bounds(feed: Feed, params: TrainParams, step: int) -> str:
    """One line: in which step, what it showed, and what helps."""
    epoch, batch = divmod(step, batches_per_epoch(len(feed), params.batch_size))
    names = feed.names(epoch + 1, params.batch_size, params.seed, batch)
    shown, others = ", ".join(names[:3]), len(names) - 3
    shown += f" and {others:,} more" if others > 0 else ""
    helps = "lower train.learning_rate"
    if params.clip_norm is None:
        helps += ", or write `clip_norm: 1.0`"
    return (
        f"params.yaml train: the loss left all bounds in step {step + 1:,} (epoch {epoch + 1}, "
        f"batch {batch + 1:,}: {shown}); {helps}"
    )


def copy_of_weights(network: nn.Module) -> dict[str, Tensor]:
    """The network's weights by name, on the CPU; later training does not change them.

    Each is contiguous, which on a GPU they are not: safetensors saves no others.
    """
    weights = network.state_dict()
    return {
        name: weight.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, weight in weights.items()
    }
