"""Average pooling to several places, with a gradient on CUDA that is the same each time."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class AveragePool(nn.Module):
    """Adaptive average pooling whose gradient on CUDA is the same each time; torch's is not.

    From (batch, channels, height, width) to (batch, channels, *size).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        if not images.is_cuda:
            return functional.adaptive_avg_pool2d(images, self.size)
        rows, columns = (
            shares(before, after).to(images)
            for before, after in zip(images.shape[2:], self.size, strict=True)
        )
        return rows @ images @ columns.T


def shares(before: int, after: int) -> Tensor:
    """What each of `before` places has in the means of `after`: (after, before)."""
    places, means = torch.arange(before), torch.arange(after)[:, None]
    first, end = means * before // after, -((means + 1) * -before // after)
    inside = (places >= first) & (places < end)
    return inside / inside.sum(dim=1, keepdim=True)


def replace_pooling(network: nn.Module) -> None:
    """Put AveragePool where AlexNet and VGG pool to several places; other networks pool to one."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size not in (1, (1, 1)):
                setattr(module, name, AveragePool(cast(tuple[int, int], child.output_size)))
