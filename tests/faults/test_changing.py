"""Raw files that change while a stage reads them: the run ends right, or in one line.

The stage waits after the first file that it read until the test has changed data/raw. The code that
waits is part of the checkout, so the undisturbed run has it too.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Project, wait_until
from tests.faults.conftest import DOORS, Environment, Undisturbed, copy, lines_of

pytestmark = pytest.mark.slow

READERS = {  # the function that reads one file
    "ingest": ("tasks/ingest/read_files.py", "read_file"),
    "validate": ("tasks/dataset/image_bytes.py", "read_row"),
    "augment": ("tasks/dataset/image_bytes.py", "read_row"),
}
WAITING = """

_read_at_once = {name}


def {name}(what):
    import sys, time
    from pathlib import Path
    found = _read_at_once(what)
    if Path("wait").exists() and Path("wait").read_text() in str(sys.argv[0]):
        Path("wait").rename("waiting")
        while Path("waiting").exists():
            time.sleep(0.01)
    return found
"""


def change_size(raw: Path) -> None:
    replace(raw / "1/0042.png", (raw / "1/0042.png").read_bytes() + b"more")


def change_pixels(raw: Path) -> None:
    replace(raw / "1/0042.png", (raw / "2/0054.png").read_bytes())


def change_what_was_read(raw: Path) -> None:
    replace(raw / "0/0000.png", (raw / "0/0000.png").read_bytes() + b"more")


def remove(raw: Path) -> None:
    (raw / "2/0054.png").unlink()


def add(raw: Path) -> None:
    replace(raw / "0/new.png", (raw / "0/0000.png").read_bytes() + b"new")


def replace(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it: DVC's cache shares the one that is there."""
    beside = path.parent.parent.with_name("beside")
    beside.write_bytes(data)
    beside.replace(path)


CHANGES = (change_size, change_pixels, change_what_was_read, remove, add)


@pytest.fixture(scope="module")
def waiting(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout whose stages can be made to wait after the first file that they read."""
    project = copy(undisturbed.fresh, tmp_path_factory.mktemp("waiting") / "project")
    for place, name in set(READERS.values()):
        with project.path(place).open("a") as file:
            file.write(WAITING.format(name=name))
    return project


@pytest.fixture(scope="module")
def expected(waiting: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The dvc.lock of a run that began after each change."""
    locks = {}
    for change in CHANGES:
        project = copy(waiting.root, tmp_path_factory.mktemp(change.__name__) / "project")
        change(project.path("data/raw"))
        project.run("dvc", "repro", "augment")
        locks[change.__name__] = project.path("dvc.lock").read_bytes()
    return locks


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        *(("ingest", change) for change in CHANGES),
        *(("validate", change) for change in (change_pixels, change_what_was_read, remove)),
        *(("augment", change) for change in (change_pixels, remove, add)),
    ],
)
def test_raw_files_that_change_while_they_are_read(
    stage: str,
    change: Callable[[Path], None],
    waiting: Project,
    expected: dict[str, bytes],
    tmp_path: Path,
) -> None:
    project = copy(waiting.root, tmp_path / "project")
    disturbed = run_and_change(project, stage, change)
    if disturbed.returncode != 0:
        check_told(disturbed)
    project.run("dvc", "repro", "augment")
    assert project.path("dvc.lock").read_bytes() == expected[change.__name__]
    assert (
        "every variant is what the ledger says"
        in project.variegate("verify", "--remake", "3").stdout
    )


def test_the_flow_tells_it_too(
    waiting: Project, expected: dict[str, bytes], tmp_path: Path, prefect_server: Environment
) -> None:
    project = copy(waiting.root, tmp_path / "project")
    project.environment |= prefect_server
    disturbed = run_and_change(project, "ingest", add, "flow")
    line = "error: data/raw/0/new.png: changed while it was read; run again"
    assert (disturbed.returncode, disturbed.stderr.splitlines()[-1]) == (2, line)
    project.run(*DOORS["flow"], "--until", "augment")
    assert project.path("dvc.lock").read_bytes() == expected["add"]


def run_and_change(
    project: Project, stage: str, change: Callable[[Path], None], door: str = "dvc"
) -> subprocess.CompletedProcess[str]:
    project.path("wait").write_text(f"tasks/{stage}/")
    command = [*DOORS[door], *(["augment"] if door == "dvc" else ["--until", "augment"])]
    running = subprocess.Popen(
        command,
        cwd=project.root,
        env={**os.environ, **project.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: project.path("waiting").exists() or running.poll() is not None, seconds=90)
    change(project.path("data/raw"))
    project.path("waiting").unlink()
    stdout, stderr = running.communicate(timeout=90)
    return subprocess.CompletedProcess(command, running.returncode, stdout, stderr)


def check_told(disturbed: subprocess.CompletedProcess[str]) -> None:
    lines = lines_of(disturbed)
    assert not any("Traceback" in line for line in lines), "\n".join(lines)
    (line,) = [line for line in lines if line.startswith("error: ")]
    assert "again" in line, line
