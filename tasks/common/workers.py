"""A pool of worker processes that gives results in the order of the items.

So the number of workers changes nothing else. A worker that dies (killed for its memory, say) is
replaced, and what it had not finished is computed again.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from itertools import islice
from multiprocessing import forkserver
from multiprocessing.connection import wait
from typing import TypeVar

from tasks.common.errors import UserError
from tasks.common.machine import worker_count

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD_PER_WORKER = 2  # items handed out, the one awaited among them: bounds memory
MOST_DEATHS = 3  # in a row, without a result between them

before_orphan_ends: list[
    Callable[[], None]
] = []  # what a worker does when it ends because its parent did


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    preload: str | None = None,
    in_thread: Callable[[Item], bool] = lambda _: False,
    most_deaths: int = MOST_DEATHS,
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, computed in worker processes.

    `function` and the items cross a process: a module's own function and picklable values. `preload` names the module
    to import once, before the workers are forked from it. Items for which `in_thread` is true are left to threads of
    this process; where no others come, no worker is started.

    Raises:
        UserError: where workers die `most_deaths` times in a row, without a result between them.
    """
    workers = worker_count()
    if workers == 1:
        yield from map(function, items)
        return
    coming = iter(items)
    waiting: deque[Item] = deque()  # handed out, and not finished
    deaths = 0
    while True:
        with _Executors(workers, preload) as executors:
            futures: deque[Future[Result]] = deque()
            try:
                futures.extend(
                    executors.submit(function, item, in_thread(item)) for item in waiting
                )
                while True:
                    for item in islice(coming, AHEAD_PER_WORKER * workers - len(futures)):
                        waiting.append(item)
                        futures.append(executors.submit(function, item, in_thread(item)))
                    if not futures:
                        return
                    result = futures[0].result()
                    waiting.popleft()
                    futures.popleft()
                    deaths = 0
                    yield result
            except BrokenProcessPool:
                deaths += 1
                if deaths >= most_deaths:
                    raise UserError(
                        f"a worker died {deaths} times at one task; is there enough memory?"
                    ) from None
            finally:
                for future in futures:
                    future.cancel()


class _Executors(ExitStack):
    """Threads of this process, and worker processes that start with the first item for them."""

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


def start_early(preload: str) -> None:
    """Let the process that workers are forked from import `preload` now, beside what this process imports."""
    with suppress(UserError):  # a wrong VARIEGATE_WORKERS is told later, in one line
        if worker_count() > 1:
            multiprocessing.get_context("forkserver").set_forkserver_preload([preload])
            forkserver.ensure_running()


def _start_pool(workers: int, preload: str | None) -> Executor:
    """The pool. Nothing else is asked of it than concurrent.futures.Executor: a cluster's client serves as well."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload] if preload else [])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_die_with_parent)


def in_worker() -> bool:
    """Whether this process is a worker of another."""
    return multiprocessing.parent_process() is not None


def _die_with_parent() -> None:
    """Without this, a worker whose parent was killed by SIGKILL waits for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    for call in before_orphan_ends:
        call()
    os._exit(1)
