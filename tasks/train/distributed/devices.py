"""The device of each process that trains, and the lock on those of a host."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from tasks.common.errors import UserError
from tasks.common.machine import gpu_lock
from tasks.model.device import choose_device, gpu_of
from tasks.train.distributed.group import Group


def device_of(group: Group) -> torch.device:
    """What this process trains on: choose_device(), of several GPUs the one of its local rank.

    Raises:
        UserError: where the host has too few of them.
    """
    if group.size == 1:
        return choose_device()
    name = os.environ.get("VARIEGATE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    if not name.startswith("cuda"):
        return choose_device()
    if name != "cuda":
        raise UserError(
            f"VARIEGATE_DEVICE: needs cuda or cpu where train.devices is {group.size}, "
            f"found {name!r}; CUDA_VISIBLE_DEVICES says which GPUs"
        )
    found = torch.cuda.device_count()
    if found < group.local_size:
        raise UserError(
            f"params.yaml train.devices: needs {group.local_size} GPUs on this machine, "
            f"found {found}"
        )
    device = torch.device("cuda", group.local_rank)
    torch.cuda.set_device(device)
    return device


@contextmanager
def locked_devices(group: Group, device: torch.device) -> Iterator[None]:
    """Run the block while no other training of this machine uses the GPUs of this one.

    The first process of a host locks all of them, in one order: two trainings that each held
    another GPU would wait for each other without end.
    """
    with ExitStack() as stack:
        if group.local_rank == 0:
            devices = [device]
            if device.type == "cuda" and group.size > 1:
                devices = [torch.device("cuda", number) for number in range(group.local_size)]
            for gpu in sorted({gpu_of(each) for each in devices}, key=str):
                stack.enter_context(gpu_lock(gpu))
        group.wait()
        yield
