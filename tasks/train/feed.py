"""The batches of each training epoch, from decoded images, variants made on the fly, or both.

A sample is one image of an epoch; samples have numbers. The feed counts how often each was shown;
order.py says in which order.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.model.device import on_device
from tasks.train.online import OnlineBatches, Shown
from tasks.train.order import batches_of_epoch

COPIED_AT_ONCE = 1024  # images, on their way to a GPU


class Feed:
    """The training samples: first the images of `array`, then one for each source of `online`.

    Args:
        array: uint8 (images, 3, size, size).
        labels: the class number of every sample, int64 (samples,); of those made on the fly that
            of their source: an epoch's may show another, see tasks/variants/relabelling.py.
        online: makes the variants on the fly; None where there are none.

    Attributes, each int64 (samples,), summed over all epochs:
        shown: how often each sample was shown.
        replaced: how often an online sample's variant was rejected and its source shown instead.
        left_out: how often each sample was missed, alone in a last batch.

    online_classes: how often online samples showed each class, by its number, over all epochs.
    """

    def __init__(
        self, array: np.ndarray, labels: Tensor, online: OnlineBatches | None = None
    ) -> None:
        self.array = array
        self.resident: Tensor | None = None  # the array, where it lies on a GPU
        self.device = torch.device("cpu")
        self.online = online
        self.labels = labels
        self.shown = np.zeros(len(labels), np.int64)
        self.replaced = np.zeros(len(labels), np.int64)
        self.left_out = np.zeros(len(labels), np.int64)
        self.online_classes: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> None:
        """Give batches on `device`.

        The array is copied to a GPU where it takes less than half of the memory that is free there,
        and the batches are then gathered there: else the host does that for every batch.
        """
        self.device = device
        self.labels = self.labels.to(device)
        if device.type == "cuda" and self.array.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
            self.resident = torch.empty(self.array.shape, dtype=torch.uint8, device=device)
            for start in range(0, len(self.array), COPIED_AT_ONCE):
                part = np.array(self.array[start : start + COPIED_AT_ONCE])
                self.resident[start : start + len(part)] = torch.from_numpy(part)

    def epoch(
        self, number: int, batch_size: int, seed: int, first_batch: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over all samples, batch by batch; see batches_of_epoch().

        Args:
            number: of the epoch, from 1: it decides which variants are made on the fly.
            batch_size: samples in a batch, at most.
            seed: of the order.
            first_batch: how many batches were shown already, before training was interrupted.

        Yields:
            uint8 (batch, 3, size, size) and the class numbers, int64 (batch,), on the device.
        """
        order = batches_of_epoch(len(self), batch_size, seed, number)
        if first_batch == 0:
            self.left_out += 1 - np.bincount(np.concatenate(order), minlength=len(self))
        order = order[first_batch:]
        from_array = [samples[samples < len(self.array)] for samples in order]
        to_make = [samples[samples >= len(self.array)] for samples in order]
        online = self._make_online(number, to_make)
        for decoded, made in zip(from_array, to_make, strict=True):
            samples = np.concatenate([decoded, made])
            places = on_device(torch.from_numpy(samples), self.device)
            images, labels = self._gather(decoded, places[: len(decoded)]), self.labels[places]
            if len(made):
                online_images, succeeded, classes = next(online)
                images = torch.cat([images, on_device(online_images, self.device)])
                labels[len(decoded) :] = on_device(classes, self.device)
                self.replaced[made] += ~succeeded.numpy()
                self.online_classes.update(classes.tolist())
            self.shown[samples] += 1
            yield images, labels

    def _gather(self, samples: np.ndarray, places: Tensor) -> Tensor:
        """Images of the array on the device; `places`: the samples, there."""
        if self.resident is not None:
            return self.resident[places]
        return on_device(torch.from_numpy(self.array[samples]), self.device)

    def _make_online(self, number: int, to_make: list[np.ndarray]) -> Iterator[Shown]:
        """The variants of each batch that has any; see OnlineBatches.epoch()."""
        if self.online is None:
            return iter(())
        first = len(self.array)
        return self.online.epoch(
            number, [(samples - first).tolist() for samples in to_make if len(samples)]
        )

    def state_dict(self) -> dict[str, Any]:
        """What was counted, for a checkpoint: see load_state_dict()."""
        return {
            "shown": torch.from_numpy(self.shown.copy()),
            "replaced": torch.from_numpy(self.replaced.copy()),
            "left_out": torch.from_numpy(self.left_out.copy()),
            "online_classes": dict(self.online_classes),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting from `state`."""
        self.shown[:] = state["shown"].numpy()
        self.replaced[:] = state["replaced"].numpy()
        self.left_out[:] = state["left_out"].numpy()
        self.online_classes = Counter(state["online_classes"])
