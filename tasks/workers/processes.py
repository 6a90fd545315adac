"""Worker processes of this machine: forked from a process that has imported what they need."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import wait

from tasks.common.errors import UserError
from tasks.common.machine import worker_count

# called in a worker whose parent process has died, before the worker ends too
at_parent_death: list[Callable[[], None]] = []


def start_early(preload: str) -> None:
    """Start the process that workers are forked from, so that it imports `preload` meanwhile."""
    with suppress(UserError):  # map_ordered() reports a wrong VARIEGATE_WORKERS, in one line
        if worker_count() > 1:
            multiprocessing.get_context("forkserver").set_forkserver_preload([preload])
            forkserver.ensure_running()


def start_pool(workers: int, preload: str | None) -> Executor:
    """A pool of processes that end with this one."""
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
