"""A PostgreSQL server of the tests' own, on loopback, with data that end with it."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DEBIAN = "/usr/lib/postgresql"  # a folder for each version, with the programs in bin
FAST = ["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "unix_socket_directories="]


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """Start a server; gives the variables that tell its clients where it is, as libpq has them.

    Skips the test where there is none.
    """
    programs = sorted(map(str, Path(DEBIAN).glob("*/bin")))
    path = os.pathsep.join([*reversed(programs), os.environ["PATH"]])
    server = shutil.which("postgres", path=path)
    if server is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        data, password = Path(folder, "data"), secrets.token_hex(16)
        Path(folder, "password").write_text(password)
        user = _user(folder)
        create = [str(Path(server).with_name("initdb")), str(data), "--username=prefect"]
        create += ["--auth=scram-sha-256", f"--pwfile={folder}/password", "--no-sync"]
        create += ["--encoding=UTF8", "--no-locale"]
        subprocess.run(create, check=True, capture_output=True, **user)
        Path(folder, "password").unlink()
        port = free_port()
        command = [server, "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", *FAST]
        with Path(folder, "log").open("wb") as log:
            running = subprocess.Popen(command, stdout=log, stderr=log, **user)
        try:
            yield {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(port),
                "PGUSER": "prefect",
                "PGPASSWORD": password,
                "PGDATABASE": "postgres",
                "PATH": path,
            }
        finally:
            running.send_signal(signal.SIGINT)  # "fast": without waiting for clients
            running.wait(30)


def _user(folder: str) -> dict[str, Any]:
    """Options of subprocess: whom PostgreSQL runs as, which must not be root; owner of `folder`."""
    if os.geteuid() != 0:
        return {"cwd": folder}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    for path in (folder, *Path(folder).iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid)
    return {"cwd": folder, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
