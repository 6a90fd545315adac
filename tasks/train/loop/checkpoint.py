"""Checkpoints: a killed training goes on from the last one, and ends as if it had not been killed.

A checkpoint lies in the private cache. It holds a TrainingState and the key of its training:
everything that decides the result. With another key it is not used.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from tasks.common import events
from tasks.common.machine import cache_folder
from tasks.common.temporary import atomic_write
from tasks.train.loop.state import TrainingState
from tasks.train.params import TrainParams

SECONDS_BETWEEN = 60.0  # within an epoch
MOST_SHARE = 0.01  # of the time since the last checkpoint, that the last one may have taken


class Checkpoint:
    """The checkpoint of one training.

    Args:
        path: of the file.
        key: what decides the result, by names that people know; see checkpoint_key().
        seconds: between two checkpoints within an epoch.
    """

    def __init__(
        self, path: Path, key: Mapping[str, str], seconds: float = SECONDS_BETWEEN
    ) -> None:
        self.path = path
        self.key = dict(key)
        self.seconds = seconds
        self.saved = time.monotonic()
        self.cost = 0.0  # seconds that the last one took

    def restore(self, state: TrainingState) -> None:
        """Bring `state` to where an interrupted training with the same key was."""
        if not self.path.is_file():
            return
        device = state.loss_sum.device
        found = torch.load(self.path, map_location=device, weights_only=True)
        other = {name for name in self.key if self.key[name] != found["key"].get(name)}
        if other:
            events.say(f"training starts anew: the checkpoint is of another {sorted(other)[0]}")
            return
        state.load_state_dict(found["state"])
        events.say(f"training goes on after step {state.step:,}, in epoch {state.epoch}")

    def save_if_due(self, state: TrainingState, end_of_epoch: bool = False) -> None:
        """Save `state` at the end of an epoch, and within it where the last one is old enough.

        Not where the last checkpoint took more than a hundredth of the time since.
        """
        since = time.monotonic() - self.saved
        if (end_of_epoch or since >= self.seconds) and self.cost <= MOST_SHARE * since:
            self.save(state)

    def save(self, state: TrainingState) -> None:
        """Save `state` durably: a power cut leaves this checkpoint, or the one before it."""
        began = time.monotonic()
        with atomic_write(self.path) as temporary, temporary.open("wb") as file:
            torch.save({"key": self.key, "state": state.state_dict()}, file)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self.saved = time.monotonic()
        self.cost = self.saved - began

    def remove(self) -> None:
        """Forget a training that is finished."""
        self.path.unlink(missing_ok=True)


def checkpoint_path() -> Path:
    """Where this project's training keeps its checkpoint."""
    return cache_folder() / "training.checkpoint"


def checkpoint_key(params: TrainParams, device: torch.device) -> dict[str, str]:
    """What decides the result of a training, by names that people know."""
    return {"train block of params.yaml": params.model_dump_json(), "device": str(device)}
