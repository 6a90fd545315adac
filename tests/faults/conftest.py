"""What an undisturbed run leaves, and copies of the checkout that it began with."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Project, make_checkout

Environment = dict[str, str]
DOORS = {"dvc": ["dvc", "repro"], "flow": ["variegate", "run"]}
STAGES = ("ingest", "validate", "augment", "train", "evaluate")
OTHERS = {".git", ".dvc", "watch", "__pycache__", "prefect"}  # folders in which any file may stand


@dataclass(frozen=True)
class Undisturbed:
    """A checkout before its first run and after it; `seconds` that the run took by each door."""

    fresh: Path
    finished: Path
    lock: bytes
    files: frozenset[str]
    seconds: dict[str, float]


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, prefect_server: Environment
) -> Undisturbed:
    fresh = make_checkout(tmp_path_factory.mktemp("fresh"))
    seconds, locks, files = {}, set(), set()
    for door in DOORS:
        project = copy(fresh.root, tmp_path_factory.mktemp(door) / "project")
        started = time.monotonic()
        project.run(*DOORS[door], **prefect_server)
        seconds[door] = time.monotonic() - started
        locks.add(project.path("dvc.lock").read_bytes())
        files.add(files_of(project.root))
    (lock,), (its_files,) = locks, files
    return Undisturbed(fresh.root, project.root, lock, its_files, seconds)


def copy(root: Path, place: Path) -> Project:
    """A copy of a checkout; files that are one stay one, as DVC and the private cache link them."""
    place.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["cp", "-a", f"{root}/.", place], check=True
    )  # keeps links, as shutil.copytree does not
    project = Project(place)
    project.environment["PYTHONPATH"] = str(place)
    return project


def files_of(root: Path) -> frozenset[str]:
    """Every file below `root` that a run may leave, but for those of OTHERS."""
    paths = (path.relative_to(root) for path in root.rglob("*") if not path.is_dir())
    return frozenset(str(path) for path in paths if not OTHERS & set(path.parts))


@pytest.fixture
def fresh(undisturbed: Undisturbed, tmp_path: Path) -> Project:
    """A checkout in which nothing has run."""
    return copy(undisturbed.fresh, tmp_path / "project")


@pytest.fixture
def done(undisturbed: Undisturbed, tmp_path: Path) -> Project:
    """A checkout in which everything has run."""
    return copy(undisturbed.finished, tmp_path / "project")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, in memory."""
    with mounted(tmp_path / "disk", "32m") as place:
        yield place


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True
    )
    if done.returncode != 0:
        pytest.skip(f"needs to mount a small file system: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def lines_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    return (done.stdout + done.stderr).splitlines()


def check_ends_as_undisturbed(project: Project, undisturbed: Undisturbed) -> None:
    """The lock, what verify says, and no file besides those of an undisturbed run."""
    assert project.path("dvc.lock").read_bytes() == undisturbed.lock
    assert "every variant is what the ledger says" in project.variegate("verify").stdout
    assert files_of(project.root) == undisturbed.files


def free_bytes(place: Path) -> int:
    return shutil.disk_usage(place).free


def raw_of(project: Project) -> dict[str, bytes]:
    """Every file of data/raw with its bytes."""
    return {
        str(path): path.read_bytes()
        for path in project.path("data/raw").rglob("*")
        if path.is_file()
    }
