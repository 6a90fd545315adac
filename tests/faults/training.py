"""The train stage in processes of its own that start at once, to be killed by SIGKILL.

To import the stage takes longer than the trainings of a test. So one process imports it, and forks
another one for each training.
"""

import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.conftest import Project

LOG = "train.log"
OUTPUTS = ("models", "plots", "metrics")
# gets a line for each training, its environment; prints its pid, and its exit code at its end
FORKING = f"""
import json, os, signal, sys, traceback
from tasks.common import errors
from tasks.train.__main__ import main
from tasks.train.loop import checkpoint

def train(environment):
    os.environ.update(environment)
    log = os.open("{LOG}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1), os.dup2(log, 2)
    if "KILLED_WHILE_IT_SAVES" in environment:  # all is written, but has its last name not yet
        checkpoint.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    errors.run(main)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(json.loads(line))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Trainings:
    """Runs the train stage of a project, as often as asked."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.log = project.path(LOG)

    def __enter__(self) -> Self:
        self.forking = subprocess.Popen(
            [sys.executable, "-c", FORKING],
            cwd=self.project.root,
            env=self.project.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.forking.communicate(timeout=60)

    def run(self, due: Callable[[], bool] = lambda: False, **environment: str) -> list[str]:
        """Train; kill it once due() is true.

        Returns:
            The lines that it printed.
        """
        assert self.forking.stdin and self.forking.stdout
        self.log.unlink(missing_ok=True)
        print(json.dumps(environment), file=self.forking.stdin, flush=True)
        pid = int(self.forking.stdout.readline())
        while not select.select([self.forking.stdout], [], [], 0.001)[0]:
            if due():
                os.kill(pid, signal.SIGKILL)
                break
        code = int(self.forking.stdout.readline())
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        assert code in (0, -signal.SIGKILL), lines
        return lines


class AfterAnEpoch:
    """True from some seconds after the first epoch that a training tells of.

    So each training that is killed then goes further than the one before. `begun`: when it told.
    """

    def __init__(self, trainings: Trainings, seconds: float) -> None:
        self.log = trainings.log
        self.seconds = seconds
        self.begun = math.inf

    def __call__(self) -> bool:
        now = time.monotonic()
        if self.begun == math.inf and self.log.exists() and "\nepoch " in self.log.read_text():
            self.begun = now
        return now - self.begun >= self.seconds


def outputs(project: Project) -> dict[str, bytes]:
    """What the train stage leaves, and the metrics of the others."""
    paths = [path for folder in OUTPUTS for path in project.path(folder).rglob("*")]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def checkpoints(project: Project, pattern: str) -> list[Path]:
    """Files in the checkpoints' folder; one that is being written has a name with a dot first."""
    return list(project.path(".variegate/checkpoints").glob(pattern))
