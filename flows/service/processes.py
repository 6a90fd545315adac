"""Process groups that end with what started them."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SECONDS_TO_END = 10.0
SECONDS_BETWEEN_LOOKS = 0.05

_watchers: list[subprocess.Popen] = []


@contextmanager
def group(
    command: list[str], seconds_to_end: float = SECONDS_TO_END, **options: Any
) -> Iterator[subprocess.Popen]:
    """A process in a group of its own. The group is ended when the block ends, whatever ended it."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        end_group(process, seconds_to_end)


def end_group(process: subprocess.Popen, seconds_to_end: float = SECONDS_TO_END) -> None:
    """End every process of the group: with SIGTERM, and what is left after `seconds_to_end` with SIGKILL."""
    end = time.monotonic() + seconds_to_end
    with suppress(ProcessLookupError):  # none is left
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < end:
            process.poll()  # an ended leader that nobody has asked for still counts
            os.killpg(process.pid, 0)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_with_this_process(pid: int) -> None:
    """Let the process `pid`, or the group -`pid`, end when this one does, even by SIGKILL: a shell, held by a pipe,
    does it then.
    """
    script = f"cat > /dev/null; kill -s TERM -- {pid} 2> /dev/null"
    watcher = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)
    _watchers.append(watcher)  # its pipe has to stay open


class _StopError(Exception):
    pass


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGINT leave the block, and every block within it, in order."""

    def stop(number: int, _: Any) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)  # it is being done
        raise _StopError(signal.Signals(number).name)

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except _StopError as stopped:
        print(f"stopped by {stopped}", flush=True)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
