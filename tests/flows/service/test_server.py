"""Our own dashboard: what it lets in, what runs report to it, and runs whose server goes away."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from flows.service.server import without_secrets
from tests.conftest import Project, marked, wait_until

Environment = dict[str, str]
CANCEL_ALL = """
from prefect.client.orchestration import get_client
from prefect.states import Cancelling
with get_client(sync_client=True) as client:
    for run in client.read_flow_runs():
        if run.state_name == "Running":
            client.set_flow_run_state(run.id, Cancelling())
"""
STATES = """
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    print(*[run.state_name for run in client.read_flow_runs()])
"""


@contextmanager
def dashboard(project: Project, home: Path) -> Iterator[tuple[subprocess.Popen, Environment, str]]:
    """`variegate ui`: its process, the environment in which runs find it, the report's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mark = uuid4().hex
    environment = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_PORT": str(port),
        "VARIEGATE_MARK": mark,
    }
    log = home / "ui.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["variegate", "ui"],
            cwd=project.root,
            env={**project.environment, **environment},
            stdout=file,
            stderr=file,
        )
    try:
        wait_until(lambda: "Ctrl-C ends it" in log.read_text() or process.poll() is not None, 90)
        report = re.search(r"report +(http://127\.0\.0\.1:\d+)", log.read_text())
        assert report is not None, log.read_text()
        yield process, environment, report[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    wait_until(lambda: not marked(mark), 30)


@contextmanager
def slow_run(project: Project, environment: Environment) -> Iterator[subprocess.Popen]:
    """A `variegate run` whose first stage takes a minute and a half, once it is in it."""
    path = project.path("dvc.yaml")
    path.write_text(
        path.read_text().replace("python -m tasks.ingest", "sleep 90 && python -m tasks.ingest")
    )
    log = project.root / ".variegate" / "run.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["variegate", "run"],
            cwd=project.root,
            env={**project.environment, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: b"> sleep 90" in log.read_bytes(), 90)
        yield process
        process.wait(80)
    finally:
        process.kill()
        process.wait(10)


def log_of(project: Project) -> str:
    return (project.root / ".variegate" / "run.log").read_text()


@pytest.mark.services
def test_the_dashboard_is_for_this_machine_and_runs_find_it(
    finished: Project, tmp_path_factory: pytest.TempPathFactory
):
    finished.path("reports/audit.html").write_text("an audit")
    finished.path("reports/ablate.html").write_text("an ablation")
    with dashboard(finished, tmp_path_factory.mktemp("home")) as (process, environment, report):
        api = f"http://127.0.0.1:{environment['PREFECT_SERVER_API_PORT']}/api"
        # another site's page in the same browser
        assert httpx.post(f"{api}/flows/", json={"name": "x"}).status_code == 403
        asked = httpx.get(f"{api}/health", headers={"Origin": "http://elsewhere.example"})
        assert "access-control-allow-origin" not in asked.headers
        # the report, and nothing else
        assert httpx.get(f"{report}/").text == finished.path("reports/index.html").read_text()
        said = Path(environment["PREFECT_HOME"], "ui.log").read_text().splitlines()
        studies = [
            f"audit            {report}/audit.html",
            f"ablation         {report}/ablate.html",
        ]
        assert [line for line in said if line.endswith(".html")] == studies  # there was no tuning
        assert httpx.get(f"{report}/audit.html").text == "an audit"
        for ask in (httpx.get, httpx.head):
            assert ask(f"{report}/", headers={"Host": "elsewhere.example"}).status_code == 403
        for path in ("/../params.yaml", "/%2e%2e/params.yaml", "/nothing", "/%00"):
            assert httpx.get(report + path).status_code == 404
        finished.path("reports/index.html").rename(finished.path("reports/away"))
        assert httpx.get(f"{report}/").status_code == 404
        finished.path("reports/away").rename(finished.path("reports/index.html"))

        done = finished.variegate("run", **environment)
        assert "temporary server" not in done.stdout + done.stderr
        ask = {**environment, "PREFECT_API_URL": api}
        assert finished.run("python", "-c", STATES, **ask).stdout.split() == ["Cached"]

        with slow_run(finished, environment) as run:
            finished.run("python", "-c", CANCEL_ALL, **ask)
        kept = "what was finished is kept, and the next run goes on from there"
        assert (run.returncode, log_of(finished).splitlines()[-1]) == (
            2,
            f"error: cancelled; {kept}",
        )
        assert sorted(finished.run("python", "-c", STATES, **ask).stdout.split()) == [
            "Cached",
            "Cancelled",
        ]
    assert process.returncode == 0


@pytest.mark.services
@pytest.mark.slow
def test_a_run_whose_server_is_killed_says_so(
    finished: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    with dashboard(finished, home) as (process, environment, _):
        with slow_run(
            finished, {**environment, "VARIEGATE_MARK": "run of " + environment["VARIEGATE_MARK"]}
        ) as run:
            for each in marked(environment["VARIEGATE_MARK"]):
                os.kill(int(each), signal.SIGKILL)
            assert marked("run of " + environment["VARIEGATE_MARK"])
        server = f"http://127.0.0.1:{environment['PREFECT_SERVER_API_PORT']}/api"
        gone = f"the Prefect server at {server} has not answered for 30 s"
        assert (
            f"error: {gone}; what was finished is kept, and the next run goes on from there\n"
            in log_of(finished)
        )
        assert run.returncode == 2
        wait_until(lambda: not marked("run of " + environment["VARIEGATE_MARK"]), 30)
        path = finished.path("dvc.yaml")
        path.write_text(path.read_text().replace("sleep 90 && ", ""))
        # until the system has buried the stage's process, DVC takes it for alive
        wait_until(
            lambda: "Stage 'ingest' is cached" in finished.run("dvc", "repro", check=False).stdout,
            30,
        )
    assert process.returncode == -signal.SIGKILL


def test_a_server_that_refuses_is_told_without_secrets(
    prefect_server: Environment, digits: Project
) -> None:
    address = prefect_server["PREFECT_API_URL"].replace("http://", "http://ada:secret@")
    done = digits.variegate("run", check=False, PREFECT_API_URL=f"{address}/nowhere")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.endswith("found: HTTP status 404\n") and "secret" not in done.stderr
    assert "secret" not in digits.variegate("doctor", check=False, PREFECT_API_URL=address).stdout


def test_secrets_in_a_url_are_not_told() -> None:
    assert (
        without_secrets("https://me:secret@prefect.example:4200/api")
        == "https://prefect.example:4200/api"
    )
