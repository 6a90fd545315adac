"""Runs on a schedule: a Prefect deployment, its work pool and its worker, held by one command.

One run at a time, also after a crash: what an earlier schedule left unfinished is ended first.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from filelock import FileLock, Timeout
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.deployments import run_deployment
from prefect.deployments.runner import EntrypointType
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Cancelled, Crashed, State
from tzlocal import get_localzone_name

from flows.service import runs
from flows.service.processes import end_with_this_process, process_group
from tasks.common import machine
from tasks.common.errors import UserError

STRATEGIES = {"skip": ConcurrencyLimitStrategy.CANCEL_NEW, "wait": ConcurrencyLimitStrategy.ENQUEUE}
SECONDS_OF_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SHORTEST_SECONDS = 60
LONGEST_SECONDS = 366 * SECONDS_OF_UNIT["d"]
SECONDS_TO_END = 30.0  # a stage has ten to end in
SECONDS_BETWEEN_WORKERS = 10.0


def serve(
    flow: Flow, when: CronSchedule | IntervalSchedule, overlap: str, parameters: dict[str, Any]
) -> None:
    """Serve the flow of this checkout on a schedule, until processes.ended_by_signals() stops it.

    Args:
        flow: the flow.
        when: see cron() and every().
        overlap: what a run does that is due while another goes on: a key of STRATEGIES.
        parameters: of the flow.

    Raises:
        UserError: where another schedule serves this checkout.
    """
    with _one_schedule():
        deployment = register(flow, when, overlap, parameters)
        try:
            _end_abandoned_runs(deployment)
            if isinstance(when, IntervalSchedule):
                run_deployment(deployment, timeout=0)
            while True:
                _run_worker()
                time.sleep(SECONDS_BETWEEN_WORKERS)
                _end_abandoned_runs(deployment)
        finally:
            _pause(deployment)


def cron_schedule(text: str) -> CronSchedule:
    """A cron expression, in the time zone of this machine.

    Raises:
        UserError: for a text that is none.
    """
    try:
        return CronSchedule(cron=text, timezone=get_localzone_name())
    except ValueError:
        need = "needs five fields: minute, hour, day, month, weekday"
        raise UserError(f"--cron: {need}, as '0 3 * * *'; found {text!r}") from None


def interval_schedule(text: str) -> IntervalSchedule:
    """A duration, as 90m, 6h or 1d; the first run comes at once.

    Raises:
        UserError: for a text that is none, for less than a minute and for more than a year.
    """
    found = re.fullmatch(r"(\d+)([smhd])", text)
    seconds = int(found[1]) * SECONDS_OF_UNIT[found[2]] if found else 0
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise UserError(
            f"--every: needs a number and s, m, h or d, from 1m to 366d, as 6h; found {text!r}"
        )
    return IntervalSchedule(
        interval=timedelta(seconds=seconds), anchor_date=datetime.now().astimezone()
    )


# --- the deployment ---------------------------------------------------------------------------


def register(
    flow: Flow, when: CronSchedule | IntervalSchedule, overlap: str, parameters: dict[str, Any]
) -> UUID:
    """Create the deployment and its work pool, or bring them up to date; returns the deployment."""
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(
            WorkPoolCreate(name=f"variegate-{deployment_name()}", type="process")
        )
    deployment: Any = flow.to_deployment(
        deployment_name(),
        schedules=[when],
        parameters=parameters,
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=STRATEGIES[overlap]),
        work_pool_name=f"variegate-{deployment_name()}",
        # given explicitly, the command saves the process in which Prefect prepares a workspace
        job_variables={
            "command": f"{sys.executable} -m prefect.engine",
            "working_dir": str(Path.cwd()),
        },
        # the flow is imported from here: given as a file, Prefect would copy the whole folder
        entrypoint_type=EntrypointType.MODULE_PATH,
        paused=False,
    )
    return UUID(str(deployment.apply()))


def deployment_name() -> str:
    """A name of this checkout that differs from those of others which one server knows."""
    here = Path.cwd()
    return f"{here.name}-{sha256(str(here).encode()).hexdigest()[:6]}"


def _end_abandoned_runs(deployment: UUID) -> None:
    runs.end_abandoned(
        deployment,
        Crashed(message="its process is gone"),
        Cancelled(message="missed: nothing served the schedule"),
    )


def _pause(deployment: UUID) -> None:
    """Let the server create no more runs, and end those that it believes to be under way."""
    stopped: State = Cancelled(message="the schedule was stopped")
    try:
        with get_client(sync_client=True) as client:
            client.pause_deployment(deployment)
        runs.end_abandoned(deployment, stopped, stopped)
    except runs.SERVER_ERRORS as error:
        print(f"warning: the server could not be told: {error}", file=sys.stderr)


# --- processes --------------------------------------------------------------------------------


def _run_worker() -> None:
    """Run a Prefect worker until it ends."""
    pool = f"variegate-{deployment_name()}"
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool]
    command += ["--type", "process"]
    with process_group(command, SECONDS_TO_END, stdin=subprocess.DEVNULL) as worker:
        end_with_this_process(-worker.pid)
        worker.wait()
    print(f"the worker ended with exit code {worker.returncode}; starting another", flush=True)


@contextmanager
def _one_schedule() -> Iterator[None]:
    """Hold the lock that one schedule of this checkout can have; the system frees it at a crash."""
    lock = FileLock(machine.cache_folder() / f"schedule-{deployment_name()}.lock", timeout=0)
    try:
        held = lock.acquire()
    except Timeout:
        raise UserError("another `variegate schedule` serves this checkout; end it first") from None
    with held:
        yield
