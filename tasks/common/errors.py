"""Errors that the user can mend: one line on stderr instead of a traceback, and exit code 2."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tasks.common import events

# of a disk that cannot be written to, which is no fault of what is read
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class UserError(Exception):
    """Something that the user can mend.

    Its text is one line, as in `params.yaml train.epochs: needs a whole number from 1, found 0`:
    the file or setting, what is needed, what was found.
    """


class CheckFailedError(UserError):
    """A check found what it looks for: the command did its work, and its exit code is 1."""


def one_line(error: BaseException) -> str | None:
    """The line to show for `error`; None where it is a bug, whose traceback is needed.

    Errors of the operating system (a full disk, missing rights) are the user's to mend.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename2 is None:
        for path in (Path(str(error.filename)), *Path(str(error.filename)).parents):
            if path.is_file():
                return f"{path}: needs to be a folder, found a file; move it away"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno is not None:
        return str(error.strerror)
    return None


def run(main: Callable[[], None]) -> None:
    """Run `main`. Where it raises what the user can mend, print one line and exit.

    VARIEGATE_DEBUG=1 shows the traceback instead.
    """
    try:
        main()
    except Exception as error:
        line = one_line(error)
        if line is None or os.environ.get("VARIEGATE_DEBUG") == "1":
            raise
        events.emit("error", text=line)
        print(with_prefix(error, line), file=sys.stderr)
        sys.exit(exit_code(error))


def with_prefix(error: BaseException, line: str) -> str:
    """The line as it is printed: `error: ...`, or `failed: ...` for a check."""
    return f"{'failed' if isinstance(error, CheckFailedError) else 'error'}: {line}"


def exit_code(error: BaseException) -> int:
    """1 for a check that failed, 2 for what the user can mend."""
    return 1 if isinstance(error, CheckFailedError) else 2
