"""A disk too small for what a stage writes: one line; once there is room the run goes on."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.faults.conftest import (
    DOORS,
    STAGES,
    Environment,
    Undisturbed,
    check_ends_as_undisturbed,
    copy,
    free_bytes,
    lines_of,
    raw_of,
)

pytestmark = pytest.mark.slow

PAGE = 4096
# the second is what DVC itself makes of it where it copies a file of metrics
FULL = re.compile(r"(error|ERROR): .*(No space left on device|No possible cache link types)")


@pytest.fixture(scope="module")
def before(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkouts in which the stages before each one have run."""
    place = tmp_path_factory.mktemp("before")
    found, last = {}, undisturbed.fresh
    for stage in STAGES:
        found[stage] = last
        project = copy(last, place / stage)
        project.run("dvc", "repro", stage)
        last = project.root
    return {**found, "end": last}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_in_any_stage_is_one_line(
    stage: str,
    door: str,
    before: dict[str, Path],
    undisturbed: Undisturbed,
    disk: Path,
    prefect_server: Environment,
) -> None:
    following = [*STAGES, "end"][STAGES.index(stage) + 1]
    written = taken_by(before[following], disk) - taken_by(before[stage], disk)
    environment = {**prefect_server, "TMPDIR": str(disk)}
    parts = {"dvc": (0.1, 0.5, 0.9), "flow": (0.5,)}[door]
    for part in parts:
        project = copy(before[stage], disk / "project")
        raw = raw_of(project)
        fill(disk, int(written * part))
        failed = project.run(*DOORS[door], check=False, **environment)
        check_told(failed)
        assert raw_of(project) == raw
        (disk / "filling").unlink()
        if part != parts[-1]:
            subprocess.run(["rm", "-rf", project.root], check=True)
    project.run(*DOORS[door], **environment)
    check_ends_as_undisturbed(project, undisturbed)


@pytest.mark.parametrize("cache", ["VARIEGATE_CACHE", "dvc"])
def test_a_full_cache_is_one_line(
    cache: str, fresh: Project, undisturbed: Undisturbed, disk: Path, prefect_server: Environment
) -> None:
    environment = dict(prefect_server)
    if cache == "dvc":
        fresh.run("dvc", "cache", "dir", "--local", str(disk / "cache"))
        fresh.run("dvc", "add", "-q", "data/raw")
    else:
        environment["VARIEGATE_CACHE"] = str(disk / "cache")
    raw = raw_of(fresh)
    for door in DOORS:
        fill(disk, 2 * PAGE)
        check_told(fresh.run(*DOORS[door], check=False, **environment))
        assert raw_of(fresh) == raw
        (disk / "filling").unlink()
    fresh.run("dvc", "repro", **environment)
    assert fresh.path("dvc.lock").read_bytes() == undisturbed.lock
    assert (
        "every variant is what the ledger says" in fresh.variegate("verify", **environment).stdout
    )


def taken_by(root: Path, disk: Path) -> int:
    """The bytes that a checkout takes of the disk."""
    free = free_bytes(disk)
    project = copy(root, disk / "project")
    taken = free - free_bytes(disk)
    subprocess.run(["rm", "-rf", project.root], check=True)
    return taken


def fill(disk: Path, room: int) -> None:
    """Leave so much room on the disk, in whole pages."""
    with (disk / "filling").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(disk) - room // PAGE * PAGE)


def check_told(failed: subprocess.CompletedProcess[str]) -> None:
    lines = lines_of(failed)
    assert failed.returncode != 0, lines
    assert not any("Traceback" in line for line in lines), "\n".join(lines)
    assert any(FULL.search(line) for line in lines), "\n".join(lines)
