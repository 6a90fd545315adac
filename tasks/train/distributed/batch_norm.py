"""Batch normalisation over the images of all processes, so that they train as one.

On CUDA it is torch's SyncBatchNorm; on a CPU torch has none.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function


class GroupBatchNorm(nn.SyncBatchNorm):
    """Batch norm whose mean and deviation are those of the whole batch; a share may be empty."""

    def forward(self, input: Tensor) -> Tensor:
        if input.is_cuda or not self.training:
            return super().forward(input)
        normalised, mean, variance, count = _Normalised.apply(
            input, self.weight, self.bias, self.eps
        )
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), self.momentum)
        return normalised


def share_batch_norms(network: nn.Module) -> None:
    """Let the batch norms within a network see the images of all processes."""
    nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.SyncBatchNorm:
            module.__class__ = GroupBatchNorm


class _Normalised(Function):
    """Images normalised by the mean and variance of all processes' images, in float32.

    Returns:
        The images; mean and (biased) variance of each channel, float32 (channels,); and how many
        numbers of a channel there were, float32 ().
    """

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, ...]:
        size = images.new_tensor([images.numel() // len(weight)], dtype=torch.float64)
        sums, count = _sum_of_all(_channel_sums(images.float()), size).split([len(weight), 1])
        mean = (sums / count).float()
        centred = images.float() - _along(mean, images)
        variance = (_sum_of_all(_channel_sums(centred**2)) / count).float()
        scale = (variance + eps).rsqrt()
        centred *= _along(scale, images)
        ctx.save_for_backward(centred, weight, scale, count.float())
        normalised = torch.addcmul(_along(bias, images), centred, _along(weight, images))
        count = count.float()[0]
        ctx.mark_non_differentiable(mean, variance, count)
        return normalised.to(images.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        normalised, weight, scale, count = ctx.saved_tensors
        of_bias = _channel_sums(gradient.float())
        of_weight = _channel_sums(gradient.float() * normalised)
        means = (_sum_of_all(of_bias, of_weight) / count).float().split(len(weight))
        along_bias, along_weight = (_along(each, gradient) for each in means)
        own = gradient.float() - along_bias - normalised * along_weight
        own *= _along(weight * scale, gradient)
        return own.to(gradient.dtype), of_weight, of_bias, None


def _channel_sums(images: Tensor) -> Tensor:
    return images.sum(dim=[0, *range(2, images.dim())])


def _along(channels: Tensor, images: Tensor) -> Tensor:
    """A number for each channel in a shape that goes with images."""
    return channels.view(1, -1, *[1] * (images.dim() - 2))


def _sum_of_all(*parts: Tensor) -> Tensor:
    """The parts as one vector, float64, summed over all processes."""
    vector = torch.cat([part.double() for part in parts])
    dist.all_reduce(vector)
    return vector
