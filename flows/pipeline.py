"""The Prefect flow: one task for each stage of dvc.yaml, in DVC's order, each run through DVC.

A stage that DVC finds unchanged ends in the state Cached and starts no process. The flow and
`dvc repro` find each other's work: both leave the same dvc.lock.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled, Completed, Failed, State

from flows import gate, preconditions
from flows.run import artifacts
from flows.run.dataset_slot import Overlap, dataset_slot
from flows.run.stage import RunCancelledError, StageError, run_child
from flows.service import runs, server
from flows.service.processes import end_with_this_process
from flows.stage_options import read_options
from flows.versions import publish, receive
from flows.versions.dvc_graph import Step, dvc_add_raw, in_repo, read_steps
from flows.versions.stale_checkout import require_not_stale
from tasks.acquire.copy_folder import CopyResult, copy_or_mirror, result_lines
from tasks.common.errors import UserError, one_line
from tasks.dataset.paths import RAW


class RunEndedError(Exception):
    """A task failed or was cancelled, and the flow run has to end in this state."""

    def __init__(self, state: State) -> None:
        super().__init__(state.message)
        self.state = state


def bring_up_to_date(**parameters: Any) -> dict[str, str]:
    """Run the flow; takes the parameters of pipeline().

    Returns:
        For each stage `cached` or `ran`.

    Raises:
        UserError: what a stage told the user in one line, a run that was cancelled, a server that
            stopped answering.
        StageError: any other failure of a stage.
    """
    try:
        state = pipeline(**parameters, return_state=True)
    except runs.SERVER_ERRORS as error:
        why = f"the Prefect server stopped answering ({type(error).__name__})"
        raise UserError(f"{why}; {server.KEPT}") from error
    if state.is_failed():
        failure: Any = state.result(raise_on_failure=False)
        raise failure
    if state.is_cancelled():
        raise UserError(state.message)
    return dict(state.result())


@flow(name=runs.FLOW)
def pipeline(
    until: str | None = None,
    force: bool = False,
    bring_from: str | None = None,
    mirror: bool = False,
    commit: bool = False,
    push: bool = False,
    pull: bool = False,
    overlap: Overlap = "wait",
) -> dict[str, str] | State:
    """Bring every stage up to date.

    Failures are returned as states with one line as their message: exceptions, Prefect would log
    with a traceback.

    Args:
        until: the last stage to run; None for all.
        force: run stages that have not changed as well.
        bring_from: a folder whose new images are copied into data/raw first.
        mirror: make data/raw equal to `bring_from`: replace what differs there, remove what it
            lacks.
        commit: commit what the run made, with a message that counts the changed images. Nothing is
            committed or pushed where the gate fails.
        push: send the data to DVC's remote, then commits to the branch's upstream.
        pull: first fetch what others have pushed: commits by git, then images by DVC.
        overlap: what to do while another run of this dataset goes on, on any host that the Prefect
            server knows: `wait`, or `skip`: end as cancelled.
    """
    end_with_server()
    try:
        with dataset_slot(overlap):
            runs.cancel_overdue()
            if pull:
                run_task(with_name(run_action, "pull"), receive.pull)
            if bring_from is not None:
                run_task(with_name(run_action, "bring"), copy_images, bring_from, mirror)
            outcomes = run_stages(until, force)
            if "ran" in outcomes.values():
                artifacts.publish_changes(publish.changes_since_commit())
            if gate.is_set(outcomes):
                run_task(with_name(run_action, "gate"), gate.judge)
            if commit:
                run_task(with_name(run_action, "commit"), publish.commit)
            if push:
                run_task(with_name(run_action, "push"), publish.push)
    except RunCancelledError as error:
        return Cancelled(message=str(error))
    except RunEndedError as ended:
        return ended.state
    except Exception as error:
        return state_of_error(error)
    if "ran" not in outcomes.values():
        return Completed(name="Cached", message="nothing has changed", data=outcomes)
    return outcomes


def run_stages(until: str | None, force: bool) -> dict[str, str]:
    """Run the stages one after another; for each `cached` or `ran`."""
    preconditions.require_raw()
    dvc_add_raw()
    steps = read_steps(until)
    require_not_stale(steps)
    if force or not all(step.clean for step in steps):
        preconditions.check_params()
    return {step.address: run_task(stage_task(step), step, force) for step in steps}


def run_task(prefect_task: Any, *arguments: Any) -> Any:
    """Run a Prefect task; returns its result.

    Raises:
        RunEndedError: where it failed or was cancelled.
    """
    state: State = prefect_task(*arguments, return_state=True)
    if state.is_cancelled():
        raise RunEndedError(Cancelled(message=state.message))
    if not state.is_failed():
        return state.result()  # raises where it is not completed either: a crash
    error = state.result(raise_on_failure=False)
    if not isinstance(error, (UserError, StageError)):  # theirs say all in their line
        error = StageError(f"{prefect_task.name}: {state.message}")
    raise RunEndedError(failed_state(error))


def end_with_server() -> None:
    """End this process when its server is gone, and a temporary server when this process is.

    Prefect ends its temporary server where this process ends by itself, not where it is killed.
    """
    if not PREFECT_API_URL.value():
        from prefect.server.api.server import SubprocessASGIServer  # importing it takes seconds

        for temporary in SubprocessASGIServer._instances.values():
            if temporary.server_process is not None:
                end_with_this_process(temporary.server_process.pid)
    with get_client(sync_client=True) as client:
        server.exit_when_silent(str(client.api_url).rstrip("/"))


# --- tasks ------------------------------------------------------------------------------------


def stage_task(step: Step) -> Any:
    """The Prefect task of a stage, with the options that its `meta:` in dvc.yaml asks for.

    Raises:
        UserError: for an option's value that Prefect cannot take.
    """
    return with_name(run_stage, step.name).with_options(**read_options(step))


def with_name(prefect_task: Any, name: str) -> Any:
    """The same task under another name."""
    return prefect_task.with_options(name=name, task_run_name=name)


def is_worth_retrying(prefect_task: Any, task_run: Any, state: State) -> bool:
    """Whether a retry may help: not where the user has to mend something."""
    return not isinstance(state.result(raise_on_failure=False), UserError)


# NO_CACHE: DVC decides what is unchanged, not Prefect
@task(cache_policy=NO_CACHE, retry_condition_fn=is_worth_retrying)
def run_stage(step: Step, force: bool) -> State:
    """Run one stage where it has changed."""
    if step.clean and not force:
        return cached_state()
    try:
        outcome = run_child(step.address, force, get_run_logger())
    except (UserError, StageError) as error:
        return failed_state(error)
    except RunCancelledError as error:
        return Cancelled(message=str(error))
    return cached_state() if outcome == "cached" else Completed(data=outcome)


@task(cache_policy=NO_CACHE)
def run_action(action: Callable[..., Any], *arguments: Any) -> State:
    """A step of the flow that is no stage; the message of its state is what `action` returns."""
    try:
        return Completed(message=action(*arguments))
    except Exception as error:
        return state_of_error(error)


def copy_images(folder: str, mirror: bool) -> str:
    """Copy new images into data/raw, while no other DVC command works there.

    Args:
        folder: where the images are.
        mirror: see pipeline().

    Returns:
        What was copied, in one line.
    """
    preconditions.require_pulled()
    require_not_stale(read_steps("ingest"))

    def copy_locked(repo: Repo) -> CopyResult:
        with repo.lock:
            return copy_or_mirror(Path(folder).expanduser(), RAW, mirror)

    summary, *warnings = result_lines(in_repo(copy_locked), Path(folder))
    for line in warnings:
        get_run_logger().warning(line)
    return summary


# --- states -----------------------------------------------------------------------------------


def cached_state() -> State:
    """The state of a stage that had nothing to do."""
    return Completed(name="Cached", message="DVC finds nothing changed", data="cached")


def state_of_error(error: Exception) -> State:
    """The failed state of an error that the user can mend; raises any other error."""
    line = one_line(error)
    if line is None:
        raise error
    return failed_state(error if isinstance(error, UserError) else UserError(line))


def failed_state(error: UserError | StageError) -> State:
    return Failed(message=str(error), data=error)


def is_worth_logging(record: logging.LogRecord) -> bool:
    """Whether a record of Prefect's log says more than the state of the run does.

    Not so the traceback of a failure that its state tells in one line, nor one without exception.
    """
    error = None if record.exc_info is None else record.exc_info[1]
    return record.exc_info is None or not isinstance(error, UserError | StageError | None)


def without_advice(record: logging.LogRecord) -> bool:
    """Take Prefect's advice on servers, `See https://...`, out of a record of its log."""
    record.msg = str(record.msg).partition("\nSee https://")[0]
    return True


def filter_prefect_logs() -> None:
    logging.getLogger("prefect").addFilter(without_advice)
    for name in ("prefect.engine", "prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(is_worth_logging)


filter_prefect_logs()
