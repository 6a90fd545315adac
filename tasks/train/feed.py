"""The batches of each training epoch: decoded images, augmented on the device or not, or made ones.

A sample is one image of an epoch; samples have numbers. The feed counts how often each was shown;
order.py says in which order. Of processes that train together each shows its share of each batch.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.model.device import on_device, resident
from tasks.train.device_augmentation.batches import DeviceAugmentation
from tasks.train.distributed.group import ALONE, Group
from tasks.train.online import OnlineBatches, Shown
from tasks.train.order import in_batches, samples_of_epoch


class Feed:
    """The training samples: first the images of `array`, then one for each source of `online`.

    Args:
        array: uint8 (images, 3, size, size).
        labels: the class number of every sample, int64 (samples,); of those made on the fly that
            of their source: an epoch's may show another, see tasks/variants/relabelling.py.
        online: makes the variants on the fly; None where there are none.
        augmentation: augments the images of `array`, which are sources then; None where they are
            as they are.
        balanced: whether each class is shown equally often, see balance.py; else each sample is.
        name_of: the name of a sample, by its number, for people.
        group: the processes that train together.

    Attributes, each int64 (samples,), summed over all epochs; what a process counted is its own
    until collect():
        shown: how often each sample was shown.
        replaced: how often an online sample's variant was rejected and its source shown instead.
        left_out: how often each sample was missed, alone in a last batch.
        mixed_in: how often a source was the partner of another, in mixup and cutmix.

    online_classes: how often each class was shown, by its number, over all epochs, by samples that
        were made on the fly or on the device.
    """

    def __init__(
        self,
        array: np.ndarray,
        labels: Tensor,
        online: OnlineBatches | None = None,
        augmentation: DeviceAugmentation | None = None,
        balanced: bool = False,
        name_of: Callable[[int], str] = "sample {}".format,
        group: Group = ALONE,
    ) -> None:
        self.array = array
        self.resident: Tensor | None = None  # the array, where it lies on a GPU
        self.device = torch.device("cpu")
        self.online = online
        self.augmentation = augmentation
        self.labels = labels
        self.balanced = labels.numpy() if balanced else None
        self.name_of = name_of
        self.group = group
        self.shown = np.zeros(len(labels), np.int64)
        self.replaced = np.zeros(len(labels), np.int64)
        self.left_out = np.zeros(len(labels), np.int64)
        self.mixed_in = np.zeros(len(labels), np.int64)
        self.online_classes: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> None:
        """Give batches on `device`.

        Where the array fits on a GPU it is copied there and the batches are gathered there: else
        the host does that for every batch.
        """
        self.device = device
        self.labels = self.labels.to(device)
        self.resident = resident(self.array, device)

    @property
    def resident_bytes(self) -> int:
        """What the array takes of a GPU's memory."""
        return 0 if self.resident is None else self.array.nbytes

    def epoch(
        self, number: int, batch_size: int, seed: int, first_batch: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch, batch by batch, of each this process's share; see order.py.

        Args:
            number: of the epoch, from 1: it decides which variants are made on the fly.
            batch_size: samples in a batch, at most.
            seed: of the order.
            first_batch: how many batches were shown already, before training was interrupted.

        Yields:
            uint8 (batch, 3, size, size) and the class numbers, int64 (batch,), on the device; where
            images are mixed the probabilities of the classes instead, float32 (batch, classes).
        """
        samples = samples_of_epoch(len(self), seed, number, self.balanced)
        order = in_batches(samples, batch_size)
        if first_batch == 0 and self.group.is_first:
            np.add.at(self.left_out, samples[sum(map(len, order)) :], 1)
        order = [self.group.share_of(batch) for batch in order[first_batch:]]
        if self.augmentation:
            yield from self._augmented(self.augmentation, number, order)
            return
        yield from self._decoded_and_made(number, order)
        self._share_hashes()

    def _decoded_and_made(
        self, number: int, order: list[np.ndarray]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch, from the array and made on the fly; see epoch()."""
        from_array = [samples[samples < len(self.array)] for samples in order]
        to_make = [samples[samples >= len(self.array)] for samples in order]
        online = self._make_online(number, to_make)
        batches = [np.concatenate(parts) for parts in zip(from_array, to_make, strict=True)]
        for samples, places, decoded, made in zip(
            batches, self._on_device(batches), from_array, to_make, strict=True
        ):
            images, labels = self._gather(decoded, places[: len(decoded)]), self.labels[places]
            if len(made):
                online_images, succeeded, classes = next(online)
                images = torch.cat([images, on_device(online_images, self.device)])
                labels[len(decoded) :] = on_device(classes, self.device)
                np.add.at(self.replaced, made, ~succeeded.numpy())
                self.online_classes.update(classes.tolist())
            np.add.at(self.shown, samples, 1)  # a balanced order may show one more than once
            yield images, labels

    def names(self, number: int, batch_size: int, seed: int, batch: int) -> list[str]:
        """The names of what a batch of an epoch shows, the first batch being 0; see epoch()."""
        samples = samples_of_epoch(len(self), seed, number, self.balanced)
        return [self.name_of(int(sample)) for sample in in_batches(samples, batch_size)[batch]]

    def _on_device(self, batches: list[np.ndarray]) -> Iterator[Tensor]:
        """Each batch as a tensor on the device; all of them are copied there at once."""
        if batches:
            together = on_device(torch.from_numpy(np.concatenate(batches)), self.device)
            yield from together.split([len(batch) for batch in batches])

    def _augmented(
        self, augmentation: DeviceAugmentation, number: int, order: list[np.ndarray]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch, augmented on the device; see epoch()."""
        for samples, planned in zip(order, augmentation.plan_batches(order, number), strict=True):
            places = on_device(torch.from_numpy(planned.sources), self.device)
            images = self._gather(planned.sources, places)
            np.add.at(self.shown, samples, 1)
            self.online_classes.update(planned.own.classes.tolist())
            np.add.at(self.mixed_in, planned.partners, 1)
            yield augmentation.show(planned, images)

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

    def counts(self) -> dict[str, np.ndarray]:
        """What was counted of each sample, by name: see the attributes."""
        return {
            "shown": self.shown,
            "replaced": self.replaced,
            "left_out": self.left_out,
            "mixed_in": self.mixed_in,
        }

    def _share_hashes(self) -> None:
        """What this process found of variants on the fly is known to all processes."""
        if self.online is not None and self.group.size > 1:
            self.online.share_hashes(self.group)

    def collect(self) -> None:
        """Add what all processes counted to the counts of the first; each of them calls this."""
        if self.group.size == 1:
            return
        for count in self.counts().values():
            self.group.add_up(torch.from_numpy(count))
            count *= self.group.is_first
        of_all = self.group.gather(self.online_classes)
        self.online_classes = sum(of_all, Counter()) if self.group.is_first else Counter()

    def state_dict(self) -> dict[str, Any]:
        """What was counted of the batches that were given, for a checkpoint; see collect().

        Batches that worker processes make ahead are not among them: they count when they are given.
        """
        self.collect()
        self._share_hashes()
        return {
            **{name: torch.from_numpy(count.copy()) for name, count in self.counts().items()},
            "online_classes": dict(self.online_classes),
            "online": {} if self.online is None else self.online.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting from `state`."""
        if self.group.is_first:
            for name, count in self.counts().items():
                count[:] = state[name].cpu().numpy()
            self.online_classes = Counter(state["online_classes"])
        if self.online is not None:
            self.online.load_state_dict(state["online"])
