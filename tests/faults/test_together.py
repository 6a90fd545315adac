"""Two runs started together wait for each other: both end well, with one lock."""

import subprocess

import pytest

from tests.conftest import Project
from tests.faults.conftest import DOORS, Environment, Undisturbed, check_ends_as_undisturbed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("doors", [("dvc", "dvc"), ("flow", "flow"), ("dvc", "flow"), ("flow", "dvc")])
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
    assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
    check_ends_as_undisturbed(fresh, undisturbed)
