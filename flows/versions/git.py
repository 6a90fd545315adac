"""Run git."""

import os
import subprocess

from tasks.common.errors import UserError


def git(*arguments: str, check: bool = False) -> bytes:
    """What git prints; nothing where it fails.

    Raises:
        UserError: where it fails and is not to.
    """
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}  # nobody may be there to answer
    done = subprocess.run(
        ["git", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if check and done.returncode != 0:
        told = (done.stderr or done.stdout).decode(errors="replace")
        raise UserError(
            f"git {arguments[0]}: {' '.join(told.split()) or f'exit code {done.returncode}'}"
        )
    return done.stdout if done.returncode == 0 else b""
