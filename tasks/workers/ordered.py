"""Worker processes, of this machine or of a cluster, that give results in the order of the items.

So the number of workers changes nothing else. A worker of this machine that dies (killed for its
memory, say) takes the pool with it: a new one is started, and what had no result yet is computed
again. In a cluster only what it was computing is.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

from tasks.common.errors import UserError
from tasks.common.machine import worker_count
from tasks.workers import cluster, dask_client
from tasks.workers.cluster import Cluster, WorkersDiedError
from tasks.workers.processes import start_pool

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD_PER_WORKER = 2  # items handed out, the one awaited among them: bounds memory
MOST_DEATHS = 3  # in a row, without a result between them


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    preload: str | None = None,
    in_thread: Callable[[Item], bool] = lambda _: False,
    most_deaths: int = MOST_DEATHS,
    always_apart: bool = False,
    on_cluster: bool = False,
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, computed in worker processes.

    With one worker (VARIEGATE_WORKERS=1) all is computed in this process, unless `always_apart`.

    Args:
        function: of a module, so that it can be pickled.
        items: picklable values; AHEAD_PER_WORKER for each worker are taken ahead.
        preload: the module to import once, before the workers are forked from it.
        in_thread: for which items a thread of this process is used instead of a worker. If all
            items are such, no worker is started.
        most_deaths: of workers in a row, without a result between them, before giving up.
        always_apart: use a worker even where there is only one: if it dies, this process goes on.
        on_cluster: use the workers of the cluster that VARIEGATE_CLUSTER names, if it names one.

    Raises:
        UserError: where workers have died that often.
    """
    workers = worker_count()
    place = dask_client.address() if on_cluster else None
    if workers == 1 and not always_apart and place is None:
        yield from map(function, items)
        return
    work = _Work(function, iter(items), in_thread, most_deaths)
    while True:
        try:
            with _Executors(workers, preload, place) as executors:
                yield from work.results(executors)
                return
        except BrokenProcessPool:
            work.count_deaths(1)


class _Executors(ExitStack):
    """Threads of this process and workers, here or in a cluster; they start with an item for them.

    `place`: the address of the cluster's scheduler; None: workers are processes of this machine.
    """

    def __init__(self, workers: int, preload: str | None, place: str | None) -> None:
        super().__init__()
        self.workers = workers
        self.preload = preload
        self.place = place
        self.threads: Executor | None = None
        self.processes: Executor | None = None
        self.cluster: Cluster | None = None

    def ahead(self) -> int:
        """How many items may be handed out at once."""
        workers = self.cluster.worker_count() if self.cluster else self.workers
        return AHEAD_PER_WORKER * max(workers, 1)

    def submit(
        self, function: Callable[[Item], Result], item: Item, in_thread: bool
    ) -> Future[Result]:
        if in_thread:
            self.threads = self.threads or self.enter_context(ThreadPoolExecutor(self.workers))
            return self.threads.submit(function, item)
        if self.place is not None:
            self.cluster = self.cluster or self.enter_context(cluster.connected(self.place))
            return self.cluster.submit(function, item)
        self.processes = self.processes or self.enter_context(
            start_pool(self.workers, self.preload)
        )
        return self.processes.submit(function, item)

    def is_done(self, future: Future[Any]) -> bool:
        """Whether the result is there, now or later; False: it may be good to hand out more."""
        return self.cluster is None or self.cluster.is_done(future)

    def result(self, future: Future[Result]) -> Result:
        return self.cluster.result(future) if self.cluster else future.result()


@dataclass
class _Work(Generic[Item, Result]):
    """The work of one map_ordered(): it outlives the pools that do it.

    `coming`: items not handed out yet; `unfinished`: those handed out whose result was not yielded
    yet, in order; `deaths`: of workers, since the last result.
    """

    function: Callable[[Item], Result]
    coming: Iterator[Item]
    in_thread: Callable[[Item], bool]
    most_deaths: int
    unfinished: deque[Item] = field(default_factory=deque)
    deaths: int = 0

    def results(self, executors: _Executors) -> Iterator[Result]:
        """Results by these executors, first those of unfinished items.

        Raises:
            BrokenProcessPool: where a worker died. Other executors can go on.
        """
        futures: deque[Future[Result]] = deque()
        try:
            futures.extend(self._submit(executors, item) for item in self.unfinished)
            while True:
                for item in islice(self.coming, max(executors.ahead() - len(futures), 0)):
                    self.unfinished.append(item)
                    futures.append(self._submit(executors, item))
                if not futures:
                    return
                if not executors.is_done(futures[0]):
                    continue  # there may be more workers meanwhile
                try:
                    result = executors.result(futures[0])
                except WorkersDiedError as error:  # at this item; the other workers go on
                    self.count_deaths(error.deaths)
                    futures[0] = self._submit(executors, self.unfinished[0])
                    continue
                futures.popleft()
                self.unfinished.popleft()
                self.deaths = 0
                yield result
        finally:
            for future in futures:
                future.cancel()

    def count_deaths(self, deaths: int) -> None:
        """So many more workers have died.

        Raises:
            UserError: where these are too many.
        """
        self.deaths += deaths
        if self.deaths >= self.most_deaths:
            text = f"a worker died {self.deaths} times at one task; is there enough memory?"
            raise UserError(text) from None

    def _submit(self, executors: _Executors, item: Item) -> Future[Result]:
        return executors.submit(self.function, item, self.in_thread(item))
