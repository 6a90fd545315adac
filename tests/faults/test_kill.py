"""SIGKILL at any moment of a run costs the time of the stage that it hit, and nothing else."""

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Project, marked, wait_until
from tests.faults.conftest import DOORS, Environment, Undisturbed, check_ends_as_undisturbed

pytestmark = pytest.mark.slow

MOMENTS = 50
RANDOM = random.Random(20)
FRACTIONS = [
    (number + RANDOM.random()) / MOMENTS for number in range(MOMENTS)
]  # of an undisturbed run


@pytest.mark.parametrize(("number", "fraction"), list(enumerate(FRACTIONS)))
def test_a_killed_run_loses_nothing(
    number: int,
    fraction: float,
    fresh: Project,
    undisturbed: Undisturbed,
    prefect_server: Environment,
) -> None:
    door = ("dvc", "flow")[number % 2]
    environment = {**prefect_server, "VARIEGATE_WORKERS": "2" if number % 4 < 2 else "1"}
    kill_after(fraction * undisturbed.seconds[door], fresh, door, environment)
    after = "flow" if number % 5 == 0 else "dvc"
    fresh.run(*DOORS[after], **environment)
    check_ends_as_undisturbed(fresh, undisturbed)


def kill_after(seconds: float, project: Project, door: str, environment: Environment) -> None:
    """Start a run, kill its process group, and wait until no process of it is left."""
    mark = f"{os.getpid()}-{project.root.parent.name}"
    running = subprocess.Popen(
        DOORS[door],
        cwd=project.root,
        env={**project.environment, **environment, "VARIEGATE_MARK": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        running.wait(seconds)
    except subprocess.TimeoutExpired:
        started = marked(mark)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        # one that has ended is there until its parent took note, and DVC asks whether it is there
        wait_until(
            lambda: not any(Path(f"/proc/{process}").exists() for process in started), seconds=30
        )
    wait_until(lambda: not marked(mark), seconds=30)
