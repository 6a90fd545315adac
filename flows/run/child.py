"""One stage in a process of its own: `python -m flows.run.child ADDRESS OUTCOME [--force]`.

The flow starts it in a process group of its own, with a pipe as its standard input. When that pipe ends, the flow is
gone, however it ended, and this process ends its group: no stage outlives its flow.

Writes the outcome, `ran` or `cached`, to the file OUTCOME. This module imports no prefect: that would cost a second.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.versions.dvc_graph import wait_for_others
from tasks.common import events
from tasks.common.errors import one_line


def end_with_the_flow() -> None:
    """End this process group when standard input ends."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.killpg(0, signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def reproduce(address: str, force: bool) -> str:
    """Run one stage through DVC where it has changed; `ran` or `cached`."""
    with Repo(_wait_for_lock=True) as repo:
        return "ran" if repo.reproduce(address, single_item=True, force=force) else "cached"


def main(address: str, outcome: Path, force: bool) -> int:
    end_with_the_flow()
    try:
        outcome.write_text(wait_for_others(lambda: reproduce(address, force)))
    except (DvcException, OSError) as error:
        tell(error)
        return 1
    return 0


def tell(error: BaseException) -> None:
    """Say in one line what DVC failed at, and to the flow where the user can mend it: a full disk, say."""
    reason = reason_of(error)
    text = (
        f"dvc: {error}: {reason}"
        if reason and isinstance(error, DvcException)
        else f"dvc: {reason or error}"
    )
    if reason:
        events.emit("error", text=text)
    print(f"error: {text}" if reason else text, file=sys.stderr)


def reason_of(error: BaseException | None) -> str | None:
    """What the system said, below what DVC made of it."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return None if error is None else one_line(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), "--force" in sys.argv))
