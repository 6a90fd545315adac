"""Bring stages up to date without Prefect, for commands that need to know the present images."""

import subprocess
import sys
import tempfile

from flows.preconditions import check_params, require_raw
from tasks.common.errors import CheckFailedError, UserError


def refresh_stages(stage: str, printed: list[str] | None = None) -> None:
    """Run `stage` and those it depends on, where they are out of date, by `dvc repro`.

    Args:
        stage: the last stage to run.
        printed: takes the lines that the stages print.

    Raises:
        CheckFailedError: where the stage did its work, and a check failed that is asked to.
        UserError: where it fails otherwise, with the stage's own line.
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
    _reproduce(stage, [] if printed is None else printed)


def _reproduce(stage: str, printed: list[str]) -> None:
    """`dvc repro`, with the stages' lines on standard error, as progress: see refresh_stages()."""
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", stage]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, errors="replace"
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(line, end="", file=sys.stderr, flush=True)
                printed.append(line.rstrip("\n"))
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            stderr.seek(0)
            raise _error_of_stage(stage, stderr.read())


def _error_of_stage(stage: str, stderr: str) -> UserError:
    """The error that the stage printed in its last line, out of all that DVC prints around it."""
    from flows.versions.dvc_graph import message_of

    for line in reversed(stderr.splitlines()):
        for prefix, kind in (("failed: ", CheckFailedError), ("error: ", UserError)):
            if line.startswith(prefix):
                return kind(line.removeprefix(prefix))
    return UserError(f"{stage} failed: {message_of(stderr)}")
