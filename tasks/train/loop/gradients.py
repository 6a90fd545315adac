"""The loss of a batch and its gradients."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tasks.model.device import autocast


class Loss(NamedTuple):
    """Cross-entropy with label smoothing.

    `class_weights`: float (classes,): by which the loss of an image counts, for its class; None:
    all equally. See balance.py.
    """

    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    def of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum of the losses of images.

        `labels`: class numbers, int64 (images,), or the share of each class, float (images,
        classes).
        """
        losses = functional.cross_entropy(
            logits.float(), labels, label_smoothing=self.label_smoothing, reduction="none"
        )
        if self.class_weights is None:
            return losses.sum()
        one_class = labels.dim() == 1
        weights = self.class_weights[labels] if one_class else labels @ self.class_weights
        return (losses * weights).sum()


def add_gradients(
    forward: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    loss: Loss,
    at_once: int | None = None,
    count: int | None = None,
) -> Tensor:
    """The mean loss of a batch, after its gradients were added to the network's.

    Of a share of a batch: its part of the mean loss.

    Args:
        forward: the network in training mode, from uint8 images to logits; see forward_of().
        images: uint8 (batch, 3, size, size).
        labels: see Loss.of().
        loss: which is minimised.
        at_once: how many images pass the network together; None: all.
        count: how many images the whole batch has, where this is a share of it.
    """
    total = torch.zeros((), device=images.device)
    size = at_once or max(len(images), 1)
    parts = zip(images.split(size), labels.split(size), strict=True)
    for some_images, some_labels in parts:
        with autocast(images.device, training=True):
            logits = forward(some_images)
        mean = loss.of(logits, some_labels) / (count or len(images))
        mean.backward()
        total += mean.detach()
    return total
