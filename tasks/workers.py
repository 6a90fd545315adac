"""A pool of worker processes. Results come in the order of the items, so the number of workers changes nothing else."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TypeVar

from tasks.machine import worker_count

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD_PER_WORKER = 4  # items handed out beyond the one awaited: bounds memory


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], preload: str | None = None
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, computed in worker processes.

    `function` and the items cross a process: a module's own function and picklable values. `preload` names the module
    to import once, before the workers are forked from it.
    """
    workers = worker_count()
    if workers == 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload] if preload else [])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_die_with_parent) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > AHEAD_PER_WORKER * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _die_with_parent() -> None:
    """Without this, a worker whose parent was killed by SIGKILL waits for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        threading.Thread(target=lambda: (wait([sentinel]), os._exit(1)), daemon=True).start()
