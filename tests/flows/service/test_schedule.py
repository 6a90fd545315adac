"""Scheduled runs on a real server: one at a time, none left behind, nothing computed twice."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest

from flows.service.schedule import _one_schedule, cron_schedule, interval_schedule
from tasks.common.errors import UserError
from tests.conftest import Project, commit, marked, wait_until

Environment = dict[str, str]
IN_PYTHON = """
import json, sys
from prefect.client.orchestration import get_client
from prefect.states import Cancelling
from flows.service.schedule import deployment_name
action = sys.argv[1]
with get_client(sync_client=True) as client:
    deployment = client.read_deployment_by_name(f"variegate/{deployment_name()}")
    if action == "start":
        print(client.create_flow_run_from_deployment(deployment.id).id)
    elif action == "cancel":
        client.set_flow_run_state(sys.argv[2], Cancelling())
    elif action == "paused":
        print(json.dumps(deployment.paused))
    else:
        runs = client.read_flow_runs(limit=50)
        ours = [run for run in runs if run.deployment_id == deployment.id]
        print(json.dumps({str(run.id): [run.state_name, run.state.message] for run in ours}))
"""


class Schedule:
    """A `variegate schedule` of a project, and what the server says of its runs."""

    def __init__(
        self, project: Project, environment: Environment, process: subprocess.Popen, log: Path
    ) -> None:
        self.project, self.environment, self.process, self.log = project, environment, process, log

    def ask(self, *arguments: str) -> str:
        command = ("python", "-c", IN_PYTHON, *arguments)
        return self.project.run(*command, **self.environment).stdout.strip()

    def states(self) -> dict[str, Any]:
        """By the run's id its state's name and message; of all but those that are still to come."""
        return {
            run: state
            for run, state in json.loads(self.ask("states")).items()
            if state[0] != "Scheduled"
        }

    def wait_until(self, run: str, *names: str) -> None:
        wait_until(lambda: self.states().get(run, [""])[0] in names, 120)

    def wait_for(self, pattern: str, seconds: float = 120) -> re.Match[str]:
        try:
            wait_until(lambda: re.search(pattern, self.log.read_text()) is not None, seconds)
        except AssertionError:
            raise AssertionError(f"{pattern!r} is not in\n{self.log.read_text()}") from None
        found = re.search(pattern, self.log.read_text())
        assert found is not None
        return found


@contextmanager
def serving(project: Project, server: Environment, *options: str) -> Iterator[Schedule]:
    mark = uuid4().hex
    environment = {**project.environment, **server, "VARIEGATE_MARK": mark}
    log = project.root / ".variegate" / f"{mark}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["variegate", "schedule", *options],
            cwd=project.root,
            env=environment,
            stdout=file,
            stderr=file,
        )
    try:
        yield Schedule(project, server, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGKILL), log.read_text()
    wait_until(lambda: not marked(mark), 30)


def training_sources(project: Project) -> set[str]:
    rows = pd.read_parquet(project.path("data/validated/manifest.parquet"))
    return set(rows.loc[(rows["status"] == "ok") & (rows["split"] == "train"), "source_id"])


@contextmanager
def in_a_slow_run(
    project: Project, server: Environment, *options: str
) -> Iterator[tuple[Schedule, str]]:
    """A schedule whose first run is in ingest, which takes a minute; and that run's id."""
    path = project.path("dvc.yaml")
    path.write_text(
        path.read_text().replace("python -m tasks.ingest", "sleep 60 && python -m tasks.ingest")
    )
    with serving(project, server, "--every", "1h", *options) as schedule:
        schedule.wait_for("> sleep 60")
        (first,) = schedule.states()
        yield schedule, first


def test_new_images_are_brought_versioned_computed_alone_committed_and_pushed(
    finished: Project, prefect_server: Environment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    remote, inbox = tmp_path_factory.mktemp("remote"), tmp_path_factory.mktemp("inbox")
    finished.run("dvc", "remote", "add", "-d", "here", str(remote))
    commit(finished, "first")
    before = training_sources(finished)
    Project(inbox).write_digits(per_class=3, folder=".", skip=20)
    for path in inbox.rglob("*.png"):
        os.utime(path, (1_700_000_000,) * 2)
    options = ("--every", "1h", "--bring-from", str(inbox), "--commit", "--push")
    with serving(finished, prefect_server, *options) as schedule:
        schedule.wait_for(r"Flow run .* Finished in state Completed\(\)")
        schedule.wait_for(f"{inbox}: 9 added")
        made, reused = map(int, schedule.wait_for(r"made (\d+), reused (\d+)").groups())
        new = training_sources(finished) - before
        assert (made, reused) == (4 * len(new), 4 * len(training_sources(finished) - new))
        assert made and reused
        subject = finished.run("git", "log", "-1", "--format=%s").stdout.strip()
        assert subject.startswith("Dataset: 9 added")
        assert finished.run("git", "status", "--porcelain").stdout == ""
        assert "up to date" in finished.run("dvc", "repro").stdout
        assert "in sync" in finished.run("dvc", "status", "--cloud").stdout
        schedule.ask("start")
        schedule.wait_for(r"Finished in state Cached\('nothing has changed', type=COMPLETED\)")
        assert [state for state, _ in schedule.states().values()].count("Cached") == 1
    assert schedule.ask("paused") == "true"
    assert finished.run("git", "log", "-1", "--format=%s").stdout.strip() == subject


@pytest.mark.slow
def test_a_run_that_overlaps_is_left_out_and_a_stopped_one_ends_with_all_its_processes(
    finished: Project, prefect_server: Environment
) -> None:
    with in_a_slow_run(finished, prefect_server) as (schedule, first):
        second = schedule.ask("start")
        schedule.wait_until(second, "Cancelled")
        assert schedule.states() == {
            first: ["Running", None],
            second: ["Cancelled", "Deployment concurrency limit reached."],
        }
        other = finished.variegate("schedule", "--every", "1h", check=False, **prefect_server)
        assert (other.returncode, other.stderr) == (
            2,
            "error: another `variegate schedule` serves this checkout; end it first\n",
        )
    assert schedule.states()[first] == ["Cancelled", "the schedule was stopped"]


@pytest.mark.slow
def test_a_run_cancelled_on_the_dashboard_ends_and_the_schedule_goes_on(
    finished: Project, prefect_server: Environment
) -> None:
    with in_a_slow_run(finished, prefect_server) as (schedule, first):
        schedule.ask("cancel", first)
        schedule.wait_until(first, "Cancelled")
        schedule.wait_until(schedule.ask("start"), "Running")


@pytest.mark.slow
def test_a_run_that_waits_does_the_work_of_those_that_wait_with_it(
    finished: Project, prefect_server: Environment
) -> None:
    with in_a_slow_run(finished, prefect_server, "--overlap", "wait") as (schedule, first):
        waiting = {schedule.ask("start") for _ in range(3)}
        wait_until(
            lambda: (
                [name for name, _ in schedule.states().values()].count("AwaitingConcurrencySlot")
                == 3
            ),
            60,
        )
        schedule.wait_until(first, "Completed")
        for run in waiting:
            schedule.wait_until(run, "Cached", "Cancelled")
        states = [schedule.states()[run] for run in waiting]
        assert sorted(name for name, _ in states) == ["Cached", "Cancelled", "Cancelled"]
        assert all("does its work" in message for name, message in states if name == "Cancelled")


@pytest.mark.slow
def test_a_run_killed_with_its_worker_does_not_block_the_next(
    finished: Project, prefect_server: Environment
) -> None:
    with in_a_slow_run(finished, prefect_server) as (schedule, first):
        mark = schedule.log.stem
        schedule.process.kill()
        for process in marked(mark):
            try:
                os.kill(int(process), signal.SIGKILL)
            except ProcessLookupError:
                continue
    assert schedule.states()[first][0] == "Running"
    with serving(finished, prefect_server, "--every", "1h") as schedule:
        schedule.wait_for("its process is gone")
        assert schedule.states()[first][0] == "Crashed"
        schedule.wait_for("> sleep 60")


@pytest.mark.slow
def test_a_failed_run_says_why_and_the_next_one_runs(
    finished: Project, prefect_server: Environment
) -> None:
    finished.set_params(augment__variants_per_image=-1)
    with serving(finished, prefect_server, "--every", "1h") as schedule:
        schedule.wait_for(r"Flow run .* Finished in state Failed\(")
        ((name, message),) = schedule.states().values()
        assert (name, message) == (
            "Failed",
            "params.yaml augment.variants_per_image: input should be greater than or "
            "equal to 0, found -1",
        )
        finished.set_params(augment__variants_per_image=2)
        schedule.ask("start")
        schedule.wait_for(r"Flow run .* Finished in state Completed\(\)")
        assert not re.search("Traceback|NoneType", schedule.log.read_text())


HOLD = """
import time
from flows.service import schedule
with schedule._one_schedule():
    print("held", flush=True)
    time.sleep(100)
"""


def test_one_schedule_serves_a_checkout_and_a_killed_one_blocks_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with pytest.raises(UserError) as caught, _one_schedule():
        pass
    text = "another `variegate schedule` serves this checkout; end it first"
    assert str(caught.value) == text
    holder.kill()
    holder.wait()
    for _ in range(2):  # the second after one that ended by itself
        with _one_schedule():
            pass


@pytest.mark.parametrize("text", ["6", "h", "0h", "59s", "-1h", "1.5h", "6 h", "400d", ""])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UserError) as caught:
        interval_schedule(text)
    assert (
        str(caught.value)
        == f"--every: needs a number and s, m, h or d, from 1m to 366d, as 6h; found {text!r}"
    )


def test_durations() -> None:
    assert [interval_schedule(text).interval for text in ("60s", "90m", "6h", "1d")] == [
        timedelta(seconds=60),
        timedelta(minutes=90),
        timedelta(hours=6),
        timedelta(days=1),
    ]


@pytest.mark.parametrize("text", ["3", "0 3 * *", "61 * * * *", "daily at noon", ""])
def test_what_is_no_cron_expression(text: str) -> None:
    with pytest.raises(UserError) as caught:
        cron_schedule(text)
    need = "needs five fields: minute, hour, day, month, weekday, as '0 3 * * *'"
    assert str(caught.value) == f"--cron: {need}; found {text!r}"


def test_cron_is_in_local_time() -> None:
    show = "print(cron_schedule('0 3 * * *').timezone)"
    script = f"from flows.service.schedule import cron_schedule; {show}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TZ": "Europe/Madrid"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "Europe/Madrid\n"
