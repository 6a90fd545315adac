"""The exponential moving average of a network's weights (EMA), which is judged and kept."""

from copy import deepcopy
from itertools import chain
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """The average of a network's weights, and of what its batch norms have seen.

    torch's AveragedModel would wait for the GPU in each step, to ask how many there were. Early
    on, the decay is (1 + step) / (10 + step), else the average would long consist of the first
    weights.

    Attributes:
        network: a copy of the trained network that has the averages.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network)
        self.decay = decay
        trained, averaged = _tensors(network), _tensors(self.network)
        self.floats = [number for number, t in enumerate(trained) if t.is_floating_point()]
        self.counts = [number for number, t in enumerate(trained) if not t.is_floating_point()]
        self.trained, self.averaged = trained, averaged

    def update(self, step: int) -> None:
        """Take in the network's weights after `step`, from 0."""
        update = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        update(
            [self.averaged[number] for number in self.floats],
            [self.trained[number] for number in self.floats],
            step,
        )
        for number in self.counts:  # of batches, which batch norms keep
            self.averaged[number].copy_(self.trained[number])

    def state_dict(self) -> dict[str, Any]:
        """The averages, for a checkpoint."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.network.load_state_dict(state)


def _tensors(network: nn.Module) -> list[Tensor]:
    """All weights and buffers, detached: views of the network's own memory."""
    return [tensor.detach() for tensor in chain(network.parameters(), network.buffers())]
