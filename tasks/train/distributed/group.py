"""The group of processes that train together: ranks, shares of the work, what they tell each other.

Who trains alone is a group of one, which waits for nobody and imports nothing for it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """A process among those that train together.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
        local_rank: of this process among those of its host, from 0.
        local_size: how many this host has.
        messages: what they speak by on the CPU; its calls may wait for hours, as for images that
            the first process decodes. None: there are no others.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    messages: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process writes and says what all of them have done."""
        return self.rank == 0

    def share_of(self, items: np.ndarray) -> np.ndarray:
        """What this process does of `items`: together the shares are all of them, in their order.

        Shares are equal but for one item; one may be empty.
        """
        return np.array_split(items, self.size)[self.rank]

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier(self.messages)

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, in each of them."""
        if self.size == 1:
            return make()
        held: list[Any] = [make() if self.is_first else None]
        dist.broadcast_object_list(held, src=0, group=self.messages)
        return held[0]

    def after_first(self, make: Callable[[], T]) -> T:
        """What `make` gives in this process, which starts when the first one is done with it.

        So what the first leaves in a cache is not made, or downloaded, at the same time by others.
        """
        made = [make()] if self.is_first else []
        self.wait()
        return made[0] if made else make()

    def agreed(self, answer: bool) -> bool:
        """The answer of the first process, in each of them."""
        if self.size == 1:
            return answer
        held = torch.tensor(answer)
        dist.broadcast(held, src=0, group=self.messages)
        return bool(held)

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.messages)
        return values

    def add_up(self, tensor: Tensor) -> None:
        """The sum over all processes takes the place of `tensor`, which lies on the CPU."""
        if self.size > 1:
            dist.all_reduce(tensor, group=self.messages)

    def unite(self, tensor: Tensor) -> None:
        """The bitwise or over all processes takes the place of `tensor`, int64 on the CPU."""
        if self.size > 1:
            dist.all_reduce(tensor, dist.ReduceOp.BOR, group=self.messages)

    @contextmanager
    def shared(self, array: AbstractContextManager[np.ndarray]) -> Iterator[np.ndarray]:
        """An array that lies on disk, made once on each host, as long as the block lasts.

        The first process makes it, then the first of each other host, which finds it where hosts
        share a cache. The other processes map the same file, which stays theirs when it is removed.
        """
        if self.size == 1:
            with array as alone:
                yield alone
            return
        with ExitStack() as stack:
            made: np.ndarray | None = None
            for makes in (self.is_first, not self.is_first and self.local_rank == 0):
                if makes:
                    made = stack.enter_context(array)
                self.wait()
            files = self.gather(getattr(made, "filename", None))
            if made is None:
                made = np.load(str(files[self.rank - self.local_rank]), mmap_mode="r")
            self.wait()  # until each process has mapped it
            yield made


ALONE = Group()
