"""Logits from images: the network with its normalisation, batch by batch."""

import numpy as np
import torch
from torch import Tensor, nn

from tasks.model.device import autocast, on_device

BATCH_SIZE = 512


class Normalise(nn.Module):
    """From uint8 images to floats with mean 0 and deviation 1 in each channel.

    `mean` and `std` are of pixels in 0..1, as channel_statistics() gives them. On CUDA the result
    is channels last, with which convolutions there are fastest.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.is_cuda:
            images = images.contiguous(memory_format=torch.channels_last)
        return (images - self.mean) / self.std


@torch.inference_mode()
def predict(network: nn.Module, array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Logits, float32 (images, classes) on the CPU, of uint8 images (images, 3, height, width).

    `array` may lie on the device already. Batches are halved where the device has no room for them.

    Raises:
        torch.OutOfMemoryError: where it has no room for a single image.
    """
    network.eval()
    logits: list[Tensor] = []
    start, size = 0, BATCH_SIZE
    while start < len(array):
        batch = array[start : start + size]
        if isinstance(batch, np.ndarray):
            batch = torch.from_numpy(np.array(batch))
        part = _logits_if_they_fit(network, batch, device)
        if part is None:
            size = min(size, len(batch)) // 2
            continue
        logits.append(part)
        start += len(batch)
    return torch.cat(logits).cpu()


def _logits_if_they_fit(network: nn.Module, batch: Tensor, device: torch.device) -> Tensor | None:
    """The logits of a batch; None where the device has no room for it."""
    try:
        with autocast(device):
            return network(on_device(batch, device)).float()
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
        return None
