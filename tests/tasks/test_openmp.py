"""OpenMP in the processes of the project: threads that wait do not spin for long."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.workers.ordered import map_ordered

OWN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.fixture(scope="module")
def libgomp() -> str:
    """The library that torch loads; importing all of torch would take seconds."""
    torch = importlib.util.find_spec("torch")
    assert torch is not None and torch.origin is not None
    package = Path(torch.origin).parent
    found = [*package.glob("lib/libgomp*"), *package.parent.glob("torch.libs/libgomp*")]
    if not found:
        pytest.skip("this torch has another OpenMP")
    return str(found[0])


@pytest.mark.parametrize(
    ("users", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "500"}, "500"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
    ids=str,
)
def test_any_module_of_the_project_sets_short_spins_unless_the_user_says_otherwise(
    users: dict[str, str], expected: str, libgomp: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    script = "import ctypes, sys, tasks.train.params; assert 'torch' not in sys.modules;"
    done = subprocess.run(
        [sys.executable, "-c", f"{script} ctypes.CDLL({libgomp!r})"],
        env={**environment, "OMP_DISPLAY_ENV": "VERBOSE", **users},
        capture_output=True,
        text=True,
        check=True,
    )
    shown = [line.split("'")[1] for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    assert shown == [expected]


def test_workers_have_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    found = list(map_ordered(os.getenv, ["GOMP_SPINCOUNT"] * 4))
    assert found == [os.getenv("GOMP_SPINCOUNT")] * 4
