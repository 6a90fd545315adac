"""Dask clusters for tests: a scheduler and workers, each a process of its own on loopback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.hosts import Host
from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent
SECONDS_TO_START = 60.0
# Dask serves pages on every address of the machine, also with --no-dashboard
NO_PAGES = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")


class DaskCluster:
    """A scheduler and its workers. Each worker has a nanny, which starts another when it dies.

    `folder`: for their logs and Dask's own files. `environment`: of the processes, beside the
    test's own. `protocol`: tcp or tls; the certificates are those of Dask's configuration.
    `listen`: the address that the scheduler listens on.
    """

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str] | None = None,
        protocol: str = "tcp",
        listen: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.protocol = protocol
        self.listen = listen
        # functions of test modules are computed too
        self.own = {"PYTHONPATH": str(ROOT), **(environment or {})}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.nannies: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start_scheduler()

    @property
    def environment(self) -> dict[str, str]:
        """What points a stage to this cluster."""
        return {"VARIEGATE_CLUSTER": self.address}

    def start_scheduler(self, port: int = 0) -> subprocess.Popen[bytes]:
        """Start a scheduler; `port` 0: a free one. `address` is where it listens."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        options = ("--port", str(port), "--protocol", self.protocol, "--scheduler-file", str(file))
        self.scheduler = self.start("dask_scheduler", "--host", self.listen, *options)
        wait_until(
            lambda: file.exists() and file.read_text().endswith("}"), seconds=SECONDS_TO_START
        )
        self.address = str(json.loads(file.read_text())["address"])
        return self.scheduler

    def add_worker(
        self, *options: str, cwd: Path | None = None, host: Host | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a nanny with one worker of one thread; see wait_for_workers()."""
        threads = () if "--nthreads" in options else ("--nthreads", "1")
        local = ("--local-directory", str(self.folder), "--memory-limit", "0")
        listen = ("--host", host.address if host else self.listen)
        options = (self.address, *listen, *threads, *local, *options)
        nanny = self.start("dask_worker", *options, cwd=cwd, host=host, **environment)
        self.nannies.append(nanny)
        return nanny

    def start(
        self,
        name: str,
        *options: str,
        cwd: Path | None = None,
        host: Host | None = None,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{name}", *NO_PAGES, *options]
        with (self.folder / f"{len(self.processes)}-{name}.log").open("wb") as log:
            process = subprocess.Popen(
                host.command(*command) if host else command,
                cwd=cwd or self.folder,
                env={**os.environ, **self.own, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C of a test run is not theirs
            )
        self.processes.append(process)
        return process

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many workers have joined."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=SECONDS_TO_START)

    def worker_pids(self) -> list[int]:
        """The processes that compute: the children of the nannies."""
        pids = []
        for nanny in self.nannies:
            with suppress(psutil.Error):
                children = psutil.Process(nanny.pid).children()
                pids += [child.pid for child in children if "spawn_main" in str(child.cmdline())]
        return pids

    def worker_address(self) -> str:
        """Of the only worker."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            (address,) = client.nthreads()
        return str(address)

    def kill_scheduler(self) -> None:
        self.scheduler.kill()
        self.scheduler.wait()

    def log(self) -> str:
        """What all processes have said."""
        files = sorted(self.folder.glob("*-dask_*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text()}" for file in files)

    def stop(self) -> None:
        """End every process of it."""
        ending = [child for nanny in self.nannies for child in children_of(nanny.pid)]
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for child in ending:
            with suppress(psutil.Error):
                child.kill()


def children_of(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


@contextmanager
def dask_processes(
    folder: Path,
    workers: int = 2,
    environment: dict[str, str] | None = None,
    protocol: str = "tcp",
) -> Iterator[DaskCluster]:
    """A cluster of that many workers, as long as the block lasts."""
    cluster = DaskCluster(folder, environment, protocol)
    try:
        for _ in range(workers):
            cluster.add_worker()
        if workers and protocol == "tcp":
            cluster.wait_for_workers(workers)
        yield cluster
    finally:
        cluster.stop()
