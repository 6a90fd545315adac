"""The script of docs/clusters/ssh.md starts a cluster that makes what one machine makes."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

import pytest

from tests.cluster.test_across_hosts import STAGES, made_alone
from tests.conftest import ROOT, Project
from tests.ssh_server import Server

PAGE = ROOT / "docs/clusters/ssh.md"


def test_hosts_reached_by_ssh_make_what_one_machine_makes(
    digits: Project, sshd: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    alone = made_alone(digits)
    with cluster_over(sshd, tmp_path_factory.mktemp("ssh")) as address:
        digits.stages_here(*STAGES, VARIEGATE_CLUSTER=address)
        assert digits.data_hashes() == alone


@contextmanager
def cluster_over(server: Server, folder: Path) -> Iterator[str]:
    """The cluster of the page's script, on this machine alone; gives its address."""
    known = folder / "known_hosts"
    key = (server.key.parent / "host.pub").read_text()
    known.write_text(f"[127.0.0.1]:{server.port} {key}")
    login = {
        "username": getuser(),
        "port": server.port,
        "client_keys": [str(server.key)],
        "known_hosts": str(known),
    }
    values = {
        "HOSTS": ["127.0.0.1"] * 3,
        "LOGIN": login,
        "PYTHON": sys.executable,
        "WORKERS": 1,
        "INTERFACE": "lo",
    }
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for name, value in values.items():
        block, changed = re.subn(rf"(?m)^{name} = .*$", f"{name} = {json.dumps(value)}", block)
        assert changed == 1, name
    (folder / "hosts.py").write_text(block)
    with (folder / "log").open("wb") as log:
        script = subprocess.Popen(
            [sys.executable, folder / "hosts.py"], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert script.stdout is not None
        line = script.stdout.readline()
        assert line.startswith("export VARIEGATE_CLUSTER=tcp://127.0.0.1:"), (
            folder / "log"
        ).read_text()
        yield line.strip().partition("=")[2]
    finally:
        script.send_signal(signal.SIGTERM)
        script.wait(30)
