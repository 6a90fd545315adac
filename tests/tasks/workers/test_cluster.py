"""Work on a Dask cluster of real processes: the same results as alone, or one line."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tasks.common.code_hash import code_hash
from tasks.common.errors import UserError
from tasks.workers import cluster, dask_client
from tasks.workers.ordered import map_ordered
from tests.conftest import ROOT, Project
from tests.dask_clusters import DaskCluster, dask_processes
from tests.tasks.validate.test_isolation import decode_part
from tests.tasks.workers import calls

pytestmark = pytest.mark.services  # some start a cluster of their own

STAGES = ("ingest", "validate", "augment")
MADE = ("data/ingested", "data/validated", "data/augmented", ".variegate")
# waits at each batch
SQUARES = [n * n for n in range(40)]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VARIEGATE_CACHE", raising=False)


def use(dask: DaskCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_CLUSTER", dask.address)


def one_line_of(function: Callable[[int], object]) -> str:
    with pytest.raises(UserError) as caught:
        list(map_ordered(function, range(5), on_cluster=True))
    return str(caught.value)


# --- results --------------------------------------------------------------------------------------


def test_a_cluster_makes_what_one_machine_makes(digits: Project, dask_cluster: DaskCluster) -> None:
    digits.stages_here(*STAGES)
    alone = digits.data_hashes()
    digits.run("rm", "-r", *MADE)
    digits.stages_here(*STAGES, **dask_cluster.environment)
    assert digits.data_hashes() == alone
    assert not list(digits.path(".variegate").glob(".cluster.*"))  # the tokens


def test_results_come_in_order_from_the_clients_folder(
    dask_cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(dask_cluster, monkeypatch)
    results = map_ordered(calls.square_where, range(40), on_cluster=True)
    assert next(results) == (0, str(tmp_path))
    assert cluster.note() == "2 workers of the cluster"
    assert list(results) == [(n * n, str(tmp_path)) for n in range(1, 40)]
    assert cluster.note() == ""


def test_workers_use_the_cache_that_the_client_names(
    dask_cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(dask_cluster, monkeypatch)
    for folder in (str(tmp_path / "elsewhere"), "beside"):
        monkeypatch.setenv("VARIEGATE_CACHE", folder)
        found = map_ordered(os.getenv, ["VARIEGATE_CACHE"] * 4, on_cluster=True)
        assert list(found) == [folder] * 4


def test_errors_of_a_worker_are_one_line(
    dask_cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(dask_cluster, monkeypatch)
    assert one_line_of(calls.refuse) == "0: no"
    prefix, _, rest = one_line_of(calls.fill_the_disk).partition(" worker tcp://127.0.0.1:")
    assert prefix == "VARIEGATE_CLUSTER:"
    assert rest.partition(": ")[2] == "data/augmented/x.tar: No space left on device"


def test_calls_in_one_process_never_overlap(
    own_cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(own_cluster, monkeypatch)
    for nanny in own_cluster.nannies:
        nanny.terminate()
        nanny.wait()
    own_cluster.add_worker("--nthreads", "4")
    own_cluster.wait_for_workers(1)
    spans = sorted(map_ordered(calls.span, range(8), on_cluster=True))
    ends = [end for _, end in spans[:-1]]
    assert all(end <= start for end, (start, _) in zip(ends, spans[1:], strict=True))
    assert capsys.readouterr().out == (
        "VARIEGATE_CLUSTER: some workers have more than one thread, of which one is used: "
        "start them with --nthreads 1 --nworkers N\n"
    )


# --- workers that die, come and go ----------------------------------------------------------------


def test_dead_workers_are_replaced_and_nothing_is_lost(
    own_cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(own_cluster, monkeypatch)
    assert list(map_ordered(calls.square_or_die_once, range(40), on_cluster=True)) == SQUARES
    assert Path("died").exists()
    assert one_line_of(calls.die) == "a worker died 4 times at one task; is there enough memory?"
    assert list(map_ordered(calls.square, range(40), on_cluster=True)) == SQUARES


def test_files_that_end_their_decoder_are_set_aside_and_the_cluster_lives(
    own_cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(own_cluster, monkeypatch)
    parts = [["a", "crash 1", "b", "crash 2"], ["long 1"], ["hang", "c"], ["d"]]
    items = [(tmp_path, names) for names in parts]
    found = list(map_ordered(decode_part, items, most_deaths=100, on_cluster=True))
    twice = "the decoder ended its process twice"
    assert found == [
        ["a decoded", twice, "b decoded", twice],
        ["long 1 decoded"],
        ["decoding took over 3 s", "c decoded"],
        ["d decoded"],
    ]
    assert list(map_ordered(calls.square, range(40), on_cluster=True)) == SQUARES


def test_a_cluster_without_workers_waits_for_them_and_says_so(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cluster, "SECONDS_WITHOUT_WORKERS", 1.0)
    with dask_processes(tmp_path_factory.mktemp("dask"), workers=0) as dask:
        use(dask, monkeypatch)
        threading.Timer(2.5, dask.add_worker).start()
        assert list(map_ordered(calls.square, range(40), on_cluster=True)) == SQUARES
    assert capsys.readouterr().out == f"waiting: the scheduler at {dask.address} has no workers\n"


# --- schedulers and clients that end --------------------------------------------------------------

BEGIN = """
from tasks.common import errors
from tasks.workers.ordered import map_ordered
from tests.tasks.workers.calls import square_slowly

def main():
    for result in map_ordered(square_slowly, range(10_000), on_cluster=True):
        print(result, flush=True)
        {then}

errors.run(main)
"""


def begin_client(dask: DaskCluster, folder: Path, then: str = "") -> subprocess.Popen[str]:
    """A process that hands out calls of a tenth of a second, once it has the first result."""
    client = subprocess.Popen(
        [sys.executable, "-c", BEGIN.format(then=then)],
        cwd=folder,
        env={**os.environ, **dask.environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "0\n"
    return client


def test_a_scheduler_that_ends_is_one_line_and_another_one_goes_on(
    own_cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = begin_client(own_cluster, tmp_path)
    own_cluster.kill_scheduler()
    place = own_cluster.address
    end = f"the scheduler at {place} is gone; run again: what was finished is kept"
    assert client.communicate(timeout=30)[1] == f"error: VARIEGATE_CLUSTER: {end}\n"
    assert client.returncode == 2
    use(own_cluster, monkeypatch)
    monkeypatch.setattr(dask_client, "SECONDS_TO_CONNECT", 1.0)
    line = f"VARIEGATE_CLUSTER: needs a scheduler at {place}, found none in 1 s"
    assert one_line_of(calls.square).removesuffix(": Connection refused") == line
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    use(own_cluster, monkeypatch)
    own_cluster.start_scheduler(int(place.rpartition(":")[2]))
    own_cluster.add_worker()  # Dask's workers end with their scheduler
    assert list(map_ordered(calls.square, range(40), on_cluster=True)) == SQUARES


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_client_that_is_ended_leaves_a_cluster_that_works(
    number: signal.Signals,
    dask_cluster: DaskCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = begin_client(dask_cluster, tmp_path)
    client.send_signal(number)
    client.communicate(timeout=30)
    use(dask_cluster, monkeypatch)
    assert list(map_ordered(calls.square, range(40), on_cluster=True)) == SQUARES
    assert not list((tmp_path / ".variegate").glob(".cluster.*"))
    assert tasks_of(dask_cluster) == 0


def test_an_error_of_the_client_ends_it_at_once(dask_cluster: DaskCluster, tmp_path: Path) -> None:
    then = "raise errors.UserError('enough')"
    client = begin_client(dask_cluster, tmp_path, then)
    assert client.communicate(timeout=10)[1] == "error: enough\n"
    assert client.returncode == 2 and not list((tmp_path / ".variegate").glob(".cluster.*"))


def tasks_of(dask: DaskCluster) -> int:
    """How many tasks the workers have."""
    from distributed import Client

    with Client(dask.address, set_as_default=False) as client:
        return sum(len(keys) for keys in client.processing().values())


# --- clusters that do not fit ---------------------------------------------------------------------


@contextmanager
def worker_that_imports_from(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaskCluster]:
    """A cluster of one worker, which finds modules and packages at `place` first."""
    with dask_processes(place.parent, workers=0) as dask:
        dask.add_worker(PYTHONPATH=f"{place}:{ROOT}")
        dask.wait_for_workers(1)
        use(dask, monkeypatch)
        yield dask


@contextmanager
def port_that_says(answer: bytes) -> Iterator[str]:
    """The address of a port where something else than a scheduler listens."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as connections:

        def listen() -> None:
            with suppress(OSError):  # at the end
                while True:
                    connections.enter_context(server.accept()[0]).sendall(answer)

        threading.Thread(target=listen, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"", "none in 1 s"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "something else there"),
        (bytes([1, *[0] * 7, 5, *[0] * 7]) + b"short", "something else there"),
    ],
    ids=["silence", "another protocol", "no message"],
)
def test_a_port_of_something_else_is_one_line(
    answer: bytes, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client, "SECONDS_TO_CONNECT", 1.0)
    with port_that_says(answer) as place:
        monkeypatch.setenv("VARIEGATE_CLUSTER", place)
        line = f"VARIEGATE_CLUSTER: needs a scheduler at {place}, found {found}"
        assert one_line_of(calls.square) == line


def test_a_name_that_no_host_can_have_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"tcp://{'a' * 64}:1"
    monkeypatch.setenv("VARIEGATE_CLUSTER", place)
    assert one_line_of(calls.square) == (
        "VARIEGATE_CLUSTER: needs the address of a Dask scheduler, such as tcp://127.0.0.1:8786, "
        f"found {place!r}"
    )


def test_another_version_of_a_library_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("dask")
    metadata = folder / "other/numpy-1.0.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    with worker_that_imports_from(folder / "other", monkeypatch) as dask:
        needs = f"worker {dask.worker_address()} needs numpy {version('numpy')}, found 1.0"
        assert one_line_of(calls.square) == f"VARIEGATE_CLUSTER: {needs}"


def test_other_code_and_code_that_was_changed_are_one_line(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("dask")
    shutil.copytree(ROOT / "tasks", folder / "copy/tasks")
    changed = folder / "copy/tasks/common/errors.py"
    text = changed.read_text()
    changed.write_text(text + "\n# another line\n")
    here, there = (code_hash(place)[:8] for place in (ROOT / "tasks", folder / "copy/tasks"))
    with worker_that_imports_from(folder / "copy", monkeypatch) as dask:
        needs = f"worker {dask.worker_address()} needs the code in tasks/ {here}, found {there}"
        assert one_line_of(calls.square) == f"VARIEGATE_CLUSTER: {needs}"
        changed.write_text(text)  # its modules are those from before
        restart = ", loaded before a change: restart the workers"
        assert one_line_of(calls.square) == f"VARIEGATE_CLUSTER: {needs}{restart}"


def test_a_worker_without_the_code_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("dask")
    (folder / "empty/tasks").mkdir(parents=True)
    # an installation for development would find the modules of `tasks` all the same
    (folder / "empty/tasks/__init__.py").write_text(
        "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'Editable' not in str(f)]\n"
    )
    with worker_that_imports_from(folder / "empty", monkeypatch) as dask:
        need = "needs the project's code, found no module tasks.workers"
        place = f"worker {dask.worker_address()}"
        assert one_line_of(calls.square) == f"VARIEGATE_CLUSTER: {place} {need}"


def test_tls_by_dasks_own_configuration(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("dask")
    own, other = make_certificate(folder / "own"), make_certificate(folder / "other")
    with dask_processes(folder, workers=1, environment=tls(own), protocol="tls") as dask:
        use(dask, monkeypatch)
        assert dask.address.startswith("tls://")
        for name, value in tls(own).items():
            monkeypatch.setenv(name, value)
        with refreshed_dask():
            assert list(map_ordered(calls.square, range(40), on_cluster=True)) == SQUARES
        needs = f"VARIEGATE_CLUSTER: needs a scheduler at {dask.address}, found none in 10 s: "
        for name, value in tls(other).items():
            monkeypatch.setenv(name, value)
        with refreshed_dask():
            assert one_line_of(calls.square) == f"{needs}certificate verify failed"
        for name in tls(own):
            monkeypatch.delenv(name)
        with refreshed_dask():
            assert one_line_of(calls.square) == (
                f"VARIEGATE_CLUSTER: {dask.address} needs certificates for TLS, found none: "
                "Dask's configuration has to name them: distributed.comm.tls"
            )


@contextmanager
def refreshed_dask() -> Iterator[None]:
    """Dask's configuration as the environment is now: Dask reads it at its import."""
    import dask

    dask.config.refresh()
    try:
        yield
    finally:
        dask.config.refresh()


def tls(certificate: Path) -> dict[str, str]:
    """What has Dask use a certificate, which is its own authority, for every role."""
    prefix = "DASK_DISTRIBUTED__COMM__TLS__"
    roles = ("SCHEDULER", "WORKER", "CLIENT")
    files = {f"{prefix}{role}__CERT": str(certificate) for role in roles}
    return {**files, f"{prefix}CA_FILE": str(certificate)}


def make_certificate(path: Path) -> Path:
    """A certificate that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(pem))
    return path
