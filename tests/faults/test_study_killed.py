"""SIGKILL at any moment of a study costs the trainings that it hit, and changes no result."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

KILLS = 5
# prints a hash of all that the trainings give
STUDY = """
import hashlib
from tasks.studies.trainings.arm import NONE
from tasks.studies.trainings.running import run_trainings
from tasks.studies.trainings.training import Training
from tests.tasks.studies.trainings.drawn import POOLED, TURNED, study

if __name__ == "__main__":
    trainings = [Training(arm, seed, 6) for arm in (NONE, TURNED, POOLED) for seed in (1, 2, 3)]
    found = run_trainings(trainings, study(), "training")
    print(hashlib.sha256(b"".join(part.tobytes() for one in found for part in one[:4])).hexdigest())
"""


def run(folder: Path, workers: int, seconds: float | None = None) -> str:
    """What a study prints last; empty where it was killed after some seconds."""
    folder.mkdir(exist_ok=True)
    (folder / "study.py").write_text(STUDY)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VARIEGATE_WORKERS": str(workers)}
    process = subprocess.Popen(
        [sys.executable, "study.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return ""
    assert process.returncode == 0
    return output.splitlines()[-1]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_study_ends_as_one_that_was_not(workers: int, tmp_path: Path) -> None:
    undisturbed = run(tmp_path / "undisturbed", workers=1)
    folder, seconds = tmp_path / "killed", 2.0
    kills = 0
    while kills < KILLS and not run(folder, workers, seconds):
        kills += 1
        seconds += 1.0
    assert run(folder, workers) == undisturbed
    assert kills > 0
