"""On-the-fly augmentation: each epoch shows another variant of each source, made in the loader.

It calls the function that fills the segments, with the epoch as index: what a loader shows in epoch
k is variant k, pixel for pixel before encoding. So neither the number of workers, nor the order of
the samples, nor the epoch from which training is resumed changes what is shown.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tasks.common.errors import UserError
from tasks.pixels.hashing import fast_pixel_hash
from tasks.train.distributed.group import Group
from tasks.variants.make import draw_variant
from tasks.variants.originals import NO_ORIGINALS, Originals
from tasks.variants.quality.measures import Baseline
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source, read_policy_input
from tasks.workers.processes import end_with_parent

REJECTED = 1  # in place of a hash, where a variant could not be made


class Shown(NamedTuple):
    """What an epoch shows of a source, or a batch of them.

    `pixels`: uint8 or uint16, (height, width) or (height, width, 3), passed through `finish` where
    one is given. `made`: whether they are a variant's, else the source's. `label`: the number of
    the class that they show, see tasks/variants/relabelling.py.
    """

    pixels: Any
    made: Any
    label: Any


class OnlineVariants(Dataset):
    """Of each source its variant `source.planned + epoch`.

    With no stored variants planned, that is variant `epoch`; with 3 planned, epoch 1 shows variant
    4. Item i is of source i, see Shown. Where its variant is rejected (see tasks/variants/make.py
    and originals.py), the source stands in.

    Under `distinct` a variant must differ from its siblings before it, so their pixel hashes are
    needed. They are kept in memory that all workers share, 8 bytes for each source and epoch. One
    that is missing there is found by making its variant again.

    Args:
        sources: the training images; `planned` is the number of their stored variants.
        recipes: what the variants are made by.
        epochs: how many there will be.
        finish: what is done with the pixels of each image.
        originals: which no variant may equal.
        classes: all of the dataset, sorted: a class's number is its index. None: those of the
            sources.
    """

    def __init__(
        self,
        sources: list[Source],
        recipes: Recipes,
        epochs: int,
        finish: Callable[[np.ndarray], Any] | None = None,
        originals: Originals = NO_ORIGINALS,
        classes: list[str] | None = None,
    ) -> None:
        self.sources = sources
        self.recipes = recipes
        self.finish = finish
        known = classes or sorted({source.label for source in sources})
        self.numbers = {label: number for number, label in enumerate(known)}
        self.originals = originals
        self.epoch = torch.ones(1, dtype=torch.int64).share_memory_()
        most = max((source.planned for source in sources), default=0) + epochs
        # of variant i + 1 of each source: its pixel hash, REJECTED, or 0 where it is not known yet
        self.hashes = torch.zeros(len(sources), most, dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 1, for running workers as well: the number is in shared memory."""
        self.epoch[0] = epoch

    def remember(self, stored: pd.DataFrame) -> None:
        """Take the pixel hashes of stored variants from their rows of the ledger."""
        if not self.recipes.general.distinct:
            return
        numbers = {source.source_id: number for number, source in enumerate(self.sources)}
        source_numbers = stored["source_id"].map(numbers).to_numpy()
        hashes = stored["pixel_hash"].replace(0, REJECTED)
        self.hashes.numpy()[source_numbers, stored["variant_index"].to_numpy() - 1] = hashes

    def share_hashes(self, group: Group) -> None:
        """Take the hashes that other processes found in this epoch, as they take those of this one.

        Else each process would make again what another showed of a source before.
        """
        if not self.recipes.general.distinct:
            return
        numbers = np.arange(len(self.sources))
        planned = np.array([source.planned for source in self.sources], np.int64)
        columns = planned + int(self.epoch) - 1
        found = torch.from_numpy(self.hashes.numpy()[numbers, columns])
        group.unite(found)
        known = np.flatnonzero(found.numpy())  # workers go on to write the others
        self.hashes.numpy()[known, columns[known]] = found.numpy()[known]

    def state_dict(self) -> dict[str, Tensor]:
        """The hashes, for a checkpoint; none where they are not asked for.

        Without them, a training that goes on in epoch 50 would make 49 variants of each source
        again. Those of variants that workers made ahead of the checkpoint may be among them: a
        variant has one hash, whenever it is made. They are not copied: there may be many.
        """
        return {"hashes": self.hashes} if self.recipes.general.distinct else {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the hashes of `state`, for running workers as well."""
        if state:
            self.hashes.copy_(state["hashes"])

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, number: int) -> Shown:
        return self.show(number, self.sources[number].planned + int(self.epoch))

    def read(self, number: int) -> np.ndarray:
        """What the policy gets of a source."""
        source = self.sources[number]
        return read_policy_input(source, self.recipes.of(source.label))

    def show(self, number: int, index: int) -> Shown:
        """Variant `index` of a source; 0 is the source itself."""
        pixels = self.read(number)
        drawn = self._draw(number, index, Baseline(pixels)) if index else None
        shown, label = (pixels, self.sources[number].label) if drawn is None else drawn
        finished = self.finish(shown) if self.finish else shown
        return Shown(finished, drawn is not None, self.numbers[label])

    def _draw(self, number: int, index: int, baseline: Baseline) -> tuple[np.ndarray, str] | None:
        """The pixels of variant `index` of a source and its class; None where it is rejected.

        `baseline`: of what the policy gets of the source.
        """
        source = self.sources[number]
        recipe = self.recipes.of(source.label)
        seen = self._siblings(number, index, baseline) if recipe.distinct else set()
        drawn = draw_variant(source, baseline, recipe, index, seen)
        if recipe.distinct:
            self.hashes[number, index - 1] = drawn.pixel_hash or REJECTED
        label = self.recipes.final_label(source.label, drawn.operations)
        conflict = self.originals.conflict(drawn.pixel_hash, label)
        return None if drawn.pixels is None or conflict else (drawn.pixels, label)

    def _siblings(self, number: int, index: int, baseline: Baseline) -> set[int]:
        """The hashes of a source and its variants before `index`; those missing are made."""
        source = self.sources[number]
        recipe = self.recipes.of(source.label)
        before = self.hashes[number].numpy()[: index - 1]
        seen = {fast_pixel_hash(baseline.pixels), *before.tolist()}
        for missing in np.flatnonzero(before == 0) + 1:
            drawn = draw_variant(source, baseline, recipe, int(missing), seen)
            before[missing - 1] = drawn.pixel_hash or REJECTED
            seen.add(drawn.pixel_hash)
        return seen


class OnlineBatches:
    """Batches of OnlineVariants, made by worker processes that live as long as this object."""

    def __init__(self, dataset: OnlineVariants, workers: int) -> None:
        self.dataset = dataset
        # not `self`: in a cycle, objects end in any order, and the loader would write to the pipe
        # of a worker that was never given a batch after the pipe was closed
        self.batches: list[list[int]] = []
        options: dict[str, Any] = {"batch_sampler": self.batches, "num_workers": workers}
        if workers:
            options |= {"multiprocessing_context": "forkserver", "persistent_workers": True}
            options |= {"worker_init_fn": end_with_parent}
        self.loader = DataLoader(dataset, **options)

    def share_hashes(self, group: Group) -> None:
        """See OnlineVariants."""
        self.dataset.share_hashes(group)

    def state_dict(self) -> dict[str, Tensor]:
        """What OnlineVariants keeps for a checkpoint."""
        return self.dataset.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from `state`."""
        self.dataset.load_state_dict(state)

    def epoch(self, number: int, batches: list[list[int]]) -> Iterator[Shown]:
        """The items of OnlineVariants in one epoch.

        Args:
            number: of the epoch, from 1.
            batches: the sources of each batch, by their numbers in the dataset.

        Yields:
            For each batch the images as one tensor, which of them are variants: bool (batch,), and
            their classes: int64 (batch,).

        Raises:
            UserError: of a worker.
        """
        self.dataset.set_epoch(number)
        self.batches[:] = batches
        try:
            yield from self.loader
        except UserError as error:  # the loader puts a worker's traceback before the message
            raise UserError(str(error).strip().rpartition("UserError: ")[2]) from None
