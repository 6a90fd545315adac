"""Hosts that share the project's folder make what one makes, also where one of them is lost."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import ROOT, Project, wait_until
from tests.dask_clusters import DaskCluster
from tests.hosts import Host, hosts

PHOTOS = ROOT.parent / "shared/data/clothing-dataset-small/train"
STAGES = ("ingest", "validate", "augment")
LOST_AFTER = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}  # the least that Dask takes


@contextmanager
def cluster_of(machines: list[Host], folder: Path, **environment: str) -> Iterator[DaskCluster]:
    """A scheduler on this host and a worker on each of those."""
    cluster = DaskCluster(folder, environment, listen=machines[0].gateway)
    try:
        for machine in machines:
            cluster.add_worker("--name", machine.name, host=machine)
        cluster.wait_for_workers(len(machines))
        yield cluster
    finally:
        cluster.stop()


def made_alone(project: Project) -> dict[str, str]:
    """The hashes of what this process makes; nothing of it stays."""
    project.stages_here(*STAGES)
    hashes = project.data_hashes()
    project.run("rm", "-r", "data/ingested", "data/validated", "data/augmented", ".variegate")
    return hashes


def digits(project: Project) -> None:
    project.write_digits()


def photos(project: Project) -> None:
    """Two photos of each class of clothing, of several sizes."""
    if not PHOTOS.is_dir():
        pytest.skip(f"needs {PHOTOS}")
    for folder in sorted(PHOTOS.iterdir()):
        for path in sorted(folder.iterdir())[:2]:
            copy = project.path(f"data/raw/{folder.name}/{path.name}")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)


@pytest.mark.services
@pytest.mark.parametrize("write", [digits, photos])
def test_two_hosts_make_what_one_makes(
    write: Callable[[Project], None], project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(project)
    alone = made_alone(project)
    with (
        hosts(2) as machines,
        cluster_of(machines, tmp_path_factory.mktemp("dask")) as cluster,
    ):
        project.stages_here(*STAGES, **cluster.environment)
        assert project.data_hashes() == alone


@pytest.mark.services
@pytest.mark.parametrize(
    ("lost_after", "seconds"),
    [
        pytest.param(LOST_AFTER, 15, id="by the shortest timeout"),
        pytest.param({}, 30, id="by the default", marks=pytest.mark.slow),
    ],
)
def test_a_lost_host_costs_time_and_nothing_else(
    lost_after: dict[str, str],
    seconds: float,
    project: Project,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    project.write_digits(per_class=20, classes=10)
    project.set_params(augment__variants_per_image=20)
    alone = made_alone(project)
    with (
        hosts(2) as machines,
        cluster_of(machines, tmp_path_factory.mktemp("dask"), **lost_after) as cluster,
    ):
        settings = {**cluster.environment, **lost_after}
        project.stages_here("ingest", "validate", **settings)
        cable = Thread(target=pull, args=(machines[1], project, seconds))
        cable.start()
        project.stages_here("augment", **settings)
        cable.join()
        assert project.data_hashes() == alone


def pull(host: Host, project: Project, seconds: float) -> None:
    """Pull a host's cable for a while, in the middle of the augment stage."""
    wait_until(project.path("data/augmented").is_dir, seconds=60)
    time.sleep(1)
    host.cut()
    time.sleep(seconds)
    host.mend()
