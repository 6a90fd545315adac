"""What training is fed with: images decoded before, variants made on the fly, or both; and what it was shown."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tasks.train.online import OnlineBatches


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """The places 0..count-1 in random order, in batches; a last batch of one is left out: batch norm cannot use it."""
    order = torch.randperm(count, generator=generator).numpy()
    for start in range(0, count, size):
        places = order[start : start + size]
        if len(places) > 1:
            yield places


class Feed:
    """Training images by place: those of `array` first, then one for each source of `online`.

    `array`: uint8 (images, 3, size, size). `labels`: class numbers of all places, int64 (places,). `shown` counts the
    presentations of each place, `replaced` those of a source whose variant was rejected, `left_out` those that a last
    batch of one image cost.
    """

    def __init__(
        self, array: np.ndarray, labels: Tensor, online: OnlineBatches | None = None
    ) -> None:
        self.array = array
        self.online = online
        self.labels = labels
        self.shown = np.zeros(len(labels), np.int64)
        self.replaced = np.zeros(len(labels), np.int64)
        self.left_out = np.zeros(len(labels), np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def epoch(
        self, number: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over all images in random order: uint8 images and their class numbers, batch by batch."""
        order = list(batches(len(self), batch_size, generator))
        self.left_out += 1 - np.bincount(np.concatenate(order), minlength=len(self))
        stored = [places[places < len(self.array)] for places in order]
        to_make = [places[places >= len(self.array)] for places in order]
        made = self._made(number, to_make)
        for here, there in zip(stored, to_make, strict=True):
            images = torch.from_numpy(self.array[here])
            if len(there):
                online_images, were_made = next(made)
                images = torch.cat([images, online_images])
                self.replaced[there] += ~were_made.numpy()
            places = np.concatenate([here, there])
            self.shown[places] += 1
            yield images, self.labels[places]

    def _made(self, number: int, to_make: list[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        if self.online is None:
            return iter(())
        return self.online.epoch(
            number, [(places - len(self.array)).tolist() for places in to_make if len(places)]
        )
