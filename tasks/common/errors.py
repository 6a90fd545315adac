"""Errors that the user can mend: one line on stderr and exit code 2; 1 where a check failed."""

import os
import sys
from collections.abc import Callable

from tasks.common import events


class UserError(Exception):
    """Something the user can mend. Its text is one line: the place, what is needed, what was found."""


class CheckFailedError(UserError):
    """What a check was asked to fail for was found. The work is done, its result is there, and the exit code is 1."""


def one_line(error: BaseException) -> str | None:
    """The line to show for `error`, or None where it is a defect of ours and deserves its traceback."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno is not None:
        return str(error.strerror)
    return None


def run(main: Callable[[], None]) -> None:
    """Run `main`; end with one line and exit_code() where the user can mend what stopped it.

    VARIEGATE_DEBUG=1 shows the traceback instead.
    """
    try:
        main()
    except Exception as error:
        line = one_line(error)
        if line is None or os.environ.get("VARIEGATE_DEBUG") == "1":
            raise
        events.emit("error", text=line)
        print(told(error, line), file=sys.stderr)
        sys.exit(exit_code(error))


def told(error: BaseException, line: str) -> str:
    """The line as it is shown, with what it is in front."""
    return f"{'failed' if isinstance(error, CheckFailedError) else 'error'}: {line}"


def exit_code(error: BaseException) -> int:
    """1 for a check that failed, 2 for what the user can mend."""
    return 1 if isinstance(error, CheckFailedError) else 2
