"""Progress and counts: lines for people, and JSON events for the flow that runs the stage.

An event is one JSON object on a line of the file that VARIEGATE_EVENTS names. The flow names one,
and turns the events into Prefect's progress, logs and artifacts. A stage that is run by hand has no
such file, and writes no events.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


def emit(kind: str, **fields: Any) -> None:
    """Append the event `{"kind": kind, **fields}` to the file of events, if there is one.

    Where that fails, the work goes on without.
    """
    path = os.environ.get("VARIEGATE_EVENTS")
    if path:
        with suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **fields}) + "\n")


def has_listener() -> bool:
    """Whether events are read: pictures that only they carry need not be made otherwise."""
    return bool(os.environ.get("VARIEGATE_EVENTS"))


def say(text: str) -> None:
    """Print one line about the work, without buffering."""
    print(text, flush=True)


def report_counts(**numbers: int | float) -> None:
    """Print what a stage counted, and emit it as an event."""
    say(", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in numbers.items()))
    emit("counts", **numbers)


def track(
    items: Iterable[T], total: int, what: str, unit: str, units_in: Callable[[T], int] = lambda _: 1
) -> Iterator[T]:
    """Yield from `items` and show the progress: a bar on a terminal, else a line every ten seconds.

    Args:
        items: what is worked through.
        total: in units.
        what: is done with them, for people: `reading`.
        unit: the name of one unit, for people: `file`.
        units_in: how many units an item is.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm  # takes a tenth of the time of `variegate --help`

        with tqdm(total=total, desc=what, unit=unit, leave=False) as bar:
            for item in items:
                yield item
                bar.update(units_in(item))
        return
    started = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += units_in(item)
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            last = now
            rate = done / (now - started)
            left = f"{(total - done) / rate:,.0f} s left"
            say(f"{what}: {done:,} of {total:,} {unit}s, {rate:,.0f}/s, {left}")
            emit("progress", what=what, done=done, total=total)


def _short(value: int | float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
