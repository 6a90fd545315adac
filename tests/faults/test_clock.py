"""Times decide nothing: files from the future give the same results.

Edits that keep size and time are noticed too.
"""

import os
import time
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.faults.conftest import Undisturbed, check_ends_as_undisturbed, copy

pytestmark = pytest.mark.slow

HOUR = 3600.0
FIRST = "data/raw/0/0000.png"


def test_files_from_the_future_give_the_same_results(
    fresh: Project, undisturbed: Undisturbed
) -> None:
    set_ahead(fresh.path("data/raw"), HOUR)
    fresh.run("dvc", "repro")
    check_ends_as_undisturbed(fresh, undisturbed)
    for place in ("data", ".variegate", ".dvc/cache", "models", "tasks"):
        set_ahead(fresh.path(place), HOUR)
    fresh.run("dvc", "repro")
    said = fresh.run("dvc", "repro", "--force", "augment").stdout
    assert "made 0, reused 48" in said
    fresh.run("dvc", "repro")
    check_ends_as_undisturbed(fresh, undisturbed)


def set_ahead(folder: Path, seconds: float) -> None:
    """Give every file below `folder` a time in the future, as a clock that was moved back."""
    ahead = time.time() + seconds
    for path in folder.rglob("*"):
        os.utime(path, (ahead, ahead))


def test_another_file_of_the_same_size_and_time_is_found(
    done: Project, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    done.run("dvc", "repro")  # DVC takes note of this copy's inodes
    path = done.path(FIRST)
    beside = path.with_name("beside")
    beside.write_bytes(changed(path))
    keep_time(path, beside)
    data = beside.read_bytes()
    beside.replace(path)
    done.run("dvc", "repro", "augment")
    cold = copy(undisturbed.fresh, tmp_path / "cold")
    cold.path(FIRST).unlink()
    cold.path(FIRST).write_bytes(data)
    cold.run("dvc", "repro", "augment")
    for stage in ("ingested", "validated", "augmented"):
        manifest = f"data/{stage}/manifest.parquet"
        assert done.path(manifest).read_bytes() == cold.path(manifest).read_bytes()


def test_an_edit_in_place_that_keeps_size_and_time_is_found_by_verify_alone(done: Project) -> None:
    done.run("dvc", "repro")
    path = done.path(FIRST)
    data, times = changed(path), path.stat()
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "Running stage" not in done.run("dvc", "repro").stdout
    verified = done.variegate("verify", check=False)
    assert verified.returncode == 1 and f"{FIRST} has other bytes" in verified.stdout
    done.set_params(train__epochs=1)
    failed = done.run("dvc", "repro", check=False)
    line = f"error: {FIRST}: bytes differ from the manifest's; `variegate verify` tells which"
    assert failed.returncode != 0 and line in failed.stderr.splitlines()


def changed(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    return bytes(data)


def keep_time(path: Path, other: Path) -> None:
    times = path.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
