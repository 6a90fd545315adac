"""`variegate run` and `dvc repro`: they find each other's work and leave the same dvc.lock."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from flows.nothing_to_do import find_all_cached
from flows.versions import publish
from tasks.common.errors import UserError
from tests.conftest import Project, commit, marked, wait_until

Environment = dict[str, str]


def stages_line(stdout: str) -> str:
    (line,) = [line for line in stdout.splitlines() if line.startswith("stages  ")]
    return line.removeprefix("stages").strip()


def all_stages(outcome: str, *ran: str) -> str:
    names = ("data/raw", "ingest", "validate", "augment", "train", "evaluate")
    return ", ".join(f"{name} {'ran' if name in ran else outcome}" for name in names)


def forget(project: Project) -> None:
    """Remove all that was made and all memory of it."""
    for name in (
        ".dvc/cache",
        ".variegate",
        "data/ingested",
        "data/validated",
        "data/augmented",
        "models",
        "reports",
    ):
        shutil.rmtree(project.path(name), ignore_errors=True)
    project.path("dvc.lock").unlink()


def test_both_front_doors_leave_one_lock_and_find_each_others_work(
    checkout: Project, prefect_server: Environment
) -> None:
    first = checkout.variegate("run", **prefect_server)
    assert stages_line(first.stdout) == all_stages("ran").replace("data/raw ran", "data/raw cached")
    lock = checkout.path("dvc.lock").read_bytes()
    checkout.path("reports/audit.html").write_text("no output of a stage")

    nothing = checkout.run("dvc", "repro").stdout
    assert "Data and pipelines are up to date." in nothing
    order = [
        address.removesuffix(".dvc") for address in re.findall(r"'(.+)' didn't change", nothing)
    ]
    assert order == [name.split()[0] for name in stages_line(first.stdout).split(", ")]
    second = checkout.variegate("run", **prefect_server)
    assert stages_line(second.stdout) == all_stages("cached")
    check_what_prefect_shows(prefect_server)

    forget(checkout)
    checkout.run("dvc", "repro")
    assert checkout.path("dvc.lock").read_bytes() == lock
    third = checkout.variegate("run", **prefect_server)
    assert stages_line(third.stdout) == all_stages("cached")
    assert checkout.path("dvc.lock").read_bytes() == lock


def check_what_prefect_shows(prefect_server: Environment) -> None:
    """The last two flow runs: states, durations, logs and counts of each task."""
    api = prefect_server["PREFECT_API_URL"]
    latest = {"sort": "EXPECTED_START_TIME_DESC", "limit": 2}
    cached, ran = httpx.post(f"{api}/flow_runs/filter", json=latest).json()
    for flow_run, expected in ((ran, "Completed"), (cached, "Cached")):
        chosen = {"task_runs": {"flow_run_id": {"any_": [flow_run["id"]]}}}
        tasks = {
            run["name"]: run for run in httpx.post(f"{api}/task_runs/filter", json=chosen).json()
        }
        assert set(tasks) == {"data/raw", "ingest", "validate", "augment", "train", "evaluate"}
        assert {tasks[name]["state_name"] for name in tasks if name != "data/raw"} == {expected}
        assert tasks["data/raw"]["state_name"] == "Cached"
    query = {"artifacts": {"flow_run_id": {"any_": [ran["id"]]}}}
    artifacts = {
        found["key"]: found for found in httpx.post(f"{api}/artifacts/filter", json=query).json()
    }
    assert {
        "ingest-counts",
        "validate-counts",
        "augment-counts",
        "images-per-class",
        "evaluate-counts",
    } <= set(artifacts)
    assert '"value": 48' in artifacts["augment-counts"]["data"]
    logs = httpx.post(
        f"{api}/logs/filter", json={"logs": {"flow_run_id": {"any_": [ran["id"]]}}}
    ).json()
    assert any("planned 48, written 48" in line["message"] for line in logs)


def test_an_edit_runs_what_it_concerns_and_no_more(
    finished: Project, prefect_server: Environment
) -> None:
    with finished.path("tasks/evaluate/metrics.py").open("a") as file:
        file.write("# an edit\n")
    said = stages_line(finished.variegate("run", **prefect_server).stdout)
    assert said == all_stages("cached", "evaluate")
    pixels = finished.path("requirements/pixels.txt")
    pixels.write_text(pixels.read_text().replace("numpy==", "# another version of numpy\nnumpy=="))
    said = stages_line(finished.variegate("run", **prefect_server).stdout)
    assert said == all_stages("cached", "ingest", "validate", "augment", "train")
    said = finished.variegate("run", "--until", "validate", "--force", **prefect_server).stdout
    assert stages_line(said) == "data/raw ran, ingest ran, validate ran"


SUMMARY = """\
images in        18: 18 usable, 0 duplicates, 0 quarantined
{warnings}variants         48 of 48 planned
  class  sources  variants  training images
  0            4        16               20
  1            4        16               20
  2            4        16               20
training images  60
"""
WARNINGS = [f"class '{label}' has 6 usable images, fewer than 10" for label in "012"]


def test_the_summary_of_a_run_counts_images_and_tells_warnings_that_were_not_printed_yet(
    finished: Project, prefect_server: Environment
) -> None:
    cached = finished.variegate("run", "--until", "augment", **prefect_server)
    warnings = "".join(f"warning          {text}\n" for text in WARNINGS)
    stages = "stages           data/raw cached, ingest cached, validate cached, augment cached\n"
    assert cached.stdout.partition("time ")[0] == f"\n{SUMMARY.format(warnings=warnings)}{stages}"

    ran = finished.variegate("run", "--until", "augment", "--force", **prefect_server)
    assert ran.stdout.partition("stages ")[0] == f"\n{SUMMARY.format(warnings='')}"
    for text in WARNINGS:
        assert ran.stderr.count(f"warning: {text}") == 1

    # DVC's cache of runs has these outputs: nothing runs, so no stage prints its warnings
    finished.set_params(validate__seed=7)
    finished.variegate("run", "--until", "augment", **prefect_server)
    finished.set_params(validate__seed=42)
    restored = finished.variegate("run", "--until", "augment", **prefect_server)
    assert "validate ran" in stages_line(restored.stdout)
    assert (restored.stdout + restored.stderr).count(WARNINGS[0]) == 1


def test_new_raw_images_are_versioned_by_the_run(
    finished: Project, prefect_server: Environment
) -> None:
    before = finished.path("data/raw.dvc").read_text()
    finished.write_digits(per_class=7)
    done = finished.variegate("run", "--until", "augment", **prefect_server)
    assert stages_line(done.stdout) == "data/raw ran, ingest ran, validate ran, augment ran"
    assert finished.path("data/raw.dvc").read_text() != before
    assert "made 12, reused 48" in done.stderr


def test_raw_data_that_nobody_versioned_is_versioned(
    checkout: Project, prefect_server: Environment
) -> None:
    checkout.path("data/raw.dvc").unlink()
    commit(checkout, "no raw.dvc")
    checkout.variegate("run", "--until", "ingest", **prefect_server)
    assert "nfiles: 18" in checkout.path("data/raw.dvc").read_text()


def test_a_killed_flow_leaves_no_process_and_the_next_run_ends_as_if_nothing_had_been(
    checkout: Project, prefect_server: Environment
) -> None:
    checkout.set_params(augment__variants_per_image=1500)
    kill_during_augment(checkout, signal.SIGKILL, prefect_server)
    done = checkout.variegate("run", "--until", "augment", **prefect_server)
    assert "reused 0" not in done.stderr
    lock = checkout.path("dvc.lock").read_bytes()
    forget(checkout)
    checkout.run("dvc", "repro", "augment")
    assert checkout.path("dvc.lock").read_bytes() == lock


def test_a_commit_tells_what_is_known_and_takes_nothing_back(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(finished, "first")
    monkeypatch.chdir(finished.root)
    assert publish.commit() is None
    finished.run("git", "rm", "-q", "--cached", "data/raw.dvc")  # in the index alone
    assert publish.commit() is None
    finished.path("metrics/train.json").unlink()  # as a training that was killed leaves it
    finished.write_digits(per_class=7)
    finished.run("dvc", "repro", "-q", "ingest")
    assert publish.commit() == "Dataset: new version"  # nothing has looked at the images yet
    assert finished.run("git", "show", "--name-only", "--format=").stdout.split() == [
        "data/raw.dvc",
        "dvc.lock",
    ]
    commit(finished, "all else")
    finished.write_digits(per_class=8)
    finished.path("data/raw/0/notes.txt").write_text("no image")
    finished.run("dvc", "repro", "-q", "augment")
    told = publish.commit()  # of all since the last commit that knew
    assert told is not None and told.startswith("Dataset: 7 added (1 set aside)")


def test_what_dvc_refuses_is_one_line(finished: Project, prefect_server: Environment) -> None:
    (finished.path("data/raw") / "0/new.png").write_bytes(b"new")  # there is something to add
    finished.path(".dvc/config.local").write_text("[cache]\n    type = nonsense\n")
    done = finished.variegate("run", check=False, **prefect_server)
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and told.startswith("error: dvc: ")
    assert "Traceback" not in done.stderr


@pytest.mark.services
def test_without_a_server_the_flow_brings_its_own(checkout: Project) -> None:
    home = str(checkout.path("prefect-home"))
    done = checkout.variegate("run", "--until", "ingest", PREFECT_HOME=home, PREFECT_API_URL="")
    assert stages_line(done.stdout) == "data/raw cached, ingest ran"


def test_without_a_server_a_run_that_has_nothing_to_do_starts_none(finished: Project) -> None:
    home = finished.path("prefect-home")
    lock = finished.path("dvc.lock").read_bytes()
    script = (
        "import atexit, sys; atexit.register(lambda: print('prefect' in sys.modules));"
        "from flows.service import lookup; lookup.PORT = 9;"  # where nobody listens
        "import flows.cli; sys.argv[1:] = ['run']; flows.cli.main()"
    )
    server = {"PREFECT_HOME": str(home), "PREFECT_API_URL": ""}
    done = finished.run(sys.executable, "-c", script, **server)
    *told, imported = done.stdout.splitlines()
    assert imported == "False" and not home.exists() and done.stderr == ""
    assert stages_line(done.stdout) == all_stages("cached")
    assert told[0] == "" and told[1].startswith("images in        18: 18 usable")
    assert told[-1].startswith("time             ")
    assert finished.path("dvc.lock").read_bytes() == lock


def test_what_the_flow_would_do_or_refuse_is_not_taken_for_nothing(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.root)
    names = ["data/raw.dvc", "ingest", "validate", "augment", "train", "evaluate"]
    assert find_all_cached() == dict.fromkeys(names, "cached")
    assert find_all_cached("ingest") == dict.fromkeys(names[:2], "cached")
    pipeline = finished.path("dvc.yaml").read_text()
    wrong = pipeline.replace("  train:\n", "  train:\n    meta: {retries: -1}\n")
    finished.path("dvc.yaml").write_text(wrong)
    refused = "dvc.yaml train.meta.retries: input should be greater than or equal to 0, found -1"
    with pytest.raises(UserError, match=re.escape(refused)):
        find_all_cached()
    finished.path("dvc.yaml").write_text(pipeline)
    finished.set_params(train__epochs=3)
    assert find_all_cached() is None and find_all_cached("augment") is not None
    finished.write_digits(per_class=7)
    assert find_all_cached("ingest") is None  # images that `dvc add` has to take
    finished.path("data/raw.dvc").unlink()
    assert find_all_cached("ingest") is None
    shutil.rmtree(finished.path(".git"))
    need = f"{finished.root}: needs a git repository of its own, found none: run git init"
    finished.path("data/raw.dvc").write_text("outs:\n- path: raw\n")
    with pytest.raises(UserError) as caught:
        find_all_cached()
    assert str(caught.value) == need


@pytest.mark.services
@pytest.mark.slow
def test_a_killed_run_takes_its_own_server_with_it(checkout: Project) -> None:
    checkout.set_params(augment__variants_per_image=3000)
    home = str(checkout.path("prefect-home"))
    kill_during_augment(checkout, signal.SIGTERM, {"PREFECT_HOME": home, "PREFECT_API_URL": ""})


def kill_during_augment(project: Project, how: signal.Signals, server: Environment) -> None:
    """Start a run, kill it when some variants are made, and wait until no process of it is left."""
    mark = f"{os.getpid()}-{project.root.name}"
    running = subprocess.Popen(
        ["variegate", "run", "--until", "augment"],
        cwd=project.root,
        env={**project.environment, **server, "VARIEGATE_MARK": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: any(project.path(".variegate").rglob("*.parquet")), seconds=90)
    running.send_signal(how)
    running.wait(30)
    wait_until(lambda: not marked(mark), seconds=30)


@pytest.mark.slow
def test_two_runs_at_once_wait_for_each_other(
    checkout: Project, prefect_server: Environment
) -> None:
    runs = [
        subprocess.Popen(
            ["variegate", "run", "--until", "augment"],
            cwd=checkout.root,
            env={**checkout.environment, **prefect_server},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert "every variant is what the ledger says" in checkout.variegate("verify").stdout


def test_a_stages_own_line_is_what_the_user_sees(
    checkout: Project, prefect_server: Environment
) -> None:
    shutil.rmtree(checkout.path("data/raw/1"))
    shutil.rmtree(checkout.path("data/raw/2"))
    done = checkout.variegate("run", check=False, **prefect_server)
    assert done.returncode == 2
    expected = (
        "error: data/raw: needs usable images of at least 2 classes, found 1, '0' (none "
        "quarantined)"
    )
    assert done.stderr.splitlines()[-1] == expected and not re.search(
        "Traceback|NoneType", done.stderr
    )


def test_a_fresh_clone_after_dvc_pull_makes_what_is_new_alone(
    finished: Project, tmp_path_factory: Any
) -> None:
    remote, place = tmp_path_factory.mktemp("remote"), tmp_path_factory.mktemp("clone")
    finished.run("dvc", "remote", "add", "-d", "-q", "store", str(remote))
    finished.run("dvc", "push", "-q")
    commit(finished, "pushed")
    finished.run("git", "clone", "-q", ".", str(place))
    clone = Project(place)
    clone.environment["PYTHONPATH"] = str(place)
    clone.run("dvc", "pull", "-q")
    assert "up to date" in clone.run("dvc", "repro").stdout
    clone.write_digits(per_class=7, classes=1)
    said = clone.run("dvc", "repro", "augment").stdout
    lock = clone.path("dvc.lock").read_bytes()
    assert "made 4, reused 48" in said
    forget(clone)
    assert (
        "made 52, reused 0"
        in clone.run("dvc", "repro", "augment", VARIEGATE_CACHE=str(place / "other")).stdout
    )
    assert hashes(clone.path("dvc.lock").read_bytes()) == hashes(lock)


def hashes(lock: bytes) -> list[bytes]:
    """The hashes of the data stages in a dvc.lock."""
    stages = YAML(typ="safe").load(lock.decode())["stages"]
    return [
        out["md5"] for name in ("ingest", "validate", "augment") for out in stages[name]["outs"]
    ]


def test_a_bit_flipped_in_place_is_found_and_mended_in_every_copy(
    finished: Project, prefect_server: Environment
) -> None:
    lock = finished.path("dvc.lock").read_bytes()
    (segment,) = finished.path("data/augmented/segments").iterdir()
    (kept,) = finished.path(".variegate/segments").glob("*.tar")
    md5 = hashlib.md5(segment.read_bytes()).hexdigest()
    in_cache = finished.path(f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}")
    damaged = bytearray(segment.read_bytes())
    damaged[700] ^= 1
    for copy in (
        segment,
        kept,
        in_cache,
    ):  # one file with three names, until copies were made of it
        copy.chmod(0o644)
        copy.write_bytes(damaged)
    assert finished.variegate("verify", check=False).returncode == 1
    assert (
        "every variant is what the ledger says"
        in finished.variegate("verify", "--repair", **prefect_server).stdout
    )
    for copy in (segment, kept, in_cache):
        assert hashlib.md5(copy.read_bytes()).hexdigest() == md5
    assert finished.path("dvc.lock").read_bytes() == lock
    finished.path("data/augmented/manifest.parquet").unlink()
    finished.path("data/augmented/manifest.parquet").write_bytes(b"spoilt")
    assert (
        "every variant is what the ledger says"
        in finished.variegate("verify", "--repair", **prefect_server).stdout
    )
    assert finished.path("dvc.lock").read_bytes() == lock


def test_an_experiment_runs_as_it_is_and_compares(finished: Project) -> None:
    commit(finished, "base")
    finished.run("dvc", "exp", "run", "-S", "augment.variants_per_image=2", "--name", "two")
    _workspace, base = json.loads(finished.run("dvc", "exp", "show", "--json").stdout)
    (experiment,) = base["experiments"][0]["revs"]
    assert experiment["name"] == "two"
    assert [compared(base), compared(experiment)] == [(4, 48), (2, 24)]


def compared(revision: dict[str, Any]) -> tuple[int, int]:
    """The parameter and the number of variants that `dvc exp show` shows of a revision."""
    params = revision["data"]["params"]["params.yaml"]["data"]
    metrics = revision["data"]["metrics"]["metrics/augment.json"]["data"]
    return params["augment"]["variants_per_image"], metrics["written"]
