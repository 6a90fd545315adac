"""A Dask cluster, named by VARIEGATE_CLUSTER, in place of the worker processes of this machine.

Where work is done changes nothing of what comes out. Each call carries what client and worker have
to agree on, see handshake.py, so that a worker which joins later is asked too.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from tasks.common.errors import UserError
from tasks.workers import handshake
from tasks.workers.handshake import Agreement

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")
SECONDS_TO_CONNECT = 10.0


def address() -> str | None:
    """VARIEGATE_CLUSTER: where the scheduler listens, tcp:// or tls://; None: no cluster is used.

    Raises:
        UserError: where it is no such address.
    """
    text = os.environ.get("VARIEGATE_CLUSTER")
    if text and not text.startswith(("tcp://", "tls://")):
        need = "needs the address of a Dask scheduler, such as tcp://127.0.0.1:8786"
        raise UserError(f"VARIEGATE_CLUSTER: {need}, found {text!r}")
    return text or None


class Cluster:
    """A connection to a scheduler."""

    def __init__(self, client: "Client") -> None:
        self.client = client
        self.executor: Executor = client.get_executor(pure=False)
        self.agreement = handshake.agreement()

    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Compute `function(item)` in some worker."""
        return self.executor.submit(call, self.agreement, function, item)

    def worker_count(self) -> int:
        """How many workers there are now."""
        return len(self.client.nthreads())


@contextmanager
def connected(place: str) -> Iterator[Cluster]:
    """A connection to the scheduler at `place`, as long as the block lasts.

    Raises:
        UserError: where there is none.
    """
    try:
        from distributed import Client
    except ImportError:
        need = "needs the package distributed, found none: pip install 'variegate[cluster]'"
        raise UserError(f"VARIEGATE_CLUSTER: {need}") from None
    try:
        client = Client(place, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except OSError:
        need = f"needs a scheduler at {place}, found none in {SECONDS_TO_CONNECT:.0f} s"
        raise UserError(f"VARIEGATE_CLUSTER: {need}") from None
    with client:
        yield Cluster(client)


def call(agreement: Agreement, function: Callable[[Item], Result], item: Item) -> Result:
    """Run in a worker: check that it agrees with the client, then compute."""
    handshake.require(agreement)
    return function(item)
