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
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_EVENTS = 1.0

_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """Neither lines nor bars nor events in this block: it is a small part of what is reported."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def emit(kind: str, **fields: Any) -> None:
    """Append the event `{"kind": kind, **fields}` to the file of events, if there is one.

    Where that fails, the work goes on without.
    """
    path = os.environ.get("VARIEGATE_EVENTS")
    if path and not _silent.get():
        with suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **fields}) + "\n")


def has_listener() -> bool:
    """Whether events are read: pictures that only they carry need not be made otherwise."""
    return bool(os.environ.get("VARIEGATE_EVENTS"))


def say(text: str) -> None:
    """Print one line about the work, without buffering; a bar on the terminal stays below it."""
    if _silent.get():
        return
    tqdm = sys.modules.get("tqdm")
    if tqdm is not None and sys.stderr.isatty() and sys.stdout.isatty():
        tqdm.tqdm.write(text)
    else:
        print(text, flush=True)


def report_counts(**numbers: int | float) -> None:
    """Print what a stage counted, and emit it as an event."""
    say(", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in numbers.items()))
    emit("counts", **numbers)


class Progress:
    """How far a work is: a bar on a terminal, else a line every ten seconds; events for the flow.

    Args:
        total: in units.
        what: is done, for people: `reading`.
        unit: the name of one unit, for people: `file`.
        done: how many units were done before, in an earlier run.
        note: what else there is to say.
    """

    def __init__(
        self, total: int, what: str, unit: str, done: int = 0, note: Callable[[], str] = str
    ) -> None:
        self.total, self.what, self.unit, self.note = total, what, unit, note
        self.first = self.done = done
        self.bar: Any = None
        if sys.stderr.isatty() and not _silent.get():
            from tqdm import tqdm  # takes a tenth of the time of `variegate --help`

            self.bar = tqdm(total=total, initial=done, desc=what, unit=f" {unit}s", leave=False)
        else:
            self.started = self.told = self.emitted = time.monotonic()

    def advance(self, units: int = 1) -> None:
        """That many more units are done."""
        self.done += units
        if self.bar is not None:
            if self.bar.update(units):  # it was drawn anew, a few times a second at most
                self.bar.set_postfix_str(self.note(), refresh=False)
            return
        now = time.monotonic()
        if now - self.emitted >= SECONDS_BETWEEN_EVENTS and self.done < self.total:
            self.emitted = now
            self._emit(now)
        if now - self.told >= SECONDS_BETWEEN_LINES and self.done < self.total:
            self.told = now
            say(f"{self.what}: {self.done:,} of {self.total:,} {self.unit}s, {self._pace(now)}")

    def skip(self, units: int) -> None:
        """That many more units turned out to be done before: the pace is not theirs."""
        self.first += units
        self.done += units
        if self.bar is not None:
            self.bar.initial += units
            self.bar.n += units

    def _pace(self, now: float) -> str:
        rate = max(self.done - self.first, 1) / max(now - self.started, 1e-9)
        per_second = f"{rate:,.0f}" if rate >= 1 else f"{rate:.1g}"
        left = f"{per_second}/s, {(self.total - self.done) / rate:,.0f} s left"
        note = self.note()
        return f"{left}, {note}" if note else left

    def _emit(self, now: float) -> None:
        fields = {"done": self.done, "total": self.total, "pace": self._pace(now)}
        emit("progress", what=self.what, **fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
        elif kind is None and self.emitted > self.started:  # the bar on Prefect's page ends full
            emit("progress", what=self.what, done=self.total, total=self.total, pace="done")


def track(
    items: Iterable[T],
    total: int,
    what: str,
    unit: str,
    units_in: Callable[[T], int] = lambda _: 1,
    note: Callable[[], str] = str,
) -> Iterator[T]:
    """Yield from `items` and show the progress, see Progress.

    Args:
        items: what is worked through.
        total: in units.
        what: is done with them, for people: `reading`.
        unit: the name of one unit, for people: `file`.
        units_in: how many units an item is.
        note: what else there is to say.
    """
    with Progress(total, what, unit, note=note) as progress:
        for item in items:
            yield item
            progress.advance(units_in(item))


def _short(value: int | float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
