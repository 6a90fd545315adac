"""Durations, as people write them after `--budget`, and as they read them."""

import math
import re

from tasks.common.errors import UserError

SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(budget: str) -> float:
    """A time as people write it, in seconds.

    Raises:
        UserError: for another form than 90s, 10m or 2h.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget.strip())
    if found is None or float(found[1]) == 0:
        raise UserError(f"--budget: needs a time such as 90s, 10m or 2h, found {budget!r}")
    return float(found[1]) * SECONDS[found[2]]


def in_words(seconds: float) -> str:
    """A time in a whole number of seconds, minutes or hours, rounded up: `90 s`, `9 min`, `3 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds > 2 * length:
            return f"{math.ceil(seconds / length):,} {unit}"
    return f"{math.ceil(seconds)} s"
