"""Mixup and cutmix: an image and a partner become one, with a part of each label.

Mixup (Zhang et al., 2018) is a mean of both; cutmix (Yun et al., 2019) has a rectangle of the
partner's. The partner is drawn from all training sources, not from the batch, so that an image is
the same in every batch. The image's own share is the larger one: it stays an image of its source.
"""

from typing import NamedTuple

import torch
from scipy.special import betaincinv
from torch import Tensor

from tasks.train.device_augmentation import philox
from tasks.train.device_augmentation.draws import MIXING_STREAM, whole_between


class Mixed(NamedTuple):
    """How some images are mixed.

    `partners`: int64 (images,), numbers of sources. `shares`: float64 (images,), of the image
    itself, 0.5 to 1. `boxes`: float64 (images, 4), left, top, right and bottom of the partner's
    rectangle; of mixup it has no area.
    """

    partners: Tensor
    shares: Tensor
    boxes: Tensor


class Mixing(NamedTuple):
    """The parameters alpha of mixup and cutmix; None where there is none.

    The share of a partner is drawn from Beta(alpha, alpha). With both, each image gets one of them.
    """

    mixup: float | None
    cutmix: float | None

    def draw(self, keys: Tensor, epoch: int, size: int, order: Tensor) -> Mixed:
        """How images are mixed in an epoch.

        Args:
            keys: of the images' sources, see philox.source_keys().
            epoch: from 1.
            size: of a side of the images.
            order: the numbers of all sources, int64 (sources,), in the order of their hashes.
        """
        drawn = philox.uniforms(keys, epoch, MIXING_STREAM, 5)
        which, at, who, x, y = drawn.t().contiguous()
        partners = order[whole_between(who, 0, len(order) - 1).long()]
        cut = torch.full_like(which, self.mixup is None, dtype=torch.bool)
        if self.mixup and self.cutmix:
            cut = which < 0.5
        shares = torch.where(cut, _shares(self.cutmix, at), _shares(self.mixup, at))
        half = torch.floor(torch.sqrt(1 - shares) * size / 2) * cut
        places = torch.floor(torch.stack([x, y], dim=1) * size)
        boxes = torch.cat([places - half[:, None], places + half[:, None]], dim=1).clamp(0, size)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return Mixed(partners, torch.where(cut, 1 - area / size**2, shares), boxes)


def _shares(alpha: float | None, at: Tensor) -> Tensor:
    """Quantiles of the larger share of two that add up to 1."""
    if alpha is None:
        return torch.ones_like(at)
    quantiles = torch.from_numpy(betaincinv(alpha, alpha, at.numpy()))
    return torch.maximum(quantiles, 1 - quantiles)


def mix(images: Tensor, partners: Tensor, values: Tensor) -> Tensor:
    """Images mixed with their partners, float32.

    Args:
        images: and `partners`: uint8 or float32 (images, 3, size, size).
        values: float32 (images, 5), share and box of each, on the device of the images.
    """
    share, left, top, right, bottom = (each.view(-1, 1, 1, 1) for each in values.unbind(1))
    places = torch.arange(images.shape[3], device=images.device)
    columns = (places >= left) & (places < right)
    rows = (places.view(-1, 1) >= top) & (places.view(-1, 1) < bottom)
    cut = (right - left) * (bottom - top) > 0
    own = torch.where(cut, (~(rows & columns)).float(), share)
    return images * own + partners * (1 - own)


def soft_labels(own: Tensor, partners: Tensor, shares: Tensor, classes: int) -> Tensor:
    """The probability of each class: float32 (images, classes).

    `own`, `partners`: class numbers, int64 (images,); `shares`: float32 (images,).
    """
    numbers = torch.arange(classes, device=own.device)
    share = shares[:, None]
    return (own[:, None] == numbers) * share + (partners[:, None] == numbers) * (1 - share)
