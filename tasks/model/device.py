"""The device that a network runs on: which, made deterministic, and how batches get there."""

import os
import platform
from functools import cache
from pathlib import Path

# Before torch is imported; without it cuBLAS may take sums in another order each time.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import torch
from torch import Tensor

from tasks.common.errors import UserError
from tasks.common.machine import gpu_share

COPIED_AT_ONCE = 1024  # images, on their way to a GPU


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


def hardware(device: torch.device) -> str:
    """The name of the device, and what else decides which kernels it computes with."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, cuDNN {torch.backends.cudnn.version()}"
    return f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}"


def _processor() -> str:
    """The processor's name where Linux tells it, else its architecture."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def resident(array: np.ndarray, device: torch.device, beside: int = 0) -> Tensor | None:
    """`array` on a GPU, where it fits; None where it does not, and on a CPU.

    Args:
        array: uint8 images, or float32 features.
        device: where they are wanted.
        beside: bytes of other images that lie there already. All of them together may take
            gpu_share() of the memory that would be free without them.
    """
    if device.type != "cuda":
        return None
    free = torch.cuda.mem_get_info(device)[0] + beside
    if array.nbytes + beside > gpu_share() * free:
        return None
    copy = torch.empty(array.shape, dtype=torch.from_numpy(array[:0].copy()).dtype, device=device)
    for start in range(0, len(array), COPIED_AT_ONCE):
        part = np.array(array[start : start + COPIED_AT_ONCE])
        copy[start : start + len(part)] = torch.from_numpy(part)
    return copy


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


def autocast(device: torch.device, training: bool = False) -> torch.autocast:
    """bfloat16 where the hardware computes in it, float32 elsewhere.

    On a CPU only in training: afterwards a model says the same on every one.
    """
    enabled = has_bfloat16(device) and (training or device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


@cache
def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16; where that is emulated, it takes longer."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch names them differently from version to version
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)
