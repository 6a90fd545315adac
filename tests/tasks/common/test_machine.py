"""One process at a time on a GPU, whatever becomes of the one before."""

import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tasks.common.machine import gpu_lock

HOLD = """
import sys
from tasks.common.machine import gpu_lock
with gpu_lock(sys.argv[1]):
    print("has it", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def gpu() -> str:
    return f"GPU-{uuid4()}"


@pytest.fixture
def holders(gpu: str) -> Iterator[list[subprocess.Popen]]:
    """Two processes that ask for the GPU; a holder ends when its standard input does."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, gpu],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for _ in range(2)
    ]
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("end", [lambda holder: holder.stdin.close(), lambda holder: holder.kill()])
def test_the_second_waits_for_the_first_however_it_ends(
    gpu: str, holders: list[subprocess.Popen], end
) -> None:
    lines = {process: process.stdout.readline() for process in holders}
    assert sorted(lines.values()) == ["has it\n", f"waiting: another process trains on {gpu}\n"]
    first, second = sorted(holders, key=lines.__getitem__)
    end(first)
    assert second.stdout.readline() == "has it\n"


def test_another_gpu_and_no_gpu_wait_for_nothing(gpu: str) -> None:
    with gpu_lock(gpu), gpu_lock(f"{gpu}-other"), gpu_lock(None), gpu_lock(None):
        pass
