"""Finished trainings, kept in the private cache by all that decides them.

A study that was killed finds there what it had finished; that is all the state it has. A kept file
is a .npz, whose parts have checksums: a damaged one is removed, and its training run again.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from tasks.common import machine
from tasks.common.temporary import atomic_write
from tasks.studies.trainings.training import Model, Result, Trained

WEIGHT = "weight "  # before the names of a model's weights


def path_of(key: str) -> Path:
    """Where what has this key is kept."""
    return machine.cache_folder() / "trainings" / f"{key}.npz"


def read_kept(key: str) -> dict[str, np.ndarray] | None:
    """The arrays that were kept; None where there are none, or they are damaged."""
    path = path_of(key)
    with suppress(OSError, ValueError, EOFError, BadZipFile, KeyError):
        with np.load(path) as parts:
            found = {name: parts[name] for name in parts.files}
        os.utime(path)  # it was used
        return found
    with suppress(OSError):
        path.unlink(missing_ok=True)
    return None


def keep(key: str, parts: Mapping[str, Any]) -> None:
    """Keep arrays for later runs; where the disk has no room, they are not kept."""
    with (
        suppress(OSError),
        atomic_write(path_of(key)) as temporary,
        temporary.open("wb") as file,
    ):
        np.savez(file, **parts)


def read_result(key: str) -> Result | None:
    """A training that was kept."""
    parts = read_kept(key)
    if parts is None:
        return None
    arrays = {name: parts[name] for name in Trained._fields[:4]}
    loss, failed = float(parts["original_loss"]), str(parts["failed"])
    trained = Trained(**arrays, original_loss=loss, failed=failed)
    if "mean" not in parts:
        return Result(trained, None)
    weights = {
        name.removeprefix(WEIGHT): torch.from_numpy(part)
        for name, part in parts.items()
        if name.startswith(WEIGHT)
    }
    return Result(trained, Model(parts["mean"].tolist(), parts["std"].tolist(), weights))


def keep_result(key: str, result: Result) -> None:
    """Keep a training, and its model where there is one."""
    parts = result.trained._asdict()
    if result.model is not None:
        parts |= {"mean": result.model.mean, "std": result.model.std}
        for name, weight in result.model.weights.items():
            parts[f"{WEIGHT}{name}"] = weight.numpy()
    keep(key, parts)
