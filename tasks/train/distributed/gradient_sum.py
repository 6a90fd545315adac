"""The sum of all processes' gradients, sent while those of earlier layers are still computed.

torch's DistributedDataParallel does the same, but lays its buckets anew after the first step. The
place of a number in its bucket decides in which order three processes' numbers are added: so a
training that goes on from a checkpoint would differ in its last digits from one that was not
interrupted. Here the buckets stay as they are.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET_BYTES = 25 * 2**20


class Sent(NamedTuple):
    """A bucket on its way: its weights, their gradients as one vector, what to wait for."""

    weights: list[Tensor]
    gradients: Tensor
    work: dist.Work


class GradientSum:
    """Sums the gradients of a network's weights over all processes.

    Each process sends the same buckets in the same order, whatever a gradient needs to be ready.
    """

    def __init__(self, network: nn.Module) -> None:
        # the last layers' gradients are ready first
        weights = reversed(list(network.parameters()))
        self.buckets = in_buckets(weight for weight in weights if weight.requires_grad)
        self.missing = [len(bucket) for bucket in self.buckets]
        self.sent: list[Sent] = []
        for number, bucket in enumerate(self.buckets):
            for weight in bucket:
                weight.register_post_accumulate_grad_hook(
                    lambda _, number=number: self._add(number)
                )

    def finish(self, loss: Tensor) -> None:
        """After a backward pass: every gradient, and `loss`, is the sum over all processes."""
        self._send(len(self.buckets))
        of_loss = dist.all_reduce(loss, async_op=True)
        for weights, gradients, work in self.sent:
            work.wait()
            parts = gradients.split([weight.numel() for weight in weights])
            own = [weight.grad for weight in weights if weight.grad is not None]
            # one call for all: on a GPU each call takes its time
            torch._foreach_copy_(own, [part.view_as(w) for part, w in zip(parts, own, strict=True)])
        of_loss.wait()
        self.sent = []
        self.missing = [len(bucket) for bucket in self.buckets]

    def _add(self, number: int) -> None:
        """One more gradient of a bucket is ready."""
        self.missing[number] -= 1
        ready = len(self.sent)
        while ready < len(self.buckets) and self.missing[ready] == 0:
            ready += 1
        self._send(ready)

    def _send(self, end: int) -> None:
        """Send the buckets before `end` that were not sent yet."""
        for bucket in self.buckets[len(self.sent) : end]:
            for weight in bucket:
                if weight.grad is None:  # had no part in the loss
                    weight.grad = torch.zeros_like(weight)
            vector = torch.cat(
                [weight.grad.reshape(-1) for weight in bucket if weight.grad is not None]
            )
            self.sent.append(Sent(bucket, vector, dist.all_reduce(vector, async_op=True)))


def in_buckets(weights: Iterable[Tensor], size: int = BUCKET_BYTES) -> list[list[Tensor]]:
    """`weights` in their order, in lists of `size` bytes at most, or of a single weight."""
    buckets: list[list[Tensor]] = []
    room = 0
    for weight in weights:
        if weight.nbytes > room:
            buckets.append([])
            room = size
        buckets[-1].append(weight)
        room -= weight.nbytes
    return buckets
