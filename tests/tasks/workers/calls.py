"""What tests hand out to workers, which import this module and so none of what tests need."""

import os
import signal
import time
from pathlib import Path

from tasks.common.errors import UserError


def square(number: int) -> int:
    return number * number


def square_slowly(number: int) -> int:
    time.sleep(0.1)
    return number * number


def square_where(number: int) -> tuple[int, str]:
    """The square, and the folder where it was computed."""
    return number * number, str(Path.cwd())


def square_or_die_once(number: int) -> int:
    if number == 7 and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuse(number: int) -> int:
    raise UserError(f"{number}: no")


def fill_the_disk(number: int) -> int:
    raise OSError(28, "No space left on device", "data/augmented/x.tar")


def span(number: int) -> tuple[float, float]:
    """When this call began and ended."""
    start = time.monotonic()
    time.sleep(0.05)
    return start, time.monotonic()
