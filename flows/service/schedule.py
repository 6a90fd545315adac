"""Runs on a schedule: a deployment of the flow, its work pool and its worker, by one command in the foreground.

One run at a time, whatever becomes of the processes: what an earlier schedule left behind is swept up at the start.
"""

import fcntl
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
from flows.service.processes import end_with_this_process, group
from tasks.common import machine
from tasks.common.errors import UserError

STRATEGIES = {"skip": ConcurrencyLimitStrategy.CANCEL_NEW, "wait": ConcurrencyLimitStrategy.ENQUEUE}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SHORTEST_SECONDS = 60
SECONDS_TO_END = 30.0  # a stage has ten to end in
SECONDS_BETWEEN_WORKERS = 10.0


def serve(
    flow: Flow, when: CronSchedule | IntervalSchedule, overlap: str, parameters: dict[str, Any]
) -> None:
    """Serve `flow`, that of this checkout, until the block is left by a signal: see processes.ended_by_signals().

    Raises:
        UserError: where another schedule serves this checkout.
    """
    with _one_schedule():
        deployment = register(flow, when, overlap, parameters)
        try:
            _sweep(deployment)
            if isinstance(when, IntervalSchedule):
                run_deployment(deployment, timeout=0)
            while True:
                _work()
                time.sleep(SECONDS_BETWEEN_WORKERS)
                _sweep(deployment)
        finally:
            _leave(deployment)


def cron(text: str) -> CronSchedule:
    """A cron expression, in the time zone of this machine.

    Raises:
        UserError: for what is none.
    """
    try:
        return CronSchedule(cron=text, timezone=get_localzone_name())
    except ValueError:
        need = "needs five fields: minute, hour, day, month, weekday"
        raise UserError(f"--cron: {need}, as '0 3 * * *'; found {text!r}") from None


def every(text: str) -> IntervalSchedule:
    """A duration, as 90m, 6h or 1d; the first run comes at once.

    Raises:
        UserError: for what is none, and for less than a minute.
    """
    found = re.fullmatch(r"(\d+)([smhd])", text)
    seconds = int(found[1]) * UNITS[found[2]] if found else 0
    if not SHORTEST_SECONDS <= seconds <= 366 * UNITS["d"]:
        raise UserError(
            f"--every: needs a number and s, m, h or d, from 1m to 366d, as 6h; found {text!r}"
        )
    return IntervalSchedule(
        interval=timedelta(seconds=seconds), anchor_date=datetime.now().astimezone()
    )


# --- what the server knows ----------------------------------------------------------------------------------------


def register(
    flow: Flow, when: CronSchedule | IntervalSchedule, overlap: str, parameters: dict[str, Any]
) -> UUID:
    """Make the deployment and its work pool, or bring them up to date."""
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=f"variegate-{name()}", type="process"))
    deployment: Any = flow.to_deployment(
        name(),
        schedules=[when],
        parameters=parameters,
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=STRATEGIES[overlap]),
        work_pool_name=f"variegate-{name()}",
        # named, the command saves the layer in which Prefect prepares a workspace
        job_variables={
            "command": f"{sys.executable} -m prefect.engine",
            "working_dir": str(Path.cwd()),
        },
        entrypoint_type=EntrypointType.MODULE_PATH,  # imported where it lies: of a file, Prefect would copy the folder
        paused=False,
    )
    return UUID(str(deployment.apply()))


def name() -> str:
    """Names this checkout among those that one server knows."""
    here = Path.cwd()
    return f"{here.name}-{sha256(str(here).encode()).hexdigest()[:6]}"


def _sweep(deployment: UUID) -> None:
    runs.sweep(
        deployment,
        Crashed(message="its process is gone"),
        Cancelled(message="missed: nothing served the schedule"),
    )


def _leave(deployment: UUID) -> None:
    """No runs are made while nothing serves them, and none seems to go on."""
    stopped: State = Cancelled(message="the schedule was stopped")
    try:
        with get_client(sync_client=True) as client:
            client.pause_deployment(deployment)
        runs.sweep(deployment, stopped, stopped)
    except runs.SERVER_ERRORS as error:
        print(f"warning: the server could not be told: {error}", file=sys.stderr)


# --- processes ----------------------------------------------------------------------------------------------------


def _work() -> None:
    """Run a worker for as long as it lives."""
    command = [
        sys.executable,
        "-m",
        "prefect",
        "worker",
        "start",
        "--pool",
        f"variegate-{name()}",
        "--type",
        "process",
    ]
    with group(command, SECONDS_TO_END, stdin=subprocess.DEVNULL) as worker:
        end_with_this_process(-worker.pid)
        worker.wait()
    print(f"the worker ended with exit code {worker.returncode}; starting another", flush=True)


@contextmanager
def _one_schedule() -> Iterator[None]:
    path = machine.cache_folder() / f"schedule-{name()}.lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                "another `variegate schedule` serves this checkout; end it first"
            ) from None
        yield
