"""Bring stages up to date without the flow, for commands that need to know the present images."""

import subprocess
import sys

from flows.preconditions import check_params, require_raw
from tasks.common.errors import CheckFailedError, UserError


def refresh(stage: str) -> None:
    """Bring the stages up to `stage` up to date, without the flow: for what has to know the present images.

    Raises:
        UserError: where that fails; the stage has told why.
    """
    from flows.versions.dvc_graph import read_steps
    from flows.versions.merge import require_finished
    from flows.versions.stale_checkout import require_not_stale

    require_finished()
    require_raw()
    check_params()
    steps = read_steps(stage)
    if all(step.clean for step in steps):
        return
    require_not_stale(steps)
    print(f"what {stage} depends on is not up to date: running it first", file=sys.stderr)
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", stage]
    # what the stage says on the way goes where progress goes; standard output is the result's
    done = subprocess.run(
        command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise _told_by_stage(stage, done.stderr)


def _told_by_stage(stage: str, text: str) -> UserError:
    """The stage's own last line, out of all that DVC says around it."""
    for line in reversed(text.splitlines()):
        for mark, kind in (("failed: ", CheckFailedError), ("error: ", UserError)):
            if line.startswith(mark):
                return kind(line.removeprefix(mark))
    return UserError(f"{stage} failed: {text.strip()}")
