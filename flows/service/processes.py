"""Process groups that end with the process that started them."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SECONDS_TO_END = 10.0
SECONDS_BETWEEN_POLLS = 0.05

_watchers: list[subprocess.Popen] = []  # see end_with_this_process()


@contextmanager
def process_group(
    command: list[str], seconds_to_end: float = SECONDS_TO_END, **options: Any
) -> Iterator[subprocess.Popen]:
    """Start a process as the leader of a new process group; end the group when the block is left.

    Args:
        command: of the process.
        seconds_to_end: how long its processes have to end after SIGTERM.
        options: of subprocess.Popen.
    """
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        end_group(process, seconds_to_end)


def end_group(process: subprocess.Popen, seconds_to_end: float = SECONDS_TO_END) -> None:
    """End every process of a group: SIGTERM, and SIGKILL for those left after `seconds_to_end`.

    Returns when no process of the group is left: also those whose parents have died belong to it.
    """
    end = time.monotonic() + seconds_to_end
    with suppress(ProcessLookupError):  # no process is left
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < end:
            process.poll()  # a leader that ended stays in the group until it is asked for
            os.killpg(process.pid, 0)
            time.sleep(SECONDS_BETWEEN_POLLS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_with_this_process(pid: int) -> None:
    """Send SIGTERM to a process when this one ends, even by SIGKILL.

    A shell waits on a pipe that this process holds open: the pipe ends with this process.

    Args:
        pid: of the process; negative: minus the id of a process group.
    """
    script = f"cat > /dev/null; kill -s TERM -- {pid} 2> /dev/null"
    watcher = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)
    _watchers.append(watcher)  # collected as garbage, it would close its pipe


class _StopError(BaseException):
    """A signal came. No Exception, after which some libraries go on: Prefect, while it begins."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Leave the block at SIGTERM or SIGINT, so that every `finally` and `with` in it is done."""

    def stop(number: int, _: Any) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)  # a second one would interrupt the clean-up
        raise _StopError(signal.Signals(number).name)

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except _StopError as stopped:
        print(f"stopped by {stopped}", flush=True)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
