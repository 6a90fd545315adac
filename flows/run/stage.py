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
from flows.service.processes import SECONDS_TO_END, group
from tasks.common.errors import UserError

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_QUESTIONS = 2.0  # to the server: is this run cancelled?
Logger = logging.Logger | logging.LoggerAdapter


class StageError(Exception):
    """A stage failed for a reason that the user cannot mend; its log has the traceback."""


class RunCancelledError(Exception):
    """Somebody cancelled the run on the dashboard."""


def run_child(address: str, force: bool, logger: Logger) -> str:
    """Run a stage in a process of its own and pass on what it says; `ran` or `cached`.

    Raises:
        UserError: what the stage told the user.
        StageError: any other failure.
        RunCancelledError: where the run was cancelled meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="variegate-") as folder:
        outcome, events = Path(folder, "outcome"), Path(folder, "events")
        command = [
            sys.executable,
            "-m",
            "flows.run.child",
            address,
            str(outcome),
            *(["--force"] if force else []),
        ]
        listener = Listener(address, events)
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        # standard input is held open as long as this process lives: see flows/run/child.py
        with group(
            command, env={**os.environ, "VARIEGATE_EVENTS": str(events)}, **streams
        ) as process:
            reader = threading.Thread(
                target=pass_on_lines, args=(process.stdout, logger), daemon=True
            )
            reader.start()
            wait(process, listener)
            reader.join(SECONDS_TO_END)
        listener.look()
        if process.returncode != 0:
            if listener.error is not None:
                raise UserError(listener.error)
            raise StageError(
                f"stage {address} failed with exit code {process.returncode}; its log says why"
            )
        listener.publish()
        return outcome.read_text()


def wait(process: subprocess.Popen, listener: "Listener") -> None:
    """Wait for a stage to end, with an eye on its events and on the dashboard."""
    asked = time.monotonic()
    with get_client(sync_client=True) as client:
        while process.poll() is None:
            listener.look()
            if time.monotonic() - asked >= SECONDS_BETWEEN_QUESTIONS:
                if runs.cancelled(client, UUID(flow_run.id)):
                    raise RunCancelledError(
                        "cancelled; what was finished is kept, and the next run goes on from there"
                    )
                asked = time.monotonic()
            try:
                process.wait(SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                continue


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
        self.pictures: list[tuple[str, str]] = []
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
            case "picture":
                self.pictures.append((event["text"], event["uri"]))
            case "error":
                self.error = event["text"]

    def publish(self) -> None:
        """Make the artifacts of what was counted."""
        if self.counts:
            artifacts.publish_counts(self.stage, self.counts)
        for text, path in self.links:
            artifacts.publish_link(self.stage, text, path)
        for text, uri in self.pictures:
            artifacts.publish_picture(text, uri)
