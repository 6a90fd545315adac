"""What an arm shows in each epoch: variants made on the fly, or one of a pool, in cycles."""

from functools import partial

import numpy as np

from tasks.common import machine
from tasks.model.images import as_input
from tasks.studies.trainings.data import StudyData
from tasks.train.online import OnlineVariants, Shown
from tasks.variants.originals import Originals
from tasks.variants.recipe import Recipes
from tasks.variants.sources import Source

MEMORY_SHARE = 0.25  # of the machine's, for what trainings side by side hold of their images


class ShownVariants(OnlineVariants):
    """Of each source one image in each epoch: its variant `epoch`, or one of its pool.

    A pool is the source, number 0, and its variants 1 to `pool`. In each round of pool + 1 epochs
    each is shown once, in an order that is a function of (seed, source, round).

    What is read and made is held in memory, where it fits: sources, or the images of the pools.
    """

    def __init__(
        self,
        sources: list[Source],
        recipes: Recipes,
        epochs: int,
        data: StudyData,
        originals: Originals,
        pool: int | None,
    ) -> None:
        to_input = partial(as_input, size=data.form.size, fit=data.form.fit)
        most = epochs if pool is None else pool
        super().__init__(sources, recipes, most, to_input, originals, data.classes)
        self.pool = pool
        self.held: dict[int, np.ndarray] = {}
        self.pools: dict[int, list[Shown]] = {}
        self.holds = self._bytes(data.form.size) < memory_for_images()

    def __getitem__(self, number: int) -> Shown:
        epoch = int(self.epoch)
        if self.pool is None:
            return self.show(number, epoch)
        source = self.sources[number]
        index = index_in_cycle(self.recipes.general.seed, source.sha256, self.pool, epoch)
        if not self.holds:
            return self.show(number, index)
        if number not in self.pools:
            self.pools[number] = [self.show(number, index) for index in range(self.pool + 1)]
            self.held.pop(number, None)
        return self.pools[number][index]

    def read(self, number: int) -> np.ndarray:
        """What the policy gets of a source."""
        if not self.holds:
            return super().read(number)
        if number not in self.held:
            self.held[number] = super().read(number)
        return self.held[number]

    def _bytes(self, size: int) -> int:
        if self.pool is not None:
            return len(self.sources) * (self.pool + 1) * 3 * size**2
        return sum(
            source.width * source.height * source.channels * source.bits // 8
            for source in self.sources
        )


def memory_for_images() -> float:
    """How many bytes one training may hold of images, beside others that run at the same time."""
    return machine.memory_bytes() * MEMORY_SHARE / machine.worker_count()


def index_in_cycle(seed: int, sha256: str, pool: int, epoch: int) -> int:
    """Which image of its pool an epoch, from 1, shows of a source: 0 to `pool`."""
    round, place = divmod(epoch - 1, pool + 1)
    generator = np.random.default_rng((seed, int(sha256[:16], 16), round))
    return int(generator.permutation(pool + 1)[place])
