"""Processes by torch's launcher: one line where one fails, and none outlives the others."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.common.errors import UserError
from tasks.train.distributed.launch import _end_by, launch
from tests.conftest import Project, copy_of, fill, marked, wait_until

LONG = 100_000  # epochs


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = fill(tmp_path_factory.mktemp("made"))
    project.write_digits()
    project.set_params(train__threads=1, train__devices=2)
    project.stages_here("ingest", "validate", "augment")
    return project


@pytest.fixture
def project(made_once: Project, tmp_path: Path) -> Project:
    project = copy_of(made_once, tmp_path)
    del project.environment["PYTHONPATH"]
    project.environment |= {"VARIEGATE_MARK": tmp_path.name, "VARIEGATE_DEVICE": "cpu"}
    return project


@contextmanager
def training(project: Project) -> Iterator[subprocess.Popen[str]]:
    """A long training, from the end of its first epoch on."""
    project.set_params(train__epochs=LONG)
    command = [sys.executable, "-m", "tasks.train"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=project.root, env=project.environment, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        try:
            while not process.stdout.readline().startswith("epoch 1:"):
                assert process.poll() is None
            yield process
        finally:
            process.kill()


def ranks(project: Project) -> dict[str, int]:
    """The ids of its processes, by rank; of the launcher by ""."""
    found = marked(project.environment["VARIEGATE_MARK"])
    return {psutil.Process(int(each)).environ().get("RANK", ""): int(each) for each in found}


def all_ended(project: Project) -> bool:
    return marked(project.environment["VARIEGATE_MARK"]) == []


@pytest.mark.services
def test_what_all_of_them_find_wrong_is_said_once(project: Project) -> None:
    project.set_params(train__dropout=0.5)
    done = project.stage("train", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: params.yaml train.dropout: small_cnn has no dropout layer; these have: alexnet, "
        "efficientnet, googlenet, inception_v3, maxvit, mnasnet, mobilenet, squeezenet, swin, "
        "vgg, vit\n"
    )


@pytest.mark.services
def test_they_speak_over_loopback_and_one_that_is_killed_ends_all_in_one_line(
    project: Project,
) -> None:
    project.set_params(train__devices=3)
    with training(project) as process:
        found = ranks(project)
        assert set(found) == {"", "0", "1", "2"}
        for each in found.values():
            for connection in psutil.Process(each).net_connections():
                assert connection.laddr.ip == "127.0.0.1"
        os.kill(found["1"], signal.SIGKILL)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told == (
        "error: training on several devices: process 2 of 3 was ended by SIGKILL; is there enough "
        "memory?\n"
    )
    wait_until(lambda: all_ended(project), seconds=10)


@pytest.mark.services
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_none_outlives_the_launcher(project: Project, number: signal.Signals, code: int) -> None:
    with training(project) as process:
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (code, "")
    wait_until(lambda: all_ended(project), seconds=10)


@pytest.mark.services
def test_two_hosts_train_as_two_devices_of_one(project: Project, made_once: Project) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    hosts = {"PET_NNODES": "2", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": port}
    hosts |= {"GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-m", "tasks.train"]
    environment = {**project.environment, **hosts, "PET_NODE_RANK": "1"}
    with subprocess.Popen(command, cwd=project.root, env=environment, stdout=-1) as second:
        first = project.stage("train", **hosts, PET_NODE_RANK="0")
        said, _ = second.communicate(timeout=60)
    assert (second.returncode, said) == (0, b"")
    assert "on 2 devices (cpu)" in first.stdout
    made_once.stage("train", VARIEGATE_DEVICE="cpu")
    for name in ("models/model.safetensors", "models/exposure.csv", "metrics/train.json"):
        assert project.path(name).read_bytes() == made_once.path(name).read_bytes()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PET_NNODES": "1:2"}, "PET_NNODES: needs a whole number from 1, found '1:2'"),
        (
            {"PET_NNODES": "2"},
            "PET_NNODES: 2 hosts need PET_MASTER_ADDR or PET_RDZV_ENDPOINT, found neither",
        ),
        (
            {"PET_NNODES": "2", "PET_MASTER_ADDR": "127.0.0.1"},
            "params.yaml train.devices: needs a multiple of the 2 hosts of PET_NNODES, found 3",
        ),
    ],
)
def test_hosts_that_cannot_meet(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as caught:
        launch("tasks.train", 3)
    assert str(caught.value) == expected


@dataclass
class Failure:
    """As torch tells it: see ProcessFailure."""

    exitcode: int
    message: str = ""
    kind: str | None = None

    @property
    def error_file_data(self) -> dict[str, str]:
        return {} if self.kind is None else {"kind": self.kind}

    def signal_name(self) -> str:
        return signal.Signals(-self.exitcode).name


LOST = Failure(1, "Traceback ...\nRuntimeError: [gloo/pair.cc:534] Connection closed", "lost")
ENDED = Failure(-15)
DEFECT = Failure(1, "Traceback (most recent call last):\nKeyError: 3", "defect")


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([LOST, Failure(1, "a.png: is damaged", "mend"), ENDED], "a.png: is damaged"),
        (
            [ENDED, LOST, Failure(-9)],
            "training on several devices: process 3 of 3 was ended by SIGKILL; is there enough "
            "memory?",
        ),
        (
            [LOST, ENDED, ENDED],
            "training on several devices: another process was lost: RuntimeError: "
            "[gloo/pair.cc:534] Connection closed",
        ),
    ],
)
def test_the_line_is_that_of_the_process_that_failed_first(
    failures: list[Any], expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        _end_by(dict(enumerate(failures)), 3)
    assert str(caught.value) == expected


def test_a_defect_shows_its_traceback_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        _end_by(dict(enumerate([LOST, ENDED, DEFECT])), 3)  # type: ignore[arg-type]
    assert caught.value.code == 1
    assert capsys.readouterr().err == DEFECT.message + "\n"
