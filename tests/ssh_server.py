"""OpenSSH's server for tests: on loopback, with keys of its own, for files and commands."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.conftest import Project


@dataclass(frozen=True)
class Server:
    """An SSH server on loopback that takes one key."""

    port: int
    key: Path

    def add_to(self, project: "Project", folder: Path) -> None:
        """Make `folder` on the server the remote; the path of the key goes to .dvc/config.local."""
        url = f"ssh://{getuser()}@127.0.0.1:{self.port}{folder}"
        project.run("dvc", "remote", "add", "-q", "-f", "-d", "store", url)
        self.log_in(project)

    def log_in(self, project: "Project") -> None:
        project.run("dvc", "remote", "modify", "--local", "store", "keyfile", str(self.key))


@contextmanager
def ssh_server(home: Path) -> Iterator[Server]:
    """A server with its files in `home`. Skips the test where this machine has none."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
    folder = Path("/run/sshd")
    if program is None:
        pytest.skip("needs sshd (OpenSSH's server)")
    missing = os.geteuid() == 0 and not folder.is_dir()
    if missing:
        try:
            folder.mkdir(mode=0o755)  # which sshd asks for when root starts it
        except OSError as error:
            pytest.skip(f"sshd needs {folder}: {error.strerror}")
    server, started = start(program, home)
    try:
        wait_until(lambda: listens(server.port) or started.poll() is not None, seconds=30)
        assert started.poll() is None, (home / "log").read_text()
        yield server
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(30)
        if missing:
            folder.rmdir()


def start(program: str, home: Path) -> tuple[Server, subprocess.Popen[bytes]]:
    """Make the keys and settings, and start it on a free port."""
    for name in ("host", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True
        )
    shutil.copy(home / "key.pub", home / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": home / "host",
        "AuthorizedKeysFile": home / "authorized",
        "PidFile": "none",
        "StrictModes": "no",  # the folder of temporary files is everybody's
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "Subsystem": "sftp internal-sftp",
    }
    (home / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    with (home / "log").open("wb") as log:
        command = [program, "-D", "-e", "-f", str(home / "config")]
        return Server(port, home / "key"), subprocess.Popen(command, stdout=log, stderr=log)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
