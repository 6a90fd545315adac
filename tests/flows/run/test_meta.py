"""What `meta:` in dvc.yaml says of a stage's Prefect task."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from ruamel.yaml import YAML

from flows.pipeline import stage_task
from flows.versions.dvc_graph import Step
from tasks.common.errors import UserError
from tests.conftest import Project, marked, wait_until

Environment = dict[str, str]


def set_ingest(project: Project, command: str, **meta: Any) -> None:
    """Put a command before the stage's own, and give it such a `meta:`."""
    yaml = YAML()
    pipeline = yaml.load(project.path("dvc.yaml"))
    stage = pipeline["stages"]["ingest"]
    stage["cmd"] = f"{command}; python -m tasks.ingest" if command else stage["cmd"]
    stage["meta"] = meta
    yaml.dump(pipeline, project.path("dvc.yaml"))


def test_a_stage_that_crashed_is_tried_again_and_has_its_tags(
    finished: Project, prefect_server: Environment
) -> None:
    once = "test -e .variegate/tried || { touch .variegate/tried; exit 1; }"
    set_ingest(
        finished,
        once,
        retries=1,
        retry_delay_seconds=[0.1],
        tags=["cheap"],
        owner="somebody else's key",
    )
    done = finished.variegate("run", "--until", "ingest", **prefect_server)
    assert "stages           data/raw cached, ingest ran" in done.stdout
    latest = {"sort": "EXPECTED_START_TIME_DESC", "limit": 2}
    api = prefect_server["PREFECT_API_URL"]
    runs = {run["name"]: run for run in httpx.post(f"{api}/task_runs/filter", json=latest).json()}
    assert (runs["ingest"]["run_count"], runs["ingest"]["tags"]) == (2, ["cheap"])


@pytest.mark.slow
def test_what_the_user_has_to_mend_is_not_tried_again(
    finished: Project, prefect_server: Environment
) -> None:
    finished.set_params(ingest__layout="tables")  # and there is none
    set_ingest(finished, "echo tried >> .variegate/tries", retries=3, retry_delay_seconds=0.1)
    done = finished.variegate("run", "--until", "ingest", check=False, **prefect_server)
    assert done.returncode == 2
    assert finished.path(".variegate/tries").read_text() == "tried\n"


def test_a_stage_that_takes_too_long_ends_with_its_processes(
    finished: Project, prefect_server: Environment
) -> None:
    set_ingest(finished, "sleep 61", timeout_seconds=3)
    mark = uuid4().hex
    done = finished.variegate("run", check=False, VARIEGATE_MARK=mark, **prefect_server)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "error: StageError: ingest: Task run exceeded timeout of 3.0 second(s)"
    )
    wait_until(lambda: not marked(mark), 30)


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        ({"retries": "many"}, "retries: input should be a valid integer, found 'many'"),
        ({"retries": -1}, "retries: input should be greater than or equal to 0, found -1"),
        ({"timeout_seconds": 0}, "timeout_seconds: input should be greater than 0, found 0"),
        ({"tags": "gpu"}, "tags: input should be a valid list, found 'gpu'"),
    ],
)
def test_a_mistake_in_it_is_one_line(meta: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError) as caught:
        stage_task(Step("ingest", clean=False, meta=meta))
    assert str(caught.value) == f"dvc.yaml ingest.meta.{problem}"
