"""Measure `dvc push` and `dvc pull` of variants in segments, compared with the same as loose files.

    python benchmarks/transfer.py PHOTOS [--files N] [--repeat R] [--limit SECONDS]

PHOTOS and the two layouts are those of benchmarks/storage.py. Each goes to three kinds of remotes,
all on this machine, so that no network limits them:

    folder   a folder on the same disk
    ssh      OpenSSH's server
    s3       the tests' S3 server (`make s3-server`), which answers a few hundred requests a second

Each run is a process of its own, imports included: `dvc push` into an empty remote, `push again`
with nothing new, then `dvc pull` into a repository with an empty cache. Layouts and remotes take
turns; medians are printed. A run that takes longer than the limit is stopped and told.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from getpass import getuser
from pathlib import Path

from storage import describe, hardware, make_variants, new_repository, write_loose

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.object_store import Store, running_server
from tests.ssh_server import Server, ssh_server

COMMANDS = ("push", "push again", "pull")
REMOTES = ("folder", "ssh", "s3")


class Bench:
    """Repositories with a layout of the variants, and the servers that they are pushed to."""

    def __init__(self, folder: Path, ssh: Server, s3: Store, limit: float) -> None:
        self.folder, self.ssh, self.s3, self.limit = folder, ssh, s3, limit
        self.remotes = 0

    def measure(self, layout: Path, kind: str) -> dict[str, float]:
        """Seconds of each of COMMANDS, to a new remote of this kind."""
        self.remotes += 1
        repository = self.folder / "repository"
        environment = {**new_repository(repository), **self.s3.environment}
        shutil.copytree(layout, repository / "data")
        subprocess.run(
            ["dvc", "add", "--quiet", "data"], cwd=repository, env=environment, check=True
        )
        url = self.new_remote(kind)
        self.set_remote(repository, environment, url)
        seconds = {
            "push": self.timed(repository, environment, "push"),
            "push again": self.timed(repository, environment, "push"),
        }
        shutil.copy(repository / "data.dvc", self.folder)
        environment = {**new_repository(repository), **self.s3.environment}
        shutil.copy(self.folder / "data.dvc", repository)
        self.set_remote(repository, environment, url)
        seconds["pull"] = self.timed(repository, environment, "pull")
        if seconds["pull"] < self.limit:
            assert describe(repository / "data") == describe(layout)
        return seconds

    def new_remote(self, kind: str) -> str:
        """The address of an empty remote."""
        name = f"remote{self.remotes}"
        if kind == "s3":
            return f"s3://{self.s3.make_bucket(name)}"
        shutil.rmtree(self.folder / f"remote{self.remotes - 1}", ignore_errors=True)
        place = self.folder / name
        place.mkdir()
        return (
            str(place)
            if kind == "folder"
            else (f"ssh://{getuser()}@127.0.0.1:{self.ssh.port}{place}")
        )

    def set_remote(self, repository: Path, environment: dict[str, str], url: str) -> None:
        commands = [["remote", "add", "--quiet", "-d", "there", url]]
        if url.startswith("ssh"):
            key = str(self.ssh.key)
            commands += [["remote", "modify", "--local", "there", "keyfile", key]]
        for command in commands:
            subprocess.run(["dvc", *command], cwd=repository, env=environment, check=True)

    def timed(self, repository: Path, environment: dict[str, str], command: str) -> float:
        """Seconds of one whole DVC command; the limit where it takes longer."""
        started = time.perf_counter()
        try:
            subprocess.run(
                ["dvc", command, "--quiet"],
                cwd=repository,
                env=environment,
                check=True,
                timeout=self.limit,
            )
        except subprocess.TimeoutExpired:
            return self.limit
        return time.perf_counter() - started


def shown(seconds: list[float], limit: float) -> str:
    """The median of some runs, or that one of them was stopped."""
    return f"> {limit:.0f}" if max(seconds) >= limit else f"{statistics.median(seconds):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--files", type=int, default=15_340)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=float, default=600)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        layouts = {
            "segments": make_variants(options.photos, options.files, folder),
            "loose": folder / "loose",
        }
        write_loose(layouts["segments"], layouts["loose"])
        for name, layout in layouts.items():
            print(f"{name:<8} {describe(layout)}", flush=True)
        home = folder / "sshd"
        home.mkdir()
        ssh = stack.enter_context(ssh_server(home))
        s3 = stack.enter_context(running_server(folder / "s3.log"))
        bench = Bench(folder, ssh, s3, options.limit)
        print(f"{hardware()}, {options.repeat} runs in turn")
        runs = defaultdict(list)
        for number in range(options.repeat):
            for kind in REMOTES:
                for name, layout in layouts.items():
                    found = bench.measure(layout, kind)
                    print(f"  run {number} {kind} {name} {found}", flush=True)
                    for command, seconds in found.items():
                        runs[kind, name, command].append(seconds)
    for kind in REMOTES:
        for command in COMMANDS:
            times = (
                f"{name} {shown(runs[kind, name, command], options.limit):>8}" for name in layouts
            )
            print(f"{kind:<6} {command:<10} {'   '.join(times)}")


if __name__ == "__main__":
    main()
