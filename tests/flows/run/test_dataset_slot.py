"""The slot of a dataset: its name, one run at a time, and what becomes of one that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.run.dataset_slot import remote_place, slot_name
from flows.versions.git import git

PLACE = "example.org/team/coats"


@pytest.mark.parametrize(
    "url",
    [
        "git@example.org:team/coats.git",
        "example.org:team/coats",
        "ssh://git@example.org/team/coats.git",
        "ssh://git@Example.org:2222/team/coats.git/",
        "https://example.org/team/coats",
        "https://ada:secret@example.org/team/coats.git",
    ],
)
def test_all_ways_to_write_a_remote_are_one_place(url: str) -> None:
    assert remote_place(url) == PLACE


@pytest.mark.parametrize(
    "url", ["/srv/git/coats.git", "file:///srv/git/coats", "/srv/x/../git/coats"]
)
def test_a_remote_on_disk_is_its_folder(url: str) -> None:
    assert remote_place(url) == "/srv/git/coats"


def test_the_slot_is_named_after_the_remote_of_the_branch_and_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", "--initial-branch", "main", check=True)
    assert slot_name().endswith(str(tmp_path).replace("/", "-"))
    git("remote", "add", "origin", "git@example.org:team/coats.git", check=True)
    assert slot_name() == "dataset-example.org-team-coats"
    git("remote", "add", "fork", "https://example.org/ada/coats", check=True)
    git("config", "branch.main.remote", "fork", check=True)
    assert slot_name() == "dataset-example.org-ada-coats"
    Path("winter").mkdir()
    monkeypatch.chdir("winter")
    assert slot_name() == "dataset-example.org-ada-coats-winter"


RUNS = """
import sys, time
from prefect import flow
from prefect.runtime import flow_run
from flows.run.dataset_slot import dataset_slot, slot_name
from flows.run.stage import RunCancelledError

@flow(name="variegate")
def skip():
    with dataset_slot("skip"):
        print("held", flush=True)

@flow(name="variegate")
def hold():
    with dataset_slot("wait"):
        try:
            skip()
        except RunCancelledError as error:
            print(str(error) == f"skipped: run {flow_run.name} works on {slot_name()}", flush=True)
        time.sleep(float(sys.argv[1]))

hold()
"""


def test_one_run_of_a_dataset_at_a_time_and_a_killed_one_blocks_none_in_its_checkout(
    prefect_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", check=True)
    environment = {**os.environ, **prefect_server}
    streams: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    killed = subprocess.Popen([sys.executable, "-c", RUNS, "100"], env=environment, **streams)
    assert killed.stdout is not None and "True\n" in iter(killed.stdout.readline, "")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    following = subprocess.run([sys.executable, "-c", RUNS, "0"], env=environment, **streams)
    assert following.returncode == 0 and "True\n" in following.stdout, following.stdout
    assert "waiting:" not in following.stdout  # not for the lease of the one that was killed
    url = f"{prefect_server['PREFECT_API_URL']}/flow_runs/filter"
    messages = [run["state"]["message"] for run in httpx.post(url, json={}).json()]
    assert any(str(message).startswith("its process is gone; run ") for message in messages)
