"""torch.compile in training: whole batches run compiled, the last and smaller one of an epoch not.

The network itself stays as it is: names of weights, checkpoints and validation know nothing of it.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from tasks.common import events
from tasks.common.errors import UserError
from tasks.train.distributed.group import ALONE, Group
from tasks.train.params import TrainParams


def forward_of(
    network: nn.Module, params: TrainParams, group: Group = ALONE
) -> Callable[[Tensor], Tensor]:
    """What gives the logits of a training batch: `network`, compiled where `compile` asks for it.

    `group`: that trains it, where this process gets a share of each batch.

    Raises:
        UserError: by the first batch, where it cannot be compiled here.
    """
    if not params.compile:
        return network
    # else kernels are chosen by their times, and with them the order in which sums are taken
    compiled = torch.compile(network, dynamic=False, options={"deterministic": True})
    events.say("compiling the network: the first step takes from seconds to some minutes")
    whole = len(group.share_of(np.arange(params.batch_size)))

    def forward(images: Tensor) -> Tensor:
        if len(images) != whole:  # another shape would be compiled for one step
            return network(images)
        try:
            return compiled(images)
        except RuntimeError as error:
            from torch._dynamo.exc import TorchDynamoException  # takes seconds

            if not isinstance(error, TorchDynamoException):
                raise
            lines = [line for line in str(error).splitlines() if line]
            raise UserError(
                "params.yaml train.compile: the network cannot be compiled on this machine: "
                f"{lines[0]}; write compile: false"
            ) from None

    return forward
