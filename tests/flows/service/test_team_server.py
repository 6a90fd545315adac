"""Prefect for a team: its server on PostgreSQL, and workers on two hosts with their own clones."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.service.processes import process_group
from tests.conftest import Project, answers, commit, wait_until
from tests.hosts import Host, hosts
from tests.postgres import free_port

Environment = dict[str, str]
RUNS = 10
SECONDS_TO_RUN = 600  # for all of them, on a busy machine
DEPLOYMENT = "variegate/on-demand"
ENDED = {"Completed", "Cached", "Failed", "Crashed", "Cancelled"}


@contextmanager
def team_server(database: Environment, address: str, home: Path) -> Iterator[Environment]:
    """A Prefect server on PostgreSQL that asks for a password; gives its clients' environment."""
    account = f"{database['PGUSER']}:{database['PGPASSWORD']}"
    place = f"{database['PGHOST']}:{database['PGPORT']}/{database['PGDATABASE']}"
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{account}@{place}",
        "PREFECT_SERVER_API_AUTH_STRING": "team:secret",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
    }
    url = f"http://{address}:{free_port()}/api"
    clients = {
        "PREFECT_API_URL": url,
        "PREFECT_API_AUTH_STRING": "team:secret",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    }
    port = url.rpartition(":")[2].removesuffix("/api")
    command = ["prefect", "server", "start", "--host", address, "--port", port]
    with (
        (home / "log").open("wb") as log,
        process_group(command, env={**os.environ, **own}, stdout=log, stderr=log),
    ):
        wait_until(lambda: answers(f"{url}/health"), seconds=90)
        yield clients


def shared(project: Project, folder: Path) -> None:
    """Give a project remotes of git and of DVC, and push to them."""
    project.run("git", "init", "-q", "--bare", str(folder / "coats.git"))
    project.run("git", "remote", "add", "origin", str(folder / "coats.git"))
    project.run("dvc", "remote", "add", "-q", "-d", "store", str(folder / "store"))
    commit(project, "A remote")
    project.run("dvc", "push", "-q")
    project.run("git", "push", "-q", "-u", "origin", "HEAD")


def clone(folder: Path, name: str) -> Project:
    """A clone of what shared() pushed, with its data."""
    root = folder / name
    subprocess.run(["git", "clone", "-q", folder / "coats.git", root], check=True)
    project = Project(root)
    project.environment |= {
        "PYTHONPATH": str(root),
        "VARIEGATE_CLONE": str(root),
        "PREFECT_HOME": str(folder / f"{name}-home"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "GIT_AUTHOR_NAME": name,
        "GIT_COMMITTER_NAME": name,
        "EMAIL": "tests@example.com",
    }
    project.run("dvc", "pull", "-q", "data/raw.dvc")
    return project


@contextmanager
def worker(project: Project, host: Host, server: Environment) -> Iterator[None]:
    """A Prefect worker on a host; what it says goes to a file beside its clone."""
    command = ["prefect", "worker", "start", "--pool", "variegate", "--limit", "1"]
    environment = {**project.environment, **server}
    with (
        project.root.with_suffix(".log").open("wb") as log,
        process_group(host.command(*command), 30, env=environment, cwd="/", stdout=log, stderr=log),
    ):
        yield


class Api:
    """What tests ask a Prefect server: a process of Prefect's for each question takes seconds."""

    def __init__(self, server: Environment) -> None:
        name, password = server["PREFECT_API_AUTH_STRING"].split(":")
        self.client = httpx.Client(
            base_url=server["PREFECT_API_URL"], auth=(name, password), timeout=30
        )

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self.client.request(method, path, json=body or None)
        answer.raise_for_status()
        return answer.json()

    def start(self, deployment: str, **parameters: Any) -> str:
        """Let a deployment run; returns the run's id."""
        known = self.ask("GET", f"/deployments/name/{deployment}")
        both = {**known["parameters"], **parameters}
        path = f"/deployments/{known['id']}/create_flow_run"
        # given explicitly, it saves the process in which Prefect prepares a workspace
        command = f"{sys.executable} -m prefect.engine"
        body = {"parameters": both, "job_variables": {"command": command}}
        return str(self.ask("POST", path, **body)["id"])

    def wait_for(self, run: str) -> Any:
        """What the server says of a run once it has ended; asked seldom, for that is work too."""
        end = time.monotonic() + SECONDS_TO_RUN
        while (found := self.ask("GET", f"/flow_runs/{run}"))["state_name"] not in ENDED:
            assert time.monotonic() < end, f"waited in vain for {found}"
            time.sleep(1)
        return found

    def times(self, run: str) -> list[str]:
        """When the tasks of a run started and ended, sorted; all in one time zone."""
        chosen = {"id": {"any_": [run]}}
        tasks = self.ask("POST", "/task_runs/filter", flow_runs=chosen)
        return sorted([task["start_time"] for task in tasks] + [task["end_time"] for task in tasks])


def test_ten_runs_on_two_hosts_go_one_at_a_time_and_none_is_lost_or_done_twice(
    checkout: Project, postgres_server: Environment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("team")
    shared(checkout, folder)
    clones = [clone(folder, name) for name in ("north", "south")]
    own: Any = {"until": "ingest"}
    wanted = [{**own, "bring_from": str(folder / f"uploads/{number}")} for number in range(RUNS)]
    for number, parameters in enumerate(wanted):
        checkout.write_digits(1, 1, folder=parameters["bring_from"], skip=6 + number)
    with ExitStack() as stack:
        machines = stack.enter_context(hosts(2))
        gateway = machines[0].gateway
        server = stack.enter_context(team_server(postgres_server, gateway, folder))
        north = clones[0]
        north.run("prefect", "work-pool", "create", "variegate", "--type", "process", **server)
        north.run("prefect", "--no-prompt", "deploy", "--all", **server)
        for project, host in zip(clones, machines, strict=True):
            stack.enter_context(worker(project, host, server))
        api = Api(server)
        runs = [api.start(DEPLOYMENT, **parameters) for parameters in wanted]
        found = [api.wait_for(run) for run in runs]
        times = sorted(api.times(run) for run in runs)
        by_hand = north.variegate("run", "--pull", "--until", "ingest", **server)
    assert [run["state_name"] for run in found] == ["Completed"] * RUNS, found
    assert [run["run_count"] for run in found] == [1] * RUNS
    assert all(one[-1] < two[0] for one, two in pairwise(times))
    checkout.run("git", "pull", "-q")
    subjects = checkout.run("git", "log", f"-{RUNS}", "--format=%an").stdout.split()
    assert set(subjects) == {"north", "south"}  # each run's commit is there, once
    names = checkout.run("git", "log", f"-{RUNS + 1}", "--format=%s").stdout.splitlines()
    assert names[-1] == "A remote" and len(names) == RUNS + 1
    checkout.run("dvc", "pull", "-q", "data/raw.dvc")
    assert len(list(checkout.path("data/raw").rglob("*.png"))) == 18 + RUNS
    assert "stages           data/raw cached, ingest cached" in by_hand.stdout
