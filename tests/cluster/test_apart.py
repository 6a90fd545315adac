"""Workers that have a clone and no data: the remote fails now and then, their disk is full."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.common.errors import UserError
from tasks.dataset import dvc_remote
from tests.cluster.test_across_hosts import STAGES, made_alone
from tests.conftest import Project
from tests.dask_clusters import dask_processes
from tests.object_store import Store, failing, one_in
from tests.tasks.dataset import raw_remote


@pytest.fixture(autouse=True)
def no_remote_is_known() -> None:
    """Each test has another remote, and this process is the client of all."""
    dvc_remote.find_remote.cache_clear()


@pytest.fixture
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where workers are: a folder without data/raw."""
    return tmp_path_factory.mktemp("clone")


def push(project: Project, clone: Path, remote: Path) -> None:
    """Push data/raw to a folder, and pull its data/raw.dvc into the clone."""
    raw_remote.push(project.root, remote)
    for name in ("data/raw.dvc", ".dvc/config"):
        (clone / name).parent.mkdir(exist_ok=True)
        shutil.copy(project.path(name), clone / name)


def push_to_s3(project: Project, clone: Path, store: Store, remote: Path) -> None:
    """The same, to a bucket."""
    push(project, clone, remote)
    bucket = store.make_bucket("faults")
    for path in (path for path in remote.rglob("*") if path.is_file()):
        store.put(bucket, f"images/{path.relative_to(remote)}", path.read_bytes())
    for folder in (project.root, clone):
        config = folder / ".dvc/config"
        config.write_text(config.read_text().replace(str(remote), f"s3://{bucket}/images"))
    shutil.rmtree(remote)


def test_a_store_that_fails_one_request_in_four_changes_nothing(
    digits: Project, s3_server: Store, clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    alone = made_alone(digits)
    push_to_s3(digits, clone, s3_server, tmp_path_factory.mktemp("remote"))
    with failing(s3_server, one_in(4, seed=1)) as proxy, dask_processes(clone, 0) as cluster:
        for _ in range(2):
            cluster.add_worker(cwd=clone, **proxy.store.environment)
        cluster.wait_for_workers(2)
        environment = {**cluster.environment, **proxy.store.environment}
        digits.stages_here(*STAGES, VARIEGATE_SOURCES="remote", **environment)
        assert digits.data_hashes() == alone
    assert len(proxy.faults) >= 2


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of 8 KiB."""
    disk = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a tmpfs, as root may")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.services
def test_a_full_disk_of_a_worker_is_one_line_and_the_next_run_goes_on(
    digits: Project,
    clone: Path,
    small_disk: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    alone = made_alone(digits)
    push(digits, clone, tmp_path_factory.mktemp("remote"))
    with dask_processes(clone, 0) as cluster:
        cluster.add_worker(cwd=clone, VARIEGATE_CACHE=str(small_disk))
        cluster.wait_for_workers(1)
        environment = {**cluster.environment, "VARIEGATE_SOURCES": "remote"}
        with pytest.raises(UserError) as told:
            digits.stages_here(*STAGES, **environment)
        assert re.fullmatch(
            r"VARIEGATE_CLUSTER: worker tcp://127\.0\.0\.1:\d+: "
            rf"{re.escape(str(small_disk))}\S*: No space left on device",
            str(told.value),
        )
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        digits.stages_here(*STAGES, **environment)
        assert digits.data_hashes() == alone
