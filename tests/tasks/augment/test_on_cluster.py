"""The stages on a Dask cluster: the same files, and what crosses to the client."""

import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.augment import __main__ as stage
from tasks.augment.segments import Finished
from tasks.common.errors import UserError
from tasks.dataset import dvc_remote
from tests.conftest import Project, commit
from tests.dask_clusters import DaskCluster, dask_processes
from tests.tasks.augment import datasets
from tests.tasks.augment.datasets import Dataset
from tests.tasks.dataset import raw_remote

SECRET = "only-the-worker-knows-it"
STAGES = ("ingest", "validate", "augment")


@pytest.fixture(autouse=True)
def no_remote_is_known() -> None:
    """Each test has another remote, and this process is the client of all."""
    dvc_remote.find_remote.cache_clear()


class Opened:
    """The files that this process opens while it is watched."""

    def __init__(self) -> None:
        self.names: list[str] | None = None
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple) -> None:
        if self.names is not None and event == "open" and isinstance(arguments[0], str | Path):
            self.names.append(str(arguments[0]))

    def watch(self, run: Callable[[], object]) -> list[str]:
        self.names = []
        try:
            run()
            return self.names
        finally:
            self.names = None


@pytest.fixture(scope="module")
def opened() -> Opened:
    return Opened()


def held_images(names: list[str]) -> list[str]:
    """Those of the files that hold images of the dataset."""
    return [name for name in names if name.endswith((".tar", ".png")) or is_part(Path(name))]


def is_part(path: Path) -> bool:
    """Whether a file lies in a folder for images that cross from worker to worker."""
    return path.parent.name.startswith(".images.")


def test_with_a_shared_folder_the_client_moves_rows_and_no_images(
    digits: Project,
    dask_cluster: DaskCluster,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digits.stages_here(*STAGES)
    expected = digits.data_hashes()
    shutil.rmtree(digits.path(".variegate"))
    pieces: list[Finished] = []
    assemble = stage.assemble_segments

    def noted(finished: Iterator[Finished], *others: object) -> Iterator:
        return assemble((pieces.append(piece) or piece for piece in finished), *others)

    monkeypatch.setattr(stage, "assemble_segments", noted)
    cluster = dask_cluster.environment
    assert len(held_images(opened.watch(lambda: digits.stages_here("augment")))) >= 12
    shutil.rmtree(digits.path(".variegate"))
    for made_before in (False, True):
        pieces.clear()
        names = opened.watch(lambda: digits.stages_here("augment", **cluster))
        assert held_images(names) == []
        assert all((piece.stored is not None) == made_before for piece in pieces)
        assert all(isinstance(piece.tar, Path) or made_before for piece in pieces)
        assert digits.data_hashes() == expected
    assert not list(digits.path(".variegate").glob(".*.tmp"))  # parts and tokens


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Two workers in a folder that has no data, with code of its own."""
    folder = tmp_path_factory.mktemp("clones")
    with dask_processes(folder, workers=0) as cluster:
        for _ in range(2):
            cluster.add_worker(cwd=folder, AWS_SECRET_ACCESS_KEY=SECRET)
        cluster.wait_for_workers(2)
        yield cluster


def push(project: Path, clones: DaskCluster) -> None:
    """Push data/raw of a project, and pull its data/raw.dvc where the workers are."""
    clone, remote = clones.folder, clones.folder / "remote"
    raw_remote.push(project, remote)
    (clone / "data").mkdir(exist_ok=True)
    (clone / ".dvc").mkdir(exist_ok=True)
    shutil.copy(project / "data/raw.dvc", clone / "data")
    shutil.copy(project / ".dvc/config", clone / ".dvc")


@pytest.mark.parametrize("apart", [False, True], ids=["shared folder", "sources from the remote"])
@pytest.mark.parametrize("seed", [5, 6])
def test_a_history_leaves_what_it_leaves_on_this_machine(
    seed: int,
    apart: bool,
    tmp_path: Path,
    dask_cluster: DaskCluster,
    clones: DaskCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    local, there = (Dataset(random.Random(seed)) for _ in range(2))
    cluster = clones if apart else dask_cluster
    written = Dataset.validated

    def validated(dataset: Dataset) -> object:
        rows = written(dataset)
        if apart and Path.cwd().name == "there":
            push(Path.cwd(), clones)
        return rows

    monkeypatch.setattr(Dataset, "validated", validated)
    for step in range(4):
        expected = datasets.run(local, tmp_path / "here", monkeypatch)
        with monkeypatch.context() as patched:
            patched.setenv("VARIEGATE_CLUSTER", cluster.address)
            if apart:
                patched.setenv("VARIEGATE_SOURCES", "remote")
            found = datasets.run(there, tmp_path / "there", monkeypatch)
        assert found == expected, step
        shutil.rmtree(".variegate/fetched", ignore_errors=True)  # edits look at all there is
        for dataset, folder in ((local, "here"), (there, "there")):
            monkeypatch.chdir(tmp_path / folder)
            dataset.edit()


def test_workers_in_a_clone_without_data_read_the_remote(
    checkout: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Pushed by DVC itself; what is secret in a worker's configuration stays there."""
    remote = tmp_path_factory.mktemp("remote")
    checkout.run("dvc", "remote", "add", "-q", "-d", "store", str(remote))
    checkout.run("dvc", "push", "-q")
    commit(checkout, "a remote")
    clone = tmp_path_factory.mktemp("clone")
    checkout.run("git", "clone", "-q", ".", str(clone))
    (clone / ".dvc/config.local").write_text(f"['remote \"other\"']\n    password = {SECRET}\n")
    checkout.stages_here(*STAGES)
    expected = checkout.data_hashes()
    shutil.rmtree(checkout.path(".variegate"))
    with dask_processes(tmp_path_factory.mktemp("dask"), workers=0) as cluster:
        cluster.add_worker(cwd=clone, AWS_SECRET_ACCESS_KEY=SECRET)
        cluster.wait_for_workers(1)
        environment = {**cluster.environment, "VARIEGATE_SOURCES": "remote"}
        environment["VARIEGATE_EVENTS"] = str(checkout.path("events"))
        checkout.stages_here("validate", "augment", **environment)
        assert checkout.data_hashes() == expected
        assert len(list(clone.glob(".variegate/fetched/*.raw"))) == 18 + 1  # and the listing
        assert not (clone / "data/raw").exists()
        # an object that is not there
        shutil.rmtree(checkout.path(".variegate"))
        shutil.rmtree(clone / ".variegate/fetched")
        name = raw_remote.md5(checkout.path("data/raw/0/0000.png").read_bytes())
        raw_remote.object_path(name, remote).unlink()
        with pytest.raises(UserError) as failed:
            checkout.stages_here("validate", **environment)
        assert str(failed.value) == (
            "data/raw/0/0000.png: needs its object, found none in the remote 'store': "
            "run `dvc push data/raw.dvc`"
        )
        told = cluster.log()
    kept = [*checkout.root.rglob("*"), *clone.rglob("*")]
    kept = [path for path in kept if path.is_file() and path.name != "config.local"]
    assert len(kept) > 100 and SECRET not in told
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
