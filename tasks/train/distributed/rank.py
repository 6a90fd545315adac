"""A process that trains together with others: how it joins them, and how it ends.

The launcher started it, see launch.py, and tells by environment variables which one it is. Why it
failed goes into the file that the launcher names: only the launcher speaks.
"""

import json
import os
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal, cast

import torch.distributed as dist

from tasks.common import events
from tasks.common.errors import UserError, one_line
from tasks.train.distributed.devices import device_of
from tasks.train.distributed.group import ALONE, Group
from tasks.workers.processes import end_with

STORE = "RANKS_MEET_AT"  # the file by which processes of one host find each other
LONGEST_WAIT = timedelta(days=7)  # for what the first process does alone, such as decoding

# `mend`: one line says what the user can mend; `lost`: another process ended first; else a defect.
Kind = Literal["mend", "lost", "defect"]


def is_rank() -> bool:
    """Whether torch's launcher started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def joined(devices: int) -> Iterator[Group]:
    """The processes that train together, as long as the block lasts.

    All but the first of them are silent. An error ends this process, after it is written down for
    the launcher.

    Args:
        devices: how many processes there are to be; one is alone.
    """
    if devices == 1:
        yield ALONE
        return
    end_with(os.getppid())
    try:
        group = _join(devices)
        with nullcontext() if group.is_first else events.silent():
            yield group
        dist.destroy_process_group()
    except Exception as error:
        _write_failure(error)
        # threads of torch may wait for other processes, and an orderly end for them
        os._exit(1)


def _join(devices: int) -> Group:
    """Find the other processes.

    Raises:
        UserError: where there are more or fewer than `devices`, or the host has too few GPUs.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if size != devices:
        raise UserError(
            f"params.yaml train.devices: needs the number of processes, {size}, found {devices}"
        )
    local_rank, local_size = (int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    group = Group(rank, size, local_rank, local_size)
    backend = "nccl" if device_of(group).type == "cuda" else "gloo"
    path = os.environ.get(STORE)
    if path is not None:
        _stay_on_loopback()
    meeting = "env://" if path is None else f"file://{path}"
    dist.init_process_group(backend, meeting, rank=rank, world_size=size)
    messages = cast(dist.ProcessGroup, dist.new_group(backend="gloo", timeout=LONGEST_WAIT))
    return replace(group, messages=messages)


def _stay_on_loopback() -> None:
    """Processes of one host speak over its loopback interface, and are heard by no other host."""
    names = (name for _, name in socket.if_nameindex())
    loopback = next((name for name in names if name.startswith("lo")), None)
    if loopback is not None:
        for library in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", loopback)


def _write_failure(error: Exception) -> None:
    """Tell the launcher why this process ends."""
    kind, text = _failure(error)
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path is not None:
        Path(path).write_text(json.dumps({"message": text, "kind": kind}))


def _failure(error: Exception) -> tuple[Kind, str]:
    line = one_line(error)
    if line is not None and os.environ.get("VARIEGATE_DEBUG") != "1":
        return "mend", line
    text = "".join(traceback.format_exception(error))
    # gloo's errors have no class of their own
    if isinstance(error, dist.DistError) or "gloo" in str(error):
        return "lost", text
    return "defect", text
