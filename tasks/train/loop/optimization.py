"""The optimizer, its learning rate over the steps, and the seed of each step."""

import hashlib

import torch
from torch import nn

from tasks.train.params import TrainParams


def build_optimizer(network: nn.Module, params: TrainParams) -> torch.optim.Optimizer:
    """AdamW over all weights of the network."""
    return torch.optim.AdamW(
        network.parameters(),
        lr=params.learning_rate,
        weight_decay=params.weight_decay,
        fused=next(network.parameters()).is_cuda,
    )


def build_schedule(
    optimizer: torch.optim.Optimizer, steps: int, params: TrainParams
) -> torch.optim.lr_scheduler.LRScheduler:
    """One cycle of the learning rate over all steps."""
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, params.learning_rate, total_steps=max(steps, 2)
    )


def seed_step(seed: int, step: int) -> None:
    """Seed what a network draws in a step, such as dropout: by (seed, step), nothing else."""
    digest = hashlib.sha256(f"{seed} {step}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8]) >> 1)
