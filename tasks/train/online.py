"""On-the-fly augmentation: each epoch shows another variant of each source, made when it is asked for.

It is the function that fills the segments, with the epoch as index: what a loader shows in epoch k is variant k, pixel
for pixel before encoding, whatever the workers, the order, or the epoch that training was resumed at.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from tasks.common.errors import UserError
from tasks.pixels.hashing import fast_pixel_hash
from tasks.variants.make import draw_variant
from tasks.variants.recipe import Recipe
from tasks.variants.sources import Source, read_policy_input

REJECTED = 1  # in place of a hash, where a variant could not be made


class OnlineVariants(Dataset):
    """Of each source its variant `source.planned + epoch`: with no stored variants planned, that is variant `epoch`.

    An item is (pixels, made): uint8 or uint16 (height, width) or (height, width, 3), through `finish` where one is
    given. A variant that is rejected (see tasks/variants/make.py) shows its source instead, and `made` is False.

    Under `distinct` a variant depends on its siblings before it. Their hashes are remembered in memory that all workers
    share: 8 bytes for each source and epoch. Those of another run are drawn again when they are first needed.
    """

    def __init__(
        self,
        sources: list[Source],
        recipe: Recipe,
        epochs: int,
        finish: Callable[[np.ndarray], Any] | None = None,
    ) -> None:
        self.sources = sources
        self.recipe = recipe
        self.finish = finish
        self.epoch = torch.ones(1, dtype=torch.int64).share_memory_()
        most = max((source.planned for source in sources), default=0) + epochs
        self.hashes = torch.zeros(len(sources), most, dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes, from 1; workers that live on are told too."""
        self.epoch[0] = epoch

    def remember(self, stored: pd.DataFrame) -> None:
        """Take the hashes of stored variants from their rows of the ledger."""
        if not self.recipe.distinct:
            return
        places = {source.source_id: place for place, source in enumerate(self.sources)}
        rows = stored["source_id"].map(places).to_numpy(), stored["variant_index"].to_numpy() - 1
        self.hashes.numpy()[rows] = stored["pixel_hash"].replace(0, REJECTED)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, place: int) -> tuple[Any, bool]:
        source = self.sources[place]
        pixels = read_policy_input(source, self.recipe)
        new = self._draw(place, source.planned + int(self.epoch), pixels)
        shown = pixels if new is None else new
        return (self.finish(shown) if self.finish else shown), new is not None

    def _draw(self, place: int, index: int, pixels: np.ndarray) -> np.ndarray | None:
        source = self.sources[place]
        if not self.recipe.distinct:
            return draw_variant(source, pixels, self.recipe, index, ()).pixels
        known = self.hashes[place].numpy()
        seen = {fast_pixel_hash(pixels), *known[: index - 1].tolist()}
        new = None
        for missing in [*(np.flatnonzero(known[: index - 1] == 0) + 1), index]:
            drawn = draw_variant(source, pixels, self.recipe, int(missing), seen)
            known[missing - 1] = drawn.pixel_hash or REJECTED
            seen.add(drawn.pixel_hash)
            new = drawn.pixels
        return new


class OnlineBatches:
    """Batches of OnlineVariants, made by worker processes that live through all epochs."""

    def __init__(self, dataset: OnlineVariants, workers: int) -> None:
        self.dataset = dataset
        self.batches: list[list[int]] = []
        context = (
            {"multiprocessing_context": "forkserver", "persistent_workers": True} if workers else {}
        )
        self.loader = DataLoader(dataset, batch_sampler=self, num_workers=workers, **context)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(
        self, number: int, batches: list[list[int]]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The items of each batch of places, in order, as variant `number`."""
        self.dataset.set_epoch(number)
        self.batches = batches
        try:
            yield from self.loader
        except UserError as error:  # the loader puts a worker's traceback before the words
            raise UserError(str(error).strip().rpartition("UserError: ")[2]) from None
