"""Detect decoders that crash or hang, so that later processes quarantine the file unopened.

crash    The process ends while it decodes. A crash slot (see crash_slots.py) then still holds
         the file's key. Two crashes at one file are the file's fault; one may be chance. An end
         that has nothing to do with the file (SIGTERM, the parent's death, an exception) is no
         crash: it empties the slot.
timeout  A decoder that takes longer than TIMEOUT_SECONDS has its process ended from within, by
         a thread, the clock. It counts ticks, one a second, rather than the time: while the
         process is suspended none are counted, and no file is lost.
profile  Some decoders (JPEG 2000) hold Python's lock, so that the clock cannot tick. Each tick
timer    winds up a timer of the system (SIGPROF), which ends the process if there is no tick
         for as many seconds of processor time. That counts as a crash.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType

from tasks.validate import crash_slots
from tasks.validate.crash_slots import Slot
from tasks.workers import handshake, processes

TIMEOUT_SECONDS = 120.0  # for one file
TICK_SECONDS = 1.0
MOST_CRASHES = 2  # of processes at a file


@dataclass(frozen=True)
class Crashes:
    """How many processes ended at a file, and whether one of them because it took too long."""

    count: int
    timed_out: bool


class isolated:  # noqa: N801  # a context manager that is used as a function
    """While the body runs, a slot of this process holds `key`. It takes microseconds.

    The key is the SHA-256 of the file's bytes, in hex digits.
    """

    __slots__ = ("key", "slot")

    def __init__(self, key: str) -> None:
        self.key = key

    def __enter__(self) -> None:
        self.slot = _this_process.take_slot()
        if self.slot is not None:
            self.slot.note(self.key)
            _this_process.wind_timer(TIMEOUT_SECONDS)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.slot is not None:
            self.slot.empty()
            _this_process.free.append(self.slot)


def read_crashes() -> dict[str, Crashes]:
    """The crashes since the last clear_crashes(), by key."""
    crashes: dict[str, Crashes] = {}
    for record in crash_slots.read_abandoned():
        key = record.key.decode("ascii", "replace")
        earlier = crashes.get(key, Crashes(0, False))
        crashes[key] = Crashes(earlier.count + 1, earlier.timed_out or record.timed_out)
    return crashes


def reason_to_quarantine(key: str, crashes: dict[str, Crashes]) -> str | None:
    """Why the file must not be decoded again, or None."""
    found = crashes.get(key, Crashes(0, False))
    if found.timed_out:
        return f"decoding took over {TIMEOUT_SECONDS:.0f} s"
    return "the decoder ended its process twice" if found.count >= MOST_CRASHES else None


def clear_crashes() -> None:
    """Forget the crashes: the stage that they disturbed has ended well."""
    crash_slots.remove_abandoned()


class _Process:
    """The slots of this process, and its clock and timer, which start with the first slot."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.has_clock = False
        self.free: list[Slot] = []  # those of them that no thread uses
        self.can_isolate = True  # False: the file system has no locks or maps, or this one ends
        self.has_timer = False
        self.lock = threading.Lock()

    def take_slot(self) -> Slot | None:
        """A slot for the calling thread; None where there can be none: all runs without."""
        if not self.can_isolate:
            return None
        with suppress(IndexError):
            return self.free.pop()
        with self.lock:
            try:
                slot = Slot()
            except OSError:
                self.can_isolate = False
                return None
            self.slots.append(slot)
            if not self.has_clock:
                self._start()
            return slot

    def _start(self) -> None:
        """Start the clock; take the signals that nobody else uses."""
        self.has_clock = True
        self.has_timer = signal.getsignal(signal.SIGPROF) is signal.SIG_DFL
        with suppress(ValueError):  # not in the main thread: signals stay as they are
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, _end_without_crash)
        threading.Thread(target=self._run_clock, daemon=True, name="decoding clock").start()

    def wind_timer(self, seconds: float) -> None:
        """End this process after `seconds` of processor time, unless wound again; 0: never."""
        if self.has_timer:
            signal.setitimer(signal.ITIMER_PROF, seconds)

    def _run_clock(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            with suppress(ValueError):  # slots are closed in this moment
                self._tick()

    def _tick(self) -> None:
        busy = [slot for slot in self.slots if not slot.is_empty()]
        for slot in busy:
            slot.ticks += 1
            if slot.ticks * TICK_SECONDS > TIMEOUT_SECONDS:
                self._end_by_timeout(slot)
        self.wind_timer(TIMEOUT_SECONDS if busy else 0)

    def _end_by_timeout(self, slow: Slot) -> None:
        """End this process, which is no crash at the files of its other threads."""
        if slow.is_empty() or slow.seconds() < TIMEOUT_SECONDS:
            return  # the file was done in this moment
        slow.note_timeout()
        for slot in self.slots:
            if slot is not slow:
                slot.empty()
        if multiprocessing.parent_process() is None:  # no worker: the stage itself ends
            took = f"decoding took over {TIMEOUT_SECONDS:.0f} s"
            print(f"{took}: run again, and the file is set aside", file=sys.stderr, flush=True)
        os._exit(1)

    def empty_slots(self) -> None:
        """This process ends for a reason that has nothing to do with its files."""
        self.can_isolate = False
        for slot in self.slots:
            slot.empty()

    def close_slots(self) -> None:
        """No thread uses any of them."""
        slots, self.slots, self.free, self.can_isolate = self.slots, [], [], True
        for slot in slots:
            slot.close()


_this_process = _Process()


def _end_without_crash(number: int, _: FrameType | None) -> None:
    """Handle a signal as if there were no handler, with the slots emptied."""
    _this_process.empty_slots()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _use_other_slots() -> None:
    """The next files are another project's, or the cache that held the slots may be gone."""
    _this_process.close_slots()


def _forget_parents_slots() -> None:
    """A forked process is born with its parent's slots, which stay locked while anyone has them."""
    global _this_process
    _this_process.close_slots()
    _this_process = _Process()


os.register_at_fork(after_in_child=_forget_parents_slots)
processes.at_end.append(lambda: _this_process.empty_slots())
handshake.at_new_client.append(_use_other_slots)
