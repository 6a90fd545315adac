"""Worker processes of this machine: forked from a process that has imported what they need."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import wait

from tasks.common.errors import UserError
from tasks.common.machine import worker_count

SECONDS_BETWEEN_LOOKS = 0.5  # whether a parent still lives

# called in a worker before it ends, where that has nothing to do with its work
at_end: list[Callable[[], None]] = []


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


def end_with(parent: int) -> None:
    """End this process when its parent, which has that id, dies: see end_with_parent().

    For a process that multiprocessing did not start, which has no sentinel.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_after(sentinel: int) -> None:
    """End this process once `sentinel` is ready, as that of a process is when it has ended."""
    wait([sentinel])
    run_at_end()
    os._exit(1)


def run_at_end() -> None:
    for call in at_end:
        call()
