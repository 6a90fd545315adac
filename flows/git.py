"""What git knows."""

import subprocess

from tasks.errors import UserError


def git(*arguments: str, check: bool = False) -> bytes:
    """What git prints; nothing where it fails.

    Raises:
        UserError: where it fails and is not to.
    """
    done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    if check and done.returncode != 0:
        raise UserError(f"git {arguments[0]}: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout if done.returncode == 0 else b""
