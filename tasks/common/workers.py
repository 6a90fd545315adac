"""A pool of worker processes that gives results in the order of the items.

So the number of workers changes nothing else. A worker that dies (killed for its memory, say) takes
the pool with it: a new one is started, and what had no result yet is computed again.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import forkserver
from multiprocessing.connection import wait
from typing import Generic, TypeVar

from tasks.common.errors import UserError
from tasks.common.machine import worker_count

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD_PER_WORKER = 2  # items handed out, the one awaited among them: bounds memory
MOST_DEATHS = 3  # in a row, without a result between them

# called in a worker whose parent process has died, before the worker ends too
at_parent_death: list[Callable[[], None]] = []


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    preload: str | None = None,
    in_thread: Callable[[Item], bool] = lambda _: False,
    most_deaths: int = MOST_DEATHS,
    always_apart: bool = False,
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

    Raises:
        UserError: where workers have died that often.
    """
    workers = worker_count()
    if workers == 1 and not always_apart:
        yield from map(function, items)
        return
    work = _Work(function, iter(items), in_thread, ahead=AHEAD_PER_WORKER * workers)
    while True:
        try:
            with _Executors(workers, preload) as executors:
                yield from work.results(executors)
                return
        except BrokenProcessPool:
            work.deaths += 1
            if work.deaths >= most_deaths:
                text = f"a worker died {work.deaths} times at one task; is there enough memory?"
                raise UserError(text) from None


class _Executors(ExitStack):
    """Threads of this process and worker processes; both start with the first item for them."""

    def __init__(self, workers: int, preload: str | None) -> None:
        super().__init__()
        self.workers = workers
        self.preload = preload
        self.threads: Executor | None = None
        self.processes: Executor | None = None

    def submit(
        self, function: Callable[[Item], Result], item: Item, in_thread: bool
    ) -> Future[Result]:
        if in_thread:
            self.threads = self.threads or self.enter_context(ThreadPoolExecutor(self.workers))
            return self.threads.submit(function, item)
        self.processes = self.processes or self.enter_context(
            _start_pool(self.workers, self.preload)
        )
        return self.processes.submit(function, item)


@dataclass
class _Work(Generic[Item, Result]):
    """The work of one map_ordered(): it outlives the pools that do it.

    `coming`: items not handed out yet; `ahead`: how many may be handed out at once; `unfinished`:
    those handed out whose result was not yielded yet, in order; `deaths`: of workers, since the
    last result.
    """

    function: Callable[[Item], Result]
    coming: Iterator[Item]
    in_thread: Callable[[Item], bool]
    ahead: int
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
                for item in islice(self.coming, self.ahead - len(futures)):
                    self.unfinished.append(item)
                    futures.append(self._submit(executors, item))
                if not futures:
                    return
                result = futures[0].result()
                futures.popleft()
                self.unfinished.popleft()
                self.deaths = 0
                yield result
        finally:
            for future in futures:
                future.cancel()

    def _submit(self, executors: _Executors, item: Item) -> Future[Result]:
        return executors.submit(self.function, item, self.in_thread(item))


def start_early(preload: str) -> None:
    """Start the process that workers are forked from, so that it imports `preload` meanwhile."""
    with suppress(UserError):  # map_ordered() reports a wrong VARIEGATE_WORKERS, in one line
        if worker_count() > 1:
            multiprocessing.get_context("forkserver").set_forkserver_preload([preload])
            forkserver.ensure_running()


def _start_pool(workers: int, preload: str | None) -> Executor:
    """The pool of processes.

    Only the methods of concurrent.futures.Executor are used: a cluster's client would serve too.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload] if preload else [])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent)


def end_with_parent(*_: object) -> None:
    """End this worker when its parent dies: killed by SIGKILL, that cannot end its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    """End this process once `sentinel` is ready, as that of a process is when it has ended."""
    wait([sentinel])
    for call in at_parent_death:
        call()
    os._exit(1)
