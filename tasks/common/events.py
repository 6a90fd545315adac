"""Progress events: lines for people and, where someone listens, JSON events for programs.

An event is one JSON object on a line of the file that VARIEGATE_EVENTS names. The flow turns events
into Prefect's progress, logs and artifacts; a stage run by hand has no listener and writes none.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


def emit(kind: str, **fields: Any) -> None:
    """Append the event `{"kind": kind, **fields}` for whoever listens. No work ends because that cannot be written."""
    path = os.environ.get("VARIEGATE_EVENTS")
    if path:
        with suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **fields}) + "\n")


def has_listener() -> bool:
    """Whether anybody listens: what is made for listeners alone need not be made."""
    return bool(os.environ.get("VARIEGATE_EVENTS"))


def say(text: str) -> None:
    """Print one line about the work, at once."""
    print(text, flush=True)


def report_counts(**numbers: int | float) -> None:
    """Say and report what a stage counted, as `name: number` pairs."""
    say(", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in numbers.items()))
    emit("counts", **numbers)


def track(
    items: Iterable[T], total: int, what: str, unit: str, units_in: Callable[[T], int] = lambda _: 1
) -> Iterator[T]:
    """Yield from `items` and show how far it is: a bar on a terminal, else a line every ten seconds."""
    if sys.stderr.isatty():
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
            say(
                f"{what}: {done:,} of {total:,} {unit}s, {rate:,.0f}/s, {(total - done) / rate:,.0f} s left"
            )
            emit("progress", what=what, done=done, total=total)


def _short(value: int | float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
