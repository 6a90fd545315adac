"""Child process that runs one stage: `python -m flows.run.child ADDRESS OUTCOME [--force]`.

The flow starts it in a process group of its own, with a pipe as its standard input. When that pipe
ends, the flow has ended, even by SIGKILL, and this process ends its group: no stage outlives its
flow.

Writes the outcome, `ran` or `cached`, to the file OUTCOME. This module does not import Prefect:
that would cost each stage a second.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.versions.dvc_graph import message_of, wait_for_others
from tasks.common import events
from tasks.common.errors import one_line


def end_group_with_flow() -> None:
    """End this process group when standard input ends."""

    def wait_for_end() -> None:
        while os.read(0, 1024):
            pass
        os.killpg(0, signal.SIGTERM)

    threading.Thread(target=wait_for_end, daemon=True).start()


def reproduce(address: str, force: bool) -> str:
    """Run one stage through DVC where it has changed; `ran` or `cached`."""
    with Repo(_wait_for_lock=True) as repo:
        return "ran" if repo.reproduce(address, single_item=True, force=force) else "cached"


def main(address: str, outcome: Path, force: bool) -> int:
    """Run a stage; the exit code is 1 where it failed."""
    end_group_with_flow()
    try:
        outcome.write_text(wait_for_others(lambda: reproduce(address, force)))
    except (DvcException, OSError) as error:
        report_failure(error)
        return 1
    return 0


def report_failure(error: BaseException) -> None:
    """Print why DVC failed, in one line.

    Where the cause is an error of the system that the user can mend, as a full disk, the flow gets
    the line as an event too.
    """
    reason = system_error(error)
    message = message_of(error)
    if reason and isinstance(error, DvcException):
        text = f"dvc: {message}: {reason}"
    else:
        text = f"dvc: {reason or message}"
    if reason:
        events.emit("error", text=text)
    print(f"error: {text}" if reason else text, file=sys.stderr)


def system_error(error: BaseException | None) -> str | None:
    """The message of the OSError that caused `error`, in one line; None without one."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return None if error is None else one_line(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), "--force" in sys.argv))
