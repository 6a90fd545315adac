"""One run of a dataset at a time, on all hosts of a Prefect server: a slot, held by a lease.

The slot is a global concurrency limit of one, named after the dataset. The run that holds it renews
its lease; from one whose process or host is gone the server takes it back when the lease is over.
"""

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from filelock import FileLock, Timeout
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed

from flows.run.stage import CANCELLED, RunCancelledError
from flows.service import runs
from flows.service.server import KEPT
from flows.versions.git import git
from tasks.common import machine

Overlap = Literal["wait", "skip"]
SECONDS_OF_LEASE = 60.0  # the shortest that the server grants
# A run that loses the server ends by server.exit_when_silent(), before its lease is over.
SECONDS_BETWEEN_RENEWALS = 10.0
SECONDS_WITHOUT_RENEWAL = 50.0
SECONDS_BETWEEN_TRIES = 2.0
SECONDS_TO_ANSWER = 5.0
TAKEN, GONE = 423, 410  # HTTP status codes: no slot is free; no such lease


@contextmanager
def dataset_slot(overlap: Overlap) -> Iterator[None]:
    """Hold the slot of this checkout's dataset while the block runs.

    Args:
        overlap: what to do while another run holds it, wait for it, or skip this run.

    Raises:
        RunCancelledError: where this run is to be skipped, or was cancelled while it waited.
    """
    if not PREFECT_API_URL.value():  # a temporary server, which no other run knows
        yield
        return
    with get_client(sync_client=True) as client:
        slot = _Slot(client, UUID(flow_run.id), slot_name(), overlap)
        with slot.checkout_locked():
            lease = slot.acquire()
            with slot.renewed(lease):
                yield


@dataclass
class _Slot:
    """A dataset's slot on the server, as one run sees it.

    Attributes:
        client: of the server.
        run: the run's id.
        name: of the slot.
        overlap: see dataset_slot().
        waited: whether the run has told that it waits.
    """

    client: SyncPrefectClient
    run: UUID
    name: str
    overlap: Overlap
    waited: bool = False

    @contextmanager
    def checkout_locked(self) -> Iterator[None]:
        """Hold a lock of this checkout, which the system frees however its holder ends.

        So whoever has it knows that no other run of this checkout is alive, and may take back the
        lease of one that was killed.
        """
        lock = FileLock(_own_file("lock"), timeout=0)
        while True:
            try:
                held = lock.acquire()
                break
            except Timeout:
                self.wait()
        with held:
            self.take_back()
            yield

    def take_back(self) -> None:
        """Release the lease of a run of this checkout that was killed, and end the run."""
        file = _own_file("lease")
        noted = file.read_text().split() if file.is_file() else []
        if len(noted) == 2:  # else that run was killed before it wrote
            lease, run = map(UUID, noted)
            self.client.release_concurrency_slots_with_lease(lease)
            self.end_gone([run], "its process is gone")

    def acquire(self) -> UUID:
        """Take the slot once it is free; returns the lease."""
        self.create()
        while (lease := self.try_once()) is None:
            self.wait()
        _own_file("lease").write_text(f"{lease} {self.run}\n")
        self.end_gone(runs.holders(self.client, self.name), "its host is gone")  # not its lease
        self.client.update_flow_run_labels(self.run, {runs.DATASET: self.name})
        return lease

    def create(self) -> None:
        """Create the slot on the server where it is not there yet."""
        try:
            self.client.read_global_concurrency_limit_by_name(self.name)
        except ObjectNotFound:
            with suppress(ObjectAlreadyExists):  # another run may be faster
                limit = GlobalConcurrencyLimitCreate(name=self.name, limit=1)
                self.client.create_global_concurrency_limit(limit)

    def try_once(self) -> UUID | None:
        """A lease of the slot; None where another run holds it."""
        try:
            answer = self.client.increment_concurrency_slots_with_lease(
                [self.name], 1, "concurrency", SECONDS_OF_LEASE
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code != TAKEN:
                raise
            return None
        return UUID(answer.json()["lease_id"])

    def wait(self) -> None:
        """Wait a moment for the slot; the first time, say who holds it.

        Raises:
            RunCancelledError: see dataset_slot().
        """
        if runs.cancelled(self.client, self.run):
            raise RunCancelledError(CANCELLED)
        if not self.waited:
            line = self.holder_line()
            if self.overlap == "skip":
                raise RunCancelledError(f"skipped: {line}")
            self.waited = True
            get_run_logger().info("waiting: %s", line)
        time.sleep(SECONDS_BETWEEN_TRIES)

    def holder_line(self) -> str:
        """Which run holds the slot, for people."""
        names = [
            self.client.read_flow_run(run).name for run in runs.holders(self.client, self.name)
        ]
        free = f"`prefect gcl update {self.name} --active-slots 0` frees its slot"
        found = f"run {', '.join(names)} works" if names else f"no run that is known works; {free}"
        return f"{found} on {self.name}"

    def end_gone(self, gone: list[UUID], why: str) -> None:
        """Tell the server that these runs have crashed, where it believes them to be under way."""
        for run in gone:
            with suppress(ObjectNotFound):
                known = self.client.read_flow_run(run)
                if known.state_type in runs.STARTED:
                    message = f"{why}; run {flow_run.name} goes on"
                    self.client.set_flow_run_state(run, Crashed(message=message), force=True)

    @contextmanager
    def renewed(self, lease: UUID) -> Iterator[None]:
        """Renew the lease in a thread while the block runs, and release it then."""
        ended = threading.Event()
        threading.Thread(target=_renew, args=(lease, ended), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            with suppress(*runs.SERVER_ERRORS):  # the lease ends by itself
                self.client.release_concurrency_slots_with_lease(lease)
                _own_file("lease").unlink(missing_ok=True)


def _renew(lease: UUID, ended: threading.Event) -> None:
    """Renew a lease until `ended`, or end this process where that fails."""
    watchdog = _exit_later(ended)
    # a request that a cut cable swallows must not take as long as the lease
    with get_client(sync_client=True, httpx_settings={"timeout": SECONDS_TO_ANSWER}) as client:
        while not ended.wait(SECONDS_BETWEEN_RENEWALS):
            try:
                client.renew_concurrency_lease(lease, SECONDS_OF_LEASE)
            except runs.SERVER_ERRORS as error:
                answer = getattr(error, "response", None)
                if answer is not None and answer.status_code == GONE:
                    _exit(ended, "the Prefect server no longer knows that this run is under way")
            else:
                watchdog.cancel()
                watchdog = _exit_later(ended)
    watchdog.cancel()


def _exit_later(ended: threading.Event) -> threading.Timer:
    """End this process in SECONDS_WITHOUT_RENEWAL, unless the timer is cancelled before."""
    why = "the Prefect server cannot be told that this run is under way"
    timer = threading.Timer(SECONDS_WITHOUT_RENEWAL, _exit, (ended, why))
    timer.daemon = True
    timer.start()
    return timer


def _exit(ended: threading.Event, why: str) -> None:
    """End this process, exit code 2: another run may soon hold the slot.

    Stages end with this process: see flows/run/child.py.
    """
    if not ended.is_set():
        print(f"error: {why}; {KEPT}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(2)


# --- names ------------------------------------------------------------------------------------


def slot_name() -> str:
    """The name of this dataset's slot: where git's remote is, or this checkout without one.

    So `dataset-example.org-team-coats` for `git@example.org:team/coats.git`.
    """
    branch = git("branch", "--show-current").decode().strip()
    remote = git("config", "--get", f"branch.{branch}.remote").decode().strip() or "origin"
    url = git("config", "--get", f"remote.{remote}.url").decode().strip()
    subfolder = git("rev-parse", "--show-prefix").decode().strip()
    place = f"{remote_place(url)}/{subfolder}" if url else _checkout()
    # no other characters in a name: the server refuses some, a shell others
    return "dataset-" + re.sub(r"[^\w.]+", "-", place).strip("-")


def remote_place(url: str) -> str:
    """Host and path of a git remote, whichever way its URL is written; of a folder its path."""
    url = url.rstrip("/").removesuffix(".git")
    found = urlsplit(url)
    if found.scheme in ("ssh", "git", "http", "https"):
        return f"{(found.hostname or '').lower()}{found.path}"
    host, colon, path = url.rpartition("@")[2].partition(":")
    if colon and "/" not in host and found.scheme != "file":  # short for SSH: user@host:path
        return f"{host.lower()}/{path.lstrip('/')}"
    return str(Path(found.path if found.scheme == "file" else url).expanduser().resolve())


def _checkout() -> str:
    """This host and folder."""
    return f"{socket.gethostname()}/{Path.cwd()}"


def _own_file(kind: str) -> Path:
    """A file of this checkout in the private cache, which projects may share."""
    place = sha256(_checkout().encode()).hexdigest()[:6]
    return machine.cache_folder() / f"run-{place}.{kind}"
