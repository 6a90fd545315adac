"""The device that a network runs on: which, made deterministic, and how batches get there."""

import os
from functools import cache

# Before torch is imported; without it cuBLAS may take sums in another order each time.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch
from torch import Tensor

from tasks.common.errors import UserError


def fix_randomness(seed: int, threads: int) -> None:
    """Seed torch and allow deterministic algorithms only."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    # use_deterministic_algorithms() would do the same, and load torch's compiler
    torch.set_deterministic_debug_mode("error")
    # else torch fills all new memory with a number, for programs that read it before they write
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def choose_device() -> torch.device:
    """VARIEGATE_DEVICE, or CUDA where there is one, else the CPU.

    Raises:
        UserError: for a device that is not there.
    """
    name = os.environ.get("VARIEGATE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("cpu and cuda are what training runs on")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"VARIEGATE_DEVICE: needs a device that is here, found {name!r}: {reason}"
        ) from None
    return device


def gpu_of(device: torch.device) -> str | None:
    """The GPU's UUID, which is the same in every process, unlike its number; None for a CPU."""
    if device.type != "cuda":
        return None
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def on_device(batch: Tensor, device: torch.device) -> Tensor:
    """`batch` on `device`; to CUDA it is copied while the batches before it are computed with.

    The program does not wait: a copy from pinned memory in a stream of its own waits for nothing,
    and the computing stream waits for that copy alone.
    """
    if device.type != "cuda" or batch.is_cuda:
        return batch.to(device)
    computing, copying = torch.cuda.current_stream(device), _copying_stream(device)
    with torch.cuda.stream(copying):
        copy = batch.pin_memory().to(device, non_blocking=True)
    computing.wait_stream(copying)
    copy.record_stream(computing)  # its memory is not given away before it was computed with
    return copy


@cache
def _copying_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA, float32 elsewhere."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
