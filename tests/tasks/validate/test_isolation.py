import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tasks.pixels.hashing import sha256
from tasks.validate import crash_slots, isolation
from tasks.validate.isolation import Crashes
from tasks.workers.ordered import map_ordered

pytestmark = pytest.mark.starts  # processes, which crash and hang


def key_of(name: str) -> str:
    return sha256(name.encode())


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """The same as conftest's, without its imports: workers import this module."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.02)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    return tmp_path


def begin(act: Callable[[str], None], cache: Path, name: str = "a") -> BaseProcess:
    """A process that acts on a file of that name, with a bound of 1 second."""
    process = multiprocessing.get_context("spawn").Process(target=in_child, args=(act, cache, name))
    process.start()
    return process


def in_child(act: Callable[[str], None], cache: Path, name: str) -> None:
    os.environ["VARIEGATE_CACHE"] = str(cache)
    isolation.TIMEOUT_SECONDS, isolation.TICK_SECONDS = 1.0, 0.05
    act(name)


def end_of(act: Callable[[str], None], cache: Path, name: str = "a") -> int | None:
    """The exit code of such a process."""
    process = begin(act, cache, name)
    wait_until(lambda: process.exitcode is not None, seconds=60)
    return process.exitcode


# --- what a child does ----------------------------------------------------------------------------


def finish(name: str) -> None:
    with isolation.isolated(key_of(name)):
        pass


def crash(name: str) -> None:
    with isolation.isolated(key_of("another")):
        pass
    with isolation.isolated(key_of(name)):
        os.kill(os.getpid(), signal.SIGKILL)


def fail(name: str) -> None:
    with isolation.isolated(key_of(name)):
        raise ValueError(name)


def sleep(name: str) -> None:
    with isolation.isolated(key_of(name)):
        time.sleep(60)


def hang_with_pythons_lock(name: str) -> None:
    """Work that never ends, in C, without letting another thread in."""
    with isolation.isolated(key_of(name)):
        re.match(r"(a+)+$", "a" * 64 + "b")


def be_suspended(name: str) -> None:
    with isolation.isolated(key_of(name)):
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.2)


def crash_with_a_living_child(name: str) -> None:
    with isolation.isolated(key_of(name)):
        ready, started = os.pipe()
        if os.fork() == 0:
            os.write(started, b"x")
            time.sleep(5)
            os._exit(0)
        os.read(ready, 1)  # until the child has let go of what it inherited
        os.kill(os.getpid(), signal.SIGKILL)


def crash_in_a_fork(name: str) -> None:
    finish("the parent's")
    child = os.fork()
    if child == 0:
        crash(name)
    os.waitpid(child, 0)


# --- tests ----------------------------------------------------------------------------------------


def test_a_file_that_crashes_twice_is_set_aside_until_crashes_are_cleared(cache: Path) -> None:
    assert (
        isolation.read_crashes() == {} and isolation.reason_to_quarantine(key_of("a"), {}) is None
    )
    assert end_of(crash, cache) == -signal.SIGKILL
    assert isolation.read_crashes() == {key_of("a"): Crashes(1, timed_out=False)}
    assert (
        isolation.reason_to_quarantine(key_of("a"), isolation.read_crashes()) is None
    )  # once may be chance
    assert end_of(crash, cache) == -signal.SIGKILL
    assert (
        isolation.reason_to_quarantine(key_of("a"), isolation.read_crashes())
        == "the decoder ended its process twice"
    )
    assert isolation.reason_to_quarantine(key_of("b"), isolation.read_crashes()) is None
    isolation.clear_crashes()
    assert isolation.read_crashes() == {} and not list((cache / "watch").iterdir())


@pytest.mark.parametrize("act", [finish, fail])
def test_a_process_that_ends_by_itself_leaves_no_crash(
    act: Callable[[str], None], cache: Path
) -> None:
    end_of(act, cache)
    assert len(list((cache / "watch").iterdir())) == 1 and isolation.read_crashes() == {}


def test_a_decoder_that_hangs_is_ended(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert end_of(sleep, cache) == 1
    assert isolation.read_crashes() == {key_of("a"): Crashes(1, timed_out=True)}
    assert (
        isolation.reason_to_quarantine(key_of("a"), isolation.read_crashes())
        == "decoding took over 120 s"
    )


def test_a_decoder_that_hangs_and_holds_pythons_lock_is_ended_too(cache: Path) -> None:
    assert end_of(hang_with_pythons_lock, cache) == -signal.SIGPROF
    assert isolation.read_crashes() == {key_of("a"): Crashes(1, timed_out=False)}


def test_time_for_which_a_process_is_suspended_does_not_count(cache: Path) -> None:
    process = begin(be_suspended, cache)
    wait_until(lambda: " T " in Path(f"/proc/{process.pid}/stat").read_text(), seconds=60)
    time.sleep(1.5)
    os.kill(process.pid or 0, signal.SIGCONT)
    process.join(60)
    assert process.exitcode == 0 and isolation.read_crashes() == {}


def test_a_file_that_a_living_process_decodes_is_no_crash(cache: Path) -> None:
    process = begin(sleep, cache)
    wait_until(lambda: has_a_key(cache / "watch"), seconds=60)
    assert isolation.read_crashes() == {}
    isolation.clear_crashes()
    process.kill()
    process.join()
    assert isolation.read_crashes() == {key_of("a"): Crashes(1, timed_out=False)}


def has_a_key(folder: Path) -> bool:
    return folder.is_dir() and any(
        slot.read_bytes()[:1] not in (b"", b"\0") for slot in folder.iterdir()
    )


def test_a_process_that_is_asked_to_end_leaves_no_crash(cache: Path) -> None:
    process = begin(sleep, cache)
    wait_until(lambda: has_a_key(cache / "watch"), seconds=60)
    process.terminate()
    process.join()
    assert process.exitcode == -signal.SIGTERM and isolation.read_crashes() == {}


@pytest.mark.parametrize("act", [crash_with_a_living_child, crash_in_a_fork])
def test_forks_do_not_keep_their_parents_slots_locked(
    act: Callable[[str], None], cache: Path
) -> None:
    end_of(act, cache)
    assert isolation.read_crashes() == {key_of("a"): Crashes(1, timed_out=False)}


def test_odd_files_among_the_slots_are_passed_over(cache: Path) -> None:
    (cache / "watch").mkdir()
    (cache / "watch" / "1-0000").write_bytes(b"short")
    (cache / "watch" / "2-0000").mkdir()
    assert list(isolation.read_crashes()) == ["short".ljust(64, "\0")]


def test_decoding_goes_on_where_no_slot_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "watch").write_bytes(b"a file where the folder should be")
    assert end_of(finish, tmp_path) == 0


def test_isolation_costs_microseconds_a_file(cache: Path) -> None:
    script = (
        "import timeit; from tasks.validate import isolation\n"
        "def use():\n    with isolation.isolated('a' * 64): pass\n"
        "use(); print(min(timeit.repeat(use, number=1000, repeat=20)) / 1000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 20e-6


# --- as a stage uses it ---------------------------------------------------------------------------


def decode_part(part: tuple[Path, list[str]]) -> list[str]:
    """What a stage's worker does with some files; the names say what their decoding does."""
    cache, names = part
    os.environ["VARIEGATE_CACHE"] = str(cache)
    isolation.TIMEOUT_SECONDS, isolation.TICK_SECONDS = 3.0, 0.05
    crashes = isolation.read_crashes()
    return [
        isolation.reason_to_quarantine(key_of(name), crashes) or decode(name, cache)
        for name in names
    ]


def decode(name: str, cache: Path) -> str:
    with isolation.isolated(key_of(name)):
        if name.startswith("crash"):
            time.sleep(0.3)  # the other worker is at its own file
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("hang"):
            time.sleep(60)
        if name.startswith("long"):
            time.sleep(1)
        if name.startswith("unlucky") and not (cache / name).exists():
            (cache / name).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return f"{name} decoded"


def test_only_files_that_crash_or_hang_workers_are_set_aside(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    names = [
        ["a", "crash 1", "b", "crash 2"],
        ["long 1", "long 2", "long 3"],
        ["unlucky", "hang", "c"],
        ["d"],
    ]
    found = list(map_ordered(decode_part, [(cache, part) for part in names], most_deaths=20))
    twice = "the decoder ended its process twice"
    assert found == [
        ["a decoded", twice, "b decoded", twice],
        ["long 1 decoded", "long 2 decoded", "long 3 decoded"],
        ["unlucky decoded", "decoding took over 3 s", "c decoded"],
        ["d decoded"],
    ]
    isolation.clear_crashes()
    assert isolation.read_crashes() == {}


def run_a_stage(name: str) -> None:
    os.environ["VARIEGATE_WORKERS"] = "2"
    cache = Path(os.environ["VARIEGATE_CACHE"])
    list(map_ordered(decode_part, [(cache, ["long 1"] * 20), (cache, ["long 2"] * 20)]))


def test_workers_whose_stage_is_killed_leave_no_crash(cache: Path) -> None:
    stage = begin(run_a_stage, cache)
    wait_until(
        lambda: (cache / "watch").is_dir() and len(list((cache / "watch").iterdir())) == 2,
        seconds=60,
    )
    time.sleep(0.3)  # both are at a file
    stage.kill()
    stage.join()
    wait_until(lambda: len(list(crash_slots._abandoned())) == 2, seconds=60)
    assert isolation.read_crashes() == {}
