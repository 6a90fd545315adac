"""Waiting for other DVC commands. DVC waits for its repository lock alone: for a file that another command reads or
writes it gives up at once.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from dvc.exceptions import DvcException
from dvc.lock import LockError

SECONDS_BETWEEN_TRIES = 1.0
Result = TypeVar("Result")


def wait_for_others(action: Callable[[], Result]) -> Result:
    """`action()`, tried again for as long as another DVC command works on the same files."""
    told = False
    while True:
        try:
            return action()
        except DvcException as error:
            if not any(isinstance(each, LockError) for each in (error, error.__cause__)):
                raise
            if not told:
                print("waiting: another DVC command works on the same files", flush=True)
                told = True
            time.sleep(SECONDS_BETWEEN_TRIES)
