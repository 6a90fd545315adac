"""The flow: one Prefect task for each stage of dvc.yaml, in DVC's order, each run through DVC.

A stage that DVC finds unchanged ends in the state Cached and starts nothing. What `dvc repro` made is found here and
the other way round: both leave the same dvc.lock.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from dvc.repo import Repo
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled, Completed, Failed, State
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, ValidationError

from flows import preconditions
from flows.run import artifacts
from flows.run.stage import RunCancelledError, StageError, run_child
from flows.service import runs, server
from flows.service.processes import end_with_this_process
from flows.versions import publish
from flows.versions.dvc_graph import Step, in_repo, read_steps, version_raw
from flows.versions.stale_checkout import require_not_stale
from tasks.acquire.copy_folder import CopyResult, copy_new, lines
from tasks.common.errors import UserError, one_line
from tasks.common.params import key_and_problem
from tasks.dataset.paths import RAW


class Options(BaseModel):
    """What a stage's `meta:` in dvc.yaml may say of its Prefect task; other keys there are the user's own.

    A list of delays is for the first retry, the second, and so on: the last is repeated. Retries are for stages that
    crashed, not for what the user has to mend.
    """

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)
    retries: Annotated[int, Field(ge=0)] = 0
    retry_delay_seconds: NonNegativeFloat | list[NonNegativeFloat] = 0
    timeout_seconds: PositiveFloat | None = None
    tags: list[str] = []


class EndedError(Exception):
    """The run ends in this state."""

    def __init__(self, state: State) -> None:
        super().__init__(state.message)
        self.state = state


def bring_up_to_date(**parameters: Any) -> dict[str, str]:
    """Run the flow with parameters of pipeline().

    Returns:
        For each stage `cached` or `ran`.

    Raises:
        UserError: what a stage told the user in one line, a run that was cancelled, a server that stopped answering.
        StageError: any other failure of a stage.
    """
    try:
        state = pipeline(**parameters, return_state=True)
    except runs.SERVER_ERRORS as error:
        why = f"the Prefect server stopped answering ({type(error).__name__})"
        raise UserError(
            f"{why}; what was finished is kept, and the next run goes on from there"
        ) from error
    if state.is_failed():
        failure: Any = state.result(raise_on_failure=False)
        raise failure
    if state.is_cancelled():
        raise UserError(state.message)
    return dict(state.result())


@flow(name="variegate")
def pipeline(
    until: str | None = None,
    force: bool = False,
    bring_from: str | None = None,
    mirror: bool = False,
    commit: bool = False,
    push: bool = False,
) -> dict[str, str] | State:
    """Bring every stage up to date. Failures are states with one line as their message: raised, Prefect would log them
    with a traceback.

    Args:
        until: the last stage to run; None for all.
        force: run stages that have not changed as well.
        bring_from: a folder whose new images are copied into data/raw first.
        mirror: make data/raw what `bring_from` is: replace what differs there, remove what it lacks.
        commit: commit what the run made, with a message that says what changed in images.
        push: send the data to DVC's remote, then commits to the branch's upstream.
    """
    stand_by_the_server()
    runs.skip_missed()
    try:
        if bring_from is not None:
            run_task(named(do, "bring"), bring_images, bring_from, mirror)
        outcomes = run_stages(until, force)
        if "ran" in outcomes.values():
            artifacts.publish_changes(publish.changes())
        if commit:
            run_task(named(do, "commit"), publish.commit)
        if push:
            run_task(named(do, "push"), publish.push)
    except EndedError as ended:
        return ended.state
    except Exception as error:
        return told(error)
    if "ran" not in outcomes.values():
        return Completed(name="Cached", message="nothing has changed", data=outcomes)
    return outcomes


def run_stages(until: str | None, force: bool) -> dict[str, str]:
    """The stages one after another; for each `cached` or `ran`."""
    preconditions.require_raw()
    version_raw()
    steps = read_steps(until)
    require_not_stale(steps)
    if force or not all(step.clean for step in steps):
        preconditions.check_params()
    return {step.address: run_task(stage_task(step), step, force) for step in steps}


def run_task(task: Any, *arguments: Any) -> Any:
    """Run a Prefect task; gives what it returned.

    Raises:
        EndedError: where it failed or was cancelled.
    """
    state: State = task(*arguments, return_state=True)
    if state.is_cancelled():
        raise EndedError(Cancelled(message=state.message))
    if not state.is_failed():
        return state.result()  # raises what is neither: a crash
    error = state.result(raise_on_failure=False)
    if not isinstance(error, (UserError, StageError)):  # theirs say all in their line
        error = StageError(f"{task.name}: {state.message}")
    raise EndedError(failed(error))


def stand_by_the_server() -> None:
    """This process ends with its server, and a temporary server with this process: Prefect sees to it where this
    process ends by itself, but not where it is killed.
    """
    if not PREFECT_API_URL.value():
        from prefect.server.api.server import (
            SubprocessASGIServer,  # which takes seconds, and started one
        )

        for temporary in SubprocessASGIServer._instances.values():
            if temporary.server_process is not None:
                end_with_this_process(temporary.server_process.pid)
    with get_client(sync_client=True) as client:
        server.end_with(str(client.api_url).rstrip("/"))


# --- tasks --------------------------------------------------------------------------------------------------------


def stage_task(step: Step) -> Any:
    """The Prefect task of a stage, with the options that its `meta:` in dvc.yaml asks for.

    Raises:
        UserError: for a value that is no such option's.
    """
    name = step.address.removesuffix(".dvc")
    try:
        options = Options.model_validate(step.meta).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise UserError(f"dvc.yaml {key_and_problem(error, f'{name}.meta', Options)}") from None
    return named(run_stage, name).with_options(**options)


def named(task: Any, name: str) -> Any:
    return task.with_options(name=name, task_run_name=name)


def may_help(task: Any, task_run: Any, state: State) -> bool:
    """Whether it is worth trying again: not where the user has to mend something."""
    return not isinstance(state.result(raise_on_failure=False), UserError)


@task(cache_policy=NO_CACHE, retry_condition_fn=may_help)  # DVC decides what is unchanged
def run_stage(step: Step, force: bool) -> State:
    """Run one stage where it has changed."""
    if step.clean and not force:
        return cached()
    try:
        outcome = run_child(step.address, force, get_run_logger())
    except (UserError, StageError) as error:
        return failed(error)
    except RunCancelledError as error:
        return Cancelled(message=str(error))
    return cached() if outcome == "cached" else Completed(data=outcome)


def cached() -> State:
    """The state of a stage that had nothing to do."""
    return Completed(name="Cached", message="DVC finds nothing changed", data="cached")


@task(cache_policy=NO_CACHE)
def do(action: Callable[..., Any], *arguments: Any) -> State:
    """What the flow does besides its stages."""
    try:
        return Completed(message=action(*arguments))
    except Exception as error:
        return told(error)


def told(error: Exception) -> State:
    """The state in which what the user can mend ends a run or a task. Raises anything else."""
    line = one_line(error)
    if line is None:
        raise error
    return failed(UserError(line))


def failed(error: UserError | StageError) -> State:
    return Failed(message=str(error), data=error)


def is_news(record: logging.LogRecord) -> bool:
    """Whether a log record is neither the traceback of a failure that its state tells in one line, nor one of none."""
    return record.exc_info is None or not isinstance(
        record.exc_info[1], UserError | StageError | None
    )


for name in ("prefect.engine", "prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(name).addFilter(is_news)


def bring_images(folder: str, mirror: bool) -> str:
    """Bring new images into data/raw, which DVC's other commands leave alone meanwhile."""
    preconditions.require_room()
    require_not_stale(read_steps("ingest"))

    def act(repo: Repo) -> CopyResult:
        with repo.lock:
            return copy_new(Path(folder).expanduser(), RAW, mirror)

    first, *warnings = lines(in_repo(act), Path(folder))
    for line in warnings:
        get_run_logger().warning(line)
    return first
