"""Projects to run stages and flows in, and small real images to put in them."""

import importlib
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import httpx
import hypothesis
import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

from flows import cli  # flows quietens telemetry and puts this environment on the PATH
from tests import object_store
from tests.dask_clusters import DaskCluster, dask_processes
from tests.postgres import free_port, postgres
from tests.ssh_server import Server, ssh_server
from tests.waiting import wait_until as wait_until  # for the tests, too

ROOT = Path(__file__).parent.parent
STARTERS = {"project", "digits", "checkout", "finished", "made"}  # fixtures that run stages
SERVICES = {  # fixtures that start a server
    "prefect_server",
    "postgres_server",
    "sshd",
    "s3_server",
    "dask_cluster",
    "own_cluster",
}

# A busy machine is no failure: a property is checked, whatever time an example takes.
hypothesis.settings.register_profile("variegate", deadline=None)
hypothesis.settings.load_profile("variegate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a service, and what starts anything, by the fixtures that it uses."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & SERVICES:
            item.add_marker("services")
        if fixtures & STARTERS or item.get_closest_marker("services"):
            item.add_marker("starts")


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Be in an empty folder: a test that forgets where it works must not write over data/raw."""
    os.chdir(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(autouse=True)
def no_temporary_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not marked `services` cannot start Prefect's temporary server: it fails instead."""
    if request.node.get_closest_marker("services") is None:
        monkeypatch.setenv("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")


class Project:
    """A project in a temporary folder, and the means to change and run it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {**os.environ, "VARIEGATE_WORKERS": "1"}

    def path(self, name: str) -> Path:
        return self.root / name

    def run(
        self, *command: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; its output goes with the failure if it fails."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )
        if check:
            assert done.returncode == 0, (
                f"{command} exited with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def stage(
        self, name: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", f"tasks.{name}", check=check, **environment)

    @contextmanager
    def here(self, **environment: str) -> Iterator[pytest.MonkeyPatch]:
        """Be in the project with this process: its imports take longer than most of the work."""
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(self.root)
            for variable, value in {**self.environment, **environment}.items():
                patched.setenv(variable, value)
            yield patched

    def stages_here(self, *names: str, **environment: str) -> str:
        """Run stages in this process; what they said."""
        with self.here(**environment), redirect_stdout(io.StringIO()) as said:
            for name in names:
                importlib.import_module(f"tasks.{name}.__main__").main()
        return said.getvalue()

    def variegate_here(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """A command in this process, as variegate() runs it in one of its own."""
        said, told, code = io.StringIO(), io.StringIO(), 0
        with self.here(**environment) as patched, redirect_stdout(said), redirect_stderr(told):
            patched.setattr(sys, "argv", ["variegate", *arguments])
            try:
                cli.main()
            except SystemExit as end:
                code = int(end.code or 0)
        done = subprocess.CompletedProcess(arguments, code, said.getvalue(), told.getvalue())
        assert not check or code == 0, f"{arguments} exited with {code}\n{done.stderr}"
        return done

    def variegate(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run("variegate", *arguments, check=check, **environment)

    def set_params(self, **changes: object) -> None:
        """Change params.yaml: `augment__seed=7` is augment.seed; None removes the key."""
        yaml = YAML()
        blocks = yaml.load(self.path("params.yaml"))
        for name, value in changes.items():
            block, _, key = name.partition("__")
            if value is None:
                blocks[block].pop(key, None)
            else:
                blocks[block][key] = value
        yaml.dump(blocks, self.path("params.yaml"))

    def write_digits(
        self, per_class: int = 6, classes: int = 3, folder: str = "data/raw", skip: int = 0
    ) -> None:
        """The first digits of each class but for `skip`, as class folders of PNG files."""
        digits = load_digits()
        for label in range(classes):
            for number in np.flatnonzero(digits.target == label)[skip : skip + per_class]:
                path = self.path(f"{folder}/{label}/{number:04d}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.rint(digits.images[number] * (255 / 16)).astype(np.uint8)).save(
                    path
                )

    def data_hashes(self) -> dict[str, str]:
        """The SHA-256 of every file under data but raw, and of the data stages' metrics."""
        from tasks.pixels.hashing import sha256

        folders = ("data/ingested", "data/validated", "data/augmented")
        files = [
            path for folder in folders for path in self.path(folder).rglob("*") if path.is_file()
        ]
        files += [self.path(f"metrics/{stage}.json") for stage in ("validate", "augment")]
        return {
            str(path.relative_to(self.root)): sha256(path.read_bytes()) for path in sorted(files)
        }


def fill(root: Path) -> Project:
    """Make `root` a project without git: what stages read, and a short training."""
    for name in ("params.yaml", "dvc.yaml", "requirements"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
    project = Project(root)
    project.set_params(train__epochs=2, validate__stratify="exact")
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project that stages can run in."""
    return fill(tmp_path)


@pytest.fixture
def digits(project: Project) -> Project:
    """A project with 18 digits of 3 classes in data/raw."""
    project.write_digits()
    return project


@pytest.fixture(scope="session")
def checkout_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def checkout(checkout_once: Project, tmp_path: Path) -> Project:
    """A git and DVC checkout of the working tree: 18 digits in data/raw, a short training."""
    return copy_of(checkout_once, tmp_path)


@pytest.fixture(scope="session")
def finished_once(checkout_once: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = copy_of(checkout_once, tmp_path_factory.mktemp("finished"))
    project.run("dvc", "repro")
    return project


@pytest.fixture
def finished(finished_once: Project, tmp_path: Path) -> Project:
    """A checkout in which `dvc repro` has run."""
    return copy_of(finished_once, tmp_path)


def copy_of(checkout: Project, place: Path) -> Project:
    """A copy of a checkout, which runs its own code, in an empty folder."""
    shutil.copytree(checkout.root, place, dirs_exist_ok=True, symlinks=True)
    project = Project(place)
    project.environment["PYTHONPATH"] = str(place)
    return project


def make_checkout(tmp_path: Path) -> Project:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, tracked)):
        source = ROOT / name
        if (
            source.is_file()
            and not name.startswith("tests/")
            and name not in ("dvc.lock", "data/raw.dvc")
        ):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, tmp_path / name)
    project = Project(tmp_path)
    # its own code, not the installed one, so that a test may change a stage
    project.environment["PYTHONPATH"] = str(tmp_path)
    project.set_params(train__epochs=2, validate__stratify="exact")
    project.write_digits()
    project.run("git", "init", "-q")
    project.run("git", "config", "user.email", "tests@example.com")
    project.run("git", "config", "user.name", "tests")
    project.run("dvc", "add", "-q", "data/raw")
    commit(project, "start")
    return project


def commit(project: Project, message: str) -> None:
    project.run("git", "add", "-A")
    project.run("git", "commit", "-q", "-m", message)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server on loopback; gives the environment that points to it."""
    port, home = free_port(), tmp_path_factory.mktemp("prefect")
    environment = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    }
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: answers(f"{environment['PREFECT_API_URL']}/health"), seconds=90)
        yield environment
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture(scope="session")
def dask_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A Dask scheduler and two workers, for tests that leave them alive."""
    with dask_processes(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A Dask scheduler and two workers, for a test that kills some of them."""
    with dask_processes(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[dict[str, str]]:
    """A PostgreSQL server on loopback; gives the environment that tells libpq's clients of it."""
    with postgres() as environment:
        yield environment


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object_store.Store]:
    """An S3 server on loopback, which keeps its objects in memory."""
    if not object_store.PROGRAM.exists():
        pytest.skip(f"needs an S3 server, {object_store.PROGRAM}: `make s3-server`")
    with object_store.running_server(tmp_path_factory.mktemp("s3") / "log") as store:
        yield store


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An SSH server on loopback."""
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def marked(mark: str) -> list[str]:
    """The processes whose environment holds the mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"VARIEGATE_MARK={mark}".encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found
