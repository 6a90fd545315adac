"""Checkpoints: a killed training goes on from the last one, and ends as if it had not been killed.

A checkpoint lies in the private cache and may be deleted. It holds a TrainingState and the key of
its training, everything that decides the result; its file is named by both the project and the key.
So projects share a cache, and a training never goes on from the checkpoint of another one.

Of processes that train together the first decides when there is one, writes it and reads it.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from tasks.common import events
from tasks.common.machine import cache_folder
from tasks.common.temporary import atomic_write, remove_abandoned
from tasks.pixels.hashing import sha256
from tasks.train.loop.checkpoint_key import difference
from tasks.train.loop.state import TrainingState
from tasks.variants.policy import canonical_json

SECONDS_BETWEEN = 60.0  # within an epoch
MOST_SHARE = 0.01  # of the time since the last checkpoint, that the last one may have taken
STEPS_BETWEEN = 16  # between two questions to the first process whether one is due
KEPT = 3  # of other trainings of a project: who goes back to their parameters goes on from there


class Checkpoint:
    """The checkpoint of one training.

    Args:
        key: what decides the result, by names that people know; see checkpoint_key().
        folder: of the checkpoints of all projects that share the private cache.
        seconds: between two checkpoints within an epoch.
    """

    def __init__(
        self, key: Mapping[str, str], folder: Path | None = None, seconds: float = SECONDS_BETWEEN
    ) -> None:
        self.key = dict(key)
        self.folder = folder or cache_folder() / "checkpoints"
        self.project = sha256(os.fsencode(Path.cwd()))[:8]
        self.path = self.folder / f"{self.project}-{sha256(canonical_json(self.key).encode())[:16]}"
        self.seconds = seconds
        self.saved = time.monotonic()
        self.cost = 0.0  # seconds that the last one took
        self.told = False  # that none can be written

    def restore(self, state: TrainingState) -> None:
        """Bring `state` to where an interrupted training with the same key was.

        Where there is none, one line says why, if the project has one with another key.
        """
        found = state.group.from_first(self._read)
        if found is not None:
            state.load_state_dict(found)
            events.say(f"training goes on after step {state.step:,} of {state.steps:,}")

    def _read(self) -> dict[str, Any] | None:
        """The state of an interrupted training with the same key; None, and why, without one."""
        remove_abandoned(self.folder)
        others = self._of_other_trainings()
        try:
            if self.path.exists():
                return read_checked(self.path)["state"]
            if others:
                key = torch.load(others[0], mmap=True, weights_only=True)["key"]
                events.say(f"training starts anew: {difference(key, self.key)}")
        except Exception as error:  # whatever a damaged file, or one of another torch, may raise
            reason = str(error).partition("\n")[0]
            events.say(f"training starts anew: its checkpoint cannot be read: {reason}")
        return None

    def save_if_due(self, state: TrainingState, end_of_epoch: bool = False) -> None:
        """Save `state` at the end of an epoch, and within it where the last one is old enough.

        Not where the last checkpoint took more than a hundredth of the time since. Where the disk
        takes none, one line says so and the training goes on; the next is tried all the same.
        """
        began = time.monotonic()
        since = began - self.saved
        group = state.group
        if group.size > 1 and not end_of_epoch and state.step % STEPS_BETWEEN:
            return
        due = (end_of_epoch or since >= self.seconds) and self.cost <= MOST_SHARE * since
        if not group.agreed(due):
            return
        try:
            self.save(state)
        except (OSError, RuntimeError) as error:
            # torch finds its file incomplete while the disk's error is on its way
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            if not self.told:
                events.say(f"no checkpoint is kept: {self.path}: {cause.strerror}")
            self.told = True
        self.saved = time.monotonic()
        self.cost = self.saved - began

    def save(self, state: TrainingState) -> None:
        """Save `state` durably: a power cut leaves this checkpoint, or the one before it.

        Raises:
            UserError: where its loss or weights left all bounds.
            OSError, or RuntimeError in its context: where the disk is full or cannot be written.
        """
        state.require_finite()
        content = {"key": self.key, "state": state.state_dict()}
        if not state.group.is_first:
            return
        with atomic_write(self.path) as temporary, temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # of the new name
        finally:
            os.close(folder)

    def remove(self) -> None:
        """Forget a training that is finished, once all that it leaves is written."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _of_other_trainings(self) -> list[Path]:
        """Checkpoints of this project with other keys, the newest first; KEPT of them are left."""
        paths = [path for path in self.folder.glob(f"{self.project}-*") if path != self.path]
        with suppress(OSError):  # another process may remove one of them
            paths.sort(key=lambda path: path.stat().st_mtime, reverse=True)
            for path in paths[KEPT:]:
                path.unlink()
        return paths[:KEPT]


def read_checked(path: Path) -> dict[str, Any]:
    """A checkpoint whose bytes are those that were written, on the CPU.

    Raises:
        Exception: of many kinds, where it is damaged.
    """
    with ZipFile(path) as archive:  # as torch writes them, with a checksum of each tensor
        if damaged := archive.testzip():
            raise ValueError(f"{path}: {damaged} is damaged")
    return torch.load(path, map_location="cpu", weights_only=True)
