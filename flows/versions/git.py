"""Run git commands."""

import os
import subprocess

from flows.service.environment import NO_PROXY, USERS_OWN, proxies
from tasks.common.errors import UserError


def git(*arguments: str, check: bool = False) -> bytes:
    """What a git command prints on standard output; empty where it fails.

    Args:
        check: raise instead where it fails.

    Raises:
        UserError: where git is not installed; with git's message, where the command fails and
            `check` is set.
    """
    # git can use proxies and exceptions that Prefect cannot: see service.server.ask_no_proxy()
    names = [*proxies(USERS_OWN), *filter(USERS_OWN.get, NO_PROXY)]
    own = {name: USERS_OWN[name] for name in names}
    environment = {**os.environ, **own, "GIT_TERMINAL_PROMPT": "0"}  # nobody may be there to answer
    try:
        done = subprocess.run(
            ["git", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise UserError("git: not found on the PATH; install it") from None
    if check and done.returncode != 0:
        message = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
        raise UserError(f"git {arguments[0]}: {message or f'exit code {done.returncode}'}")
    return done.stdout if done.returncode == 0 else b""
