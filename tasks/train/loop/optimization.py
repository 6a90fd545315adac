"""The optimizer, its learning rate over the steps, and the seed of each step."""

import hashlib
import math
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from tasks.model.networks import head_of
from tasks.train.params import TrainParams

HEAD_RATE = 10  # times the learning rate: of a new head on weights that were trained before


def parameter_groups(network: nn.Module, params: TrainParams) -> list[dict[str, Any]]:
    """The weights that learn, in groups of one learning rate: see HEAD_RATE."""
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    if params.weights == "none":
        return [{"params": learning, "lr": params.learning_rate}]
    head = list(head_of(network)[1].parameters())
    of_head = {id(weight) for weight in head}
    rest = [weight for weight in learning if id(weight) not in of_head]
    groups = [
        {"params": rest, "lr": params.learning_rate},
        {"params": head, "lr": params.learning_rate * HEAD_RATE},
    ]
    return [group for group in groups if group["params"]]


def build_optimizer(network: nn.Module, params: TrainParams) -> torch.optim.Optimizer:
    """AdamW over all weights of the network that learn."""
    return torch.optim.AdamW(
        parameter_groups(network, params),
        weight_decay=params.weight_decay,
        fused=True,
    )


def build_schedule(
    optimizer: torch.optim.Optimizer, steps: int, params: TrainParams
) -> LRScheduler:
    """The learning rate of each step; each group of weights has a highest rate of its own.

    Args:
        optimizer: the rates of its groups are their highest ones.
        steps: of all epochs.
        params: `schedule` and `warmup_epochs`.
    """
    if params.schedule == "one_cycle":
        highest = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, highest, total_steps=max(steps, 2))
    warmup = round(steps * params.warmup_epochs / params.epochs)
    share = cosine if params.schedule == "cosine" else constant
    return LambdaLR(optimizer, partial(share, steps=steps, warmup=warmup))


def constant(step: int, steps: int, warmup: int) -> float:
    """The share of the highest rate in a step, from 0: it rises in a line, then stays."""
    return min(1.0, (step + 1) / (warmup + 1))


def cosine(step: int, steps: int, warmup: int) -> float:
    """The share of the highest rate in a step, from 0: it rises in a line, then falls to 0."""
    if step < warmup:
        return constant(step, steps, warmup)
    return (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1))) / 2


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed what a network draws in a step, such as dropout: by (seed, step, rank), nothing else."""
    of_rank = f" {rank}" if rank else ""
    digest = hashlib.sha256(f"{seed} {step}{of_rank}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8]) >> 1)
