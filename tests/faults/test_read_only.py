"""Caches that cannot be written: one line, or the run does without them."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.faults.conftest import (
    DOORS,
    Environment,
    Undisturbed,
    check_ends_as_undisturbed,
    copy,
    lines_of,
    raw_of,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("filled", [False, True])
def test_a_private_cache_that_cannot_be_written(
    filled: bool, fresh: Project, undisturbed: Undisturbed, disk: Path, prefect_server: Environment
) -> None:
    if filled:
        copy(undisturbed.finished / ".variegate", disk / "cache")
    environment = {**prefect_server, "VARIEGATE_CACHE": str(disk / "cache" if filled else disk)}
    remount(disk, "ro")
    for door in DOORS:
        check_told(fresh.run(*DOORS[door], check=False, **environment), str(disk))
    remount(disk, "rw")
    fresh.run(*DOORS["dvc"], **environment)
    assert fresh.path("dvc.lock").read_bytes() == undisturbed.lock


@pytest.mark.parametrize("door", DOORS)
def test_a_dvc_cache_that_cannot_be_written(
    door: str, fresh: Project, undisturbed: Undisturbed, disk: Path, prefect_server: Environment
) -> None:
    fresh.run("dvc", "cache", "dir", "--local", str(disk))
    fresh.run("dvc", "add", "-q", "data/raw")
    raw = raw_of(fresh)
    remount(disk, "ro")
    check_told(fresh.run(*DOORS[door], check=False, **prefect_server), str(disk))
    assert raw_of(fresh) == raw
    remount(disk, "rw")
    fresh.run(*DOORS[door], **prefect_server)
    check_ends_as_undisturbed(fresh, undisturbed)


def remount(place: Path, how: str) -> None:
    done = subprocess.run(["mount", "-o", f"remount,{how}", place], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"needs to mount a file system anew: {done.stderr.decode().strip()}")


def check_told(failed: subprocess.CompletedProcess[str], place: str) -> None:
    lines = lines_of(failed)
    assert failed.returncode != 0
    assert not any("Traceback" in line for line in lines), "\n".join(lines)
    told = [
        line
        for line in lines
        if "error: " in line.lower() and "Read-only file system" in line and place in line
    ]
    assert told, "\n".join(lines)
