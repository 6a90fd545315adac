"""Run one stage of the flow in a child process and report its events to Prefect."""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.run import artifacts
from flows.service import runs
from flows.service.processes import SECONDS_TO_END, process_group
from tasks.common.errors import UserError

SECONDS_BETWEEN_POLLS = 0.2  # of the child and its events
SECONDS_BETWEEN_QUESTIONS = 2.0  # to the server: is this run cancelled?
CANCELLED = "cancelled; what was finished is kept, and the next run goes on from there"
Logger = logging.Logger | logging.LoggerAdapter

# The lines `warning: ...` that stages printed in this process: its summary need not repeat them.
printed_warnings: list[str] = []


class StageError(Exception):
    """A stage failed for a reason that the user cannot mend; its log has the traceback."""


class RunCancelledError(Exception):
    """Somebody cancelled the run on the dashboard."""


def run_child(address: str, force: bool, logger: Logger) -> str:
    """Run a stage in a child process; log what it prints, and report its events to Prefect.

    Args:
        address: the stage, as DVC names it.
        force: run it though nothing changed.
        logger: of the Prefect task.

    Returns:
        `ran` or `cached`.

    Raises:
        UserError: what the stage told the user in one line.
        StageError: any other failure.
        RunCancelledError: where the run was cancelled meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="variegate-") as folder:
        outcome, events = Path(folder, "outcome"), Path(folder, "events")
        command = [sys.executable, "-m", "flows.run.child", address, str(outcome)]
        command += ["--force"] if force else []
        environment = {**os.environ, "VARIEGATE_EVENTS": str(events)}
        # standard input stays open as long as this process lives: see flows/run/child.py
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        reader = EventReader(address, events)
        with process_group(command, env=environment, **streams) as process:
            logging_thread = threading.Thread(
                target=log_lines, args=(process.stdout, logger), daemon=True
            )
            logging_thread.start()
            wait_for_child(process, reader)
            logging_thread.join(SECONDS_TO_END)
        reader.read_new()
        if process.returncode != 0:
            if reader.error is not None:
                raise UserError(reader.error)
            exit_code = f"failed with exit code {process.returncode}"
            raise StageError(f"stage {address} {exit_code}; its log says why")
        reader.publish()
        return outcome.read_text()


def wait_for_child(process: subprocess.Popen, reader: "EventReader") -> None:
    """Wait for a stage to end, and report its events meanwhile.

    Raises:
        RunCancelledError: where the server says that the run was cancelled.
    """
    asked = time.monotonic()
    with get_client(sync_client=True) as client:
        while process.poll() is None:
            reader.read_new()
            if time.monotonic() - asked >= SECONDS_BETWEEN_QUESTIONS:
                if runs.cancelled(client, UUID(flow_run.id)):
                    raise RunCancelledError(CANCELLED)
                asked = time.monotonic()
            try:
                process.wait(SECONDS_BETWEEN_POLLS)
            except subprocess.TimeoutExpired:
                continue


def log_lines(stream: IO[bytes], logger: Logger) -> None:
    """Log what a stage prints, line by line."""
    for line in stream:
        text = line.decode("utf-8", "replace").rstrip()
        if text.startswith("warning:"):
            printed_warnings.append(text)
            logger.warning(text)
        elif text:
            logger.info(text)


class EventReader:
    """Reads the events that a stage appends to a file, and reports them to Prefect.

    Progress is reported at once; counts, links and pictures are collected for publish(), and the
    line of a failure is kept in `error`.
    """

    def __init__(self, address: str, path: Path) -> None:
        self.path = path
        self.stage = address.split(":")[-1]
        self.read_bytes = 0
        self.progress = artifacts.Progress(self.stage)
        self.counts: dict[str, Any] = {}
        self.links: list[tuple[str, str]] = []
        self.pictures: list[tuple[str, str]] = []
        self.error: str | None = None

    def read_new(self) -> None:
        """Read the events that were written since the last call; an unfinished line is left."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self.read_bytes)
            finished = file.read().rpartition(b"\n")[0]
        self.read_bytes += len(finished) + 1 if finished else 0
        for line in finished.splitlines():
            self._handle(json.loads(line))

    def _handle(self, event: dict[str, Any]) -> None:
        match event.pop("kind"):
            case "progress":
                self.progress.show(event["what"], event["done"], event["total"], event["pace"])
            case "counts":
                self.counts |= event
            case "link":
                self.links.append((event["text"], event["path"]))
            case "picture":
                self.pictures.append((event["text"], event["uri"]))
            case "error":
                self.error = event["text"]

    def publish(self) -> None:
        """Make the artifacts of what was collected."""
        if self.counts:
            artifacts.publish_counts(self.stage, self.counts)
        for text, path in self.links:
            artifacts.publish_link(self.stage, text, path)
        for text, uri in self.pictures:
            artifacts.publish_picture(text, uri)
