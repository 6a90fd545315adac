"""Two runs started together: `variegate run` waits, `dvc repro` may end because it is busy."""

import subprocess

import pytest

from tests.conftest import Project
from tests.faults.conftest import DOORS, Environment, Undisturbed, check_ends_as_undisturbed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "doors", [("dvc", "dvc"), ("flow", "flow"), ("dvc", "flow"), ("flow", "dvc")]
)
def test_two_runs_started_together(
    doors: tuple[str, str], fresh: Project, undisturbed: Undisturbed, prefect_server: Environment
) -> None:
    runs = [
        subprocess.Popen(
            DOORS[door],
            cwd=fresh.root,
            env={**fresh.environment, **prefect_server},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for door in doors
    ]
    said = [run.communicate(timeout=240)[0] for run in runs]
    for run, door, text in zip(runs, doors, said, strict=True):
        assert run.returncode == 0 or (
            door == "dvc" and "is busy, it is being blocked by" in text
        ), text
    assert 0 in [run.returncode for run in runs]
    fresh.run(*DOORS[doors[1]], **prefect_server)
    check_ends_as_undisturbed(fresh, undisturbed)
