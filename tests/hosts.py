"""Hosts on this machine: Linux network namespaces, joined by a bridge that this process reaches.

    with hosts(2) as (first, second):
        subprocess.run(first.command("curl", f"http://{first.gateway}:4200"))
        second.cut()  # pull its cable

They share the disk and the processor, and have addresses of their own.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

import pytest

NETWORK = "198.18"  # for tests of networks, in no real one: RFC 2544
SECONDS_TO_END = 10.0


class Host(NamedTuple):
    """A host: its name, its address, the address of this process, and its end of the cable here."""

    name: str
    address: str
    gateway: str
    cable: str

    def command(self, *command: str) -> list[str]:
        """The command as it is run on this host; its process is the command's own."""
        return ["ip", "netns", "exec", self.name, *command]

    def cut(self) -> None:
        """Pull the cable: packets are lost, connections stay open and hear nothing."""
        ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        """Plug the cable in again."""
        ip("link", "set", self.cable, "up")

    def processes(self) -> list[int]:
        """The ids of the processes that run on this host."""
        return [int(pid) for pid in ip("netns", "pids", self.name).split()]

    def kill(self) -> None:
        """End the host as a power cut does: no process of it says good-bye."""
        self.cut()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """Make hosts; with the block their processes, their network and their names end.

    Skips the test where this machine cannot.
    """
    reason = why_not()
    if reason:
        pytest.skip(reason)
    network = f"{NETWORK}.{_free_network()}"
    gateway, label = f"{network}.1", f"v{os.getpid() % 100_000}-{random.randrange(1000)}"
    with ExitStack() as stack:
        ip("link", "add", label, "type", "bridge")
        stack.callback(ip, "link", "delete", label)
        ip("address", "add", f"{gateway}/24", "dev", label)
        ip("link", "set", label, "up")
        yield [
            stack.enter_context(_host(f"{label}-{number}", label, gateway, f"{network}.{number}"))
            for number in range(2, count + 2)
        ]


@contextmanager
def _host(name: str, bridge: str, gateway: str, address: str) -> Iterator[Host]:
    host = Host(name, address, gateway, cable=name)
    ip("netns", "add", name)
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", name, "master", bridge, "up")
        ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            ip("-n", name, "link", "set", link, "up")
        yield host
    finally:
        end_processes(host)
        ip("link", "delete", name)  # the system would delete it some time after the namespace
        ip("netns", "delete", name)


def end_processes(host: Host) -> None:
    """End what runs on a host: SIGTERM, and SIGKILL for what is left after SECONDS_TO_END."""
    end = time.monotonic() + SECONDS_TO_END
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in host.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        while host.processes() and time.monotonic() < end:
            time.sleep(0.05)


def why_not() -> str | None:
    """Why this machine cannot make hosts; None where it can."""
    if shutil.which("ip") is None:
        return "ip is not installed: apt-get install iproute2"
    name = f"probe-{os.getpid()}"
    try:
        ip("netns", "add", name)
    except RuntimeError as error:
        return f"network namespaces cannot be made here: {error}"
    try:
        ip("link", "add", name[-15:], "type", "veth", "peer", "name", "eth0", "netns", name)
    except RuntimeError as error:
        return f"network namespaces cannot be joined here: {error}"
    finally:
        ip("netns", "delete", name)
    return None


def _free_network() -> int:
    """The third number of a network of 256 addresses that this machine has no address in."""
    used = {int(found) for found in re.findall(rf"{NETWORK}\.(\d+)\.", ip("-4", "address"))}
    return random.choice(sorted(set(range(256)) - used))


def ip(*arguments: str) -> str:
    """What `ip` prints.

    Raises:
        RuntimeError: with its message, where it fails.
    """
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
