"""Hosts of tests are apart, their cables can be pulled, and nothing of them stays."""

import subprocess
import sys
import time

import pytest

from tests.hosts import Host, hosts, ip

pytestmark = pytest.mark.services

SERVE = (
    "import socket, sys; s = socket.create_server((sys.argv[1], 7000)); s.accept()[0].send(b'x')"
)
ASK = "import socket, sys; print(socket.create_connection((sys.argv[1], 7000), 2).recv(1))"


def ask(asking: Host, asked: Host) -> str:
    command = asking.command(sys.executable, "-c", ASK, asked.address)
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def test_hosts_reach_each_other_until_a_cable_is_pulled_and_nothing_of_them_stays() -> None:
    with hosts(2) as (first, second):
        serving = subprocess.Popen(second.command(sys.executable, "-c", SERVE, second.address))
        second.cut()
        assert ask(first, second) == ""
        second.mend()
        end = time.monotonic() + 10
        while not (answer := ask(first, second)) and time.monotonic() < end:
            time.sleep(0.1)
        assert answer == "b'x'"
        assert serving.wait(10) == 0
        left = subprocess.Popen(first.command("sleep", "60"))
    assert left.wait(10) != 0
    assert first.name not in ip("netns", "list") + ip("link")
