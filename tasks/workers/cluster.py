"""A Dask cluster, named by VARIEGATE_CLUSTER, in place of the worker processes of this machine.

Where work is done changes nothing of what comes out. Each call carries what client and worker have
to agree on, see handshake.py, so that a worker which joins later is asked too.
"""

import atexit
import ctypes
import importlib.util
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, wait
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tasks.common import errors, events, machine
from tasks.common.errors import UserError
from tasks.workers import dask_client, handshake, processes, project_folder
from tasks.workers.handshake import Agreement

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")
SECONDS_BETWEEN_LOOKS = 1.0  # at how many workers there are: a message to the scheduler and back
SECONDS_WITHOUT_WORKERS = 5.0  # before a line says so
KEPT_BYTES = 32 * 2**20  # the most that glibc's malloc takes for a threshold
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h

_one_at_a_time = threading.Lock()  # of a worker's threads: stages are not written for threads


class WorkersDiedError(Exception):
    """So many workers in a row have died at one item."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths


# --- the client -----------------------------------------------------------------------------------


def shares_folder() -> bool:
    """Whether work goes to a cluster whose workers have the project's folder."""
    return dask_client.address() is not None and not machine.sources_are_remote()


def is_apart() -> bool:
    """Whether work goes to a cluster whose workers do not have the project's folder."""
    return dask_client.address() is not None and machine.sources_are_remote()


class Cluster:
    """A connection to the scheduler at `place`. `users`: blocks that it is used in."""

    def __init__(self, client: "Client", place: str, agreement: Agreement) -> None:
        self.users = 0
        self.client = client
        self.place = place
        self.agreement = agreement
        self.executor: Executor = client.get_executor(pure=False)
        self.workers = 0
        self.seen = time.monotonic()  # when there was a worker
        self.next_look = 0.0
        self.said: set[str] = set()
        self._look()

    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Compute `function(item)` in some worker."""
        task = _Call(self.agreement, pickle.dumps((function, item)))
        return self.executor.submit(pickle.loads, pickle.dumps(task))

    def worker_count(self) -> int:
        """How many workers there are, or were a second ago."""
        self._look()
        return self.workers

    def is_done(self, future: Future[Any]) -> bool:
        """Whether the result is there, or comes within a second."""
        if wait([future], SECONDS_BETWEEN_LOOKS).done:
            return True
        self._look()
        return False

    def result(self, future: Future[Result]) -> Result:
        """The result of a future that is done.

        Raises:
            WorkersDiedError: where workers have died at it.
            UserError: where the scheduler has ended, or the worker cannot do the work.
        """
        from distributed import KilledWorker

        try:
            return future.result()
        except CancelledError:
            raise self._gone() from None
        except KilledWorker as error:
            raise WorkersDiedError(error.allowed_failures + 1) from None
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] != "tasks":
                raise
            need = f"needs the project's code, found no module {error.name}"
            places = self._without_module(str(error.name))
            raise UserError(f"VARIEGATE_CLUSTER: worker {places} {need}") from None

    def _look(self) -> None:
        """See how many workers there are, unless that was seen just now."""
        now = time.monotonic()
        if now < self.next_look:
            return
        self.next_look = now + SECONDS_BETWEEN_LOOKS
        if self.client.status != "running":
            raise self._gone()
        try:
            info = self.client.scheduler_info(n_workers=0)
        except OSError:
            raise self._gone() from None
        self.workers = info["n_workers"]
        if info["total_threads"] > self.workers:
            self._say_once(
                "VARIEGATE_CLUSTER: some workers have more than one thread, of which one is used: "
                "start them with --nthreads 1 --nworkers N"
            )
        if self.workers:
            self.seen = now
        elif now - self.seen > SECONDS_WITHOUT_WORKERS:
            self._say_once(f"waiting: the scheduler at {self.place} has no workers")

    def _without_module(self, name: str) -> str:
        """The addresses of the workers that lack a module: a task's error does not tell its own."""
        found = self.client.run(importlib.util.find_spec, name, on_error="return")
        lacking = [place for place, spec in found.items() if not isinstance(spec, ModuleSpec)]
        return ", ".join(lacking) or "that has ended"

    def _say_once(self, line: str) -> None:
        if line not in self.said:
            self.said.add(line)
            events.say(line)

    def _gone(self) -> UserError:
        again = "run again: what was finished is kept"
        return UserError(f"VARIEGATE_CLUSTER: the scheduler at {self.place} is gone; {again}")


_current: Cluster | None = None  # that this process uses now
_closing = ExitStack()  # of its connection


@contextmanager
def connected(place: str) -> Iterator[Cluster]:
    """A connection to the scheduler at `place`, as long as the block lasts.

    Blocks that last at the same time, as where one stage hands out work of two kinds, share it.

    Raises:
        UserError: where there is none.
    """
    global _current
    if _current is None:
        with ExitStack() as opening:
            # a generator that an error leaves open is closed after Dask's threads end: too late
            atexit.register(_closing.close)
            opening.callback(atexit.unregister, _closing.close)
            client = opening.enter_context(dask_client.connect(place))
            folder = opening.enter_context(project_folder.marked()) if shares_folder() else None
            _current = Cluster(client, place, handshake.agreement(folder))
            _closing.push(opening.pop_all())
    cluster = _current
    cluster.users += 1
    try:
        yield cluster
    finally:
        cluster.users -= 1
        if not cluster.users:
            _current = None
            _closing.close()


def note() -> str:
    """How many workers the cluster has, for a line of progress; "" while none is used."""
    if _current is None:
        return ""
    return f"{_current.workers} worker{'s' * (_current.workers != 1)} of the cluster"


# --- a worker -------------------------------------------------------------------------------------


class _Call(NamedTuple):
    """A call that is made as it is unpickled.

    What is sent is bytes and pickle.loads(). So the scheduler, which unpickles what it is sent,
    needs none of our code; and a worker compares its code with the client's before it reads what
    only equal code can read, `task`.
    """

    agreement: Agreement
    task: bytes

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return call, (self.agreement, self.task)


@cache
def _keep_freed_memory() -> None:
    """Have this process keep the memory of an image for the next one, as glibc does by default.

    Dask's nanny asks for the opposite (MALLOC_TRIM_THRESHOLD_), and images are large: the system
    would clear and map their memory again and again, which takes as long as making variants.
    """
    with suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BYTES)


@cache
def _watch_end() -> None:
    """Have this process tell, when Dask ends it, that its end is no crash at what it works on."""
    from distributed import get_worker

    worker = get_worker()

    def run() -> None:
        while worker.status.name in ("init", "running", "paused"):
            time.sleep(SECONDS_BETWEEN_LOOKS / 2)
        processes.run_at_end()

    threading.Thread(target=run, daemon=True, name="watch the end").start()
    processes.end_with_parent()  # the nanny


def call(agreement: Agreement, task: bytes) -> Any:
    """Run in a worker: check that it agrees with the client, then compute.

    Raises:
        UserError: also where the operating system has no room, no rights, ...
    """
    from distributed import get_worker

    worker = get_worker().address
    with _one_at_a_time:
        _keep_freed_memory()
        _watch_end()
        handshake.require(agreement, worker)
        function, item = pickle.loads(task)
        try:
            return function(item)
        except OSError as error:
            line = errors.one_line(error)
            if line is None:
                raise
            raise UserError(f"VARIEGATE_CLUSTER: worker {worker}: {line}") from error
