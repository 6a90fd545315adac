"""The flow: one Prefect task for each stage of dvc.yaml, in DVC's order, each run through DVC.

A stage that DVC finds unchanged ends in the state Cached and starts nothing. What `dvc repro` made is found here and
the other way round: both leave the same dvc.lock.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.server.api.server import SubprocessASGIServer
from prefect.states import Completed, Failed, State

from flows import artifacts
from flows.behind import require_not_left_behind
from flows.graph import Step, read_steps, version_raw
from tasks.errors import UserError

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_TO_END = 10.0

_watchers: list[subprocess.Popen] = []
Logger = logging.Logger | logging.LoggerAdapter


class StageError(Exception):
    """A stage failed for a reason that the user cannot mend; its log has the traceback."""


def bring_up_to_date(until: str | None = None, force: bool = False) -> dict[str, str]:
    """Run the flow.

    Args:
        until: the last stage to run; None for all.
        force: run stages that have not changed as well.

    Returns:
        For each stage `cached` or `ran`.

    Raises:
        UserError: what a stage told the user in one line.
        StageError: any other failure of a stage.
    """
    state = pipeline(until, force, return_state=True)
    if state.is_failed() and isinstance(kind := state.result(raise_on_failure=False), type):
        raise kind(state.message)
    return dict(state.result())


@flow(name="variegate")
def pipeline(until: str | None = None, force: bool = False) -> dict[str, str] | State:
    """Bring every stage, or those that `until` needs, up to date. Failures are states with one line as their message:
    raised, Prefect would log them with a traceback.
    """
    end_server_with_this_process()
    outcomes = {}
    try:
        version_raw()
        steps = read_steps(until)
        require_not_left_behind(steps)
    except UserError as error:
        return Failed(message=str(error), data=UserError)
    for step in steps:
        state = stage_task(step)(step, force, return_state=True)
        if state.is_failed():
            return Failed(message=state.message, data=state.result(raise_on_failure=False))
        state.result()  # raises what is neither: a crash, a cancellation
        outcomes[step.address] = "cached" if state.name == "Cached" else "ran"
    return outcomes


def end_server_with_this_process() -> None:
    """Prefect ends the temporary server that it started, but not where this process is killed: a shell, held by a pipe
    as stages are, does it then.
    """
    for server in SubprocessASGIServer._instances.values():
        if server.server_process is not None:
            script = f"cat > /dev/null; kill {server.server_process.pid} 2> /dev/null"
            watcher = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)
            _watchers.append(watcher)  # its pipe has to stay open


def stage_task(step: Step) -> Any:
    """The Prefect task of a stage, with the options that its `meta:` in dvc.yaml asks for."""
    name = step.address.removesuffix(".dvc")
    options = {
        key: step.meta[key] for key in ("retries", "retry_delay_seconds", "timeout_seconds", "tags") if key in step.meta
    }
    return run_stage.with_options(name=name, task_run_name=name, **options)


@task(cache_policy=NO_CACHE)  # DVC decides what is unchanged
def run_stage(step: Step, force: bool) -> State | str:
    """Run one stage where it has changed."""
    if step.clean and not force:
        return cached()
    with tempfile.TemporaryDirectory(prefix="variegate-") as folder:
        try:
            outcome = run_child(step.address, force, Path(folder), get_run_logger())
        except (UserError, StageError) as error:
            return Failed(message=str(error), data=type(error))
    return cached() if outcome == "cached" else outcome


def cached() -> State:
    """The state of a stage that had nothing to do."""
    return Completed(name="Cached", message="DVC finds nothing changed")


def run_child(address: str, force: bool, folder: Path, logger: Logger) -> str:
    """Run a stage in a process of its own and pass on what it says; `ran` or `cached`."""
    outcome, events = folder / "outcome", folder / "events"
    command = [sys.executable, "-m", "flows.child", address, str(outcome), *(["--force"] if force else [])]
    listener = Listener(address, events)
    with child_process(command, {**os.environ, "VARIEGATE_EVENTS": str(events)}) as process:
        reader = threading.Thread(target=pass_on_lines, args=(process.stdout, logger), daemon=True)
        reader.start()
        while process.poll() is None:
            listener.look()
            try:
                process.wait(SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                continue
        reader.join(SECONDS_TO_END)
    listener.look()
    if process.returncode != 0:
        if listener.error is not None:
            raise UserError(listener.error)
        raise StageError(f"stage {address} failed with exit code {process.returncode}; its log says why")
    listener.publish()
    return outcome.read_text()


@contextmanager
def child_process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    """A process in a group of its own. The group is ended when the block ends, whatever ended it."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,  # held open as long as this process lives: see flows/child.py
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end_group(process)


def end_group(process: subprocess.Popen) -> None:
    """End every process of the group: with SIGTERM, and what is left after SECONDS_TO_END with SIGKILL."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(SECONDS_TO_END)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def pass_on_lines(stream: IO[bytes], logger: Logger) -> None:
    """Log what a stage prints, line by line."""
    for line in stream:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            logger.log(logging.WARNING if text.startswith("warning:") else logging.INFO, text)


class Listener:
    """Reads a stage's events and passes them on to Prefect."""

    def __init__(self, address: str, path: Path) -> None:
        self.path = path
        self.stage = address.split(":")[-1]
        self.read_bytes = 0
        self.progress = artifacts.Progress(self.stage)
        self.counts: dict[str, Any] = {}
        self.links: list[tuple[str, str]] = []
        self.error: str | None = None

    def look(self) -> None:
        """Take in what has come since the last look."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self.read_bytes)
            whole = file.read().rpartition(b"\n")[0]
        self.read_bytes += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        match event.pop("kind"):
            case "progress":
                self.progress.show(event["what"], event["done"], event["total"])
            case "counts":
                self.counts |= event
            case "link":
                self.links.append((event["text"], event["path"]))
            case "error":
                self.error = event["text"]

    def publish(self) -> None:
        """Make the artifacts of what was counted."""
        if self.counts:
            artifacts.publish_counts(self.stage, self.counts)
        for text, path in self.links:
            artifacts.publish_link(self.stage, text, path)
