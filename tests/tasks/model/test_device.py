"""The device: what lies on it, in which numbers it computes, and what it is called."""

from collections import namedtuple

import numpy as np
import pytest
import torch

from tasks.common.errors import UserError
from tasks.common.machine import gpu_share
from tasks.model import device as module
from tasks.model.device import autocast, has_bfloat16, resident

CPU = torch.device("cpu")
Gpu = namedtuple("Gpu", "type")  # stands for a device of CUDA


@pytest.fixture(autouse=True)
def ask_again() -> None:
    has_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("beside", "share", "fits"),
    [
        (0, "0.7", True),  # 700 of 1,000 bytes
        (0, "0.69", False),
        (400, "0.7", False),  # 1,100 of 1,400
        (400, "0.8", True),
        (0, "0", False),
    ],
)
def test_images_lie_on_a_gpu_where_all_of_them_fit(
    beside: int, share: str, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.arange(700, dtype=np.uint16).astype(np.uint8).reshape(7, 1, 10, 10)
    monkeypatch.setenv("VARIEGATE_GPU_SHARE", share)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1_000, 9_999))
    monkeypatch.setattr(module, "COPIED_AT_ONCE", 3)
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda shape, dtype, device: empty(shape, dtype=dtype))
    copy = resident(array, Gpu("cuda"), beside)  # type: ignore[arg-type]
    assert (copy is not None) == fits
    if copy is not None:
        assert np.array_equal(copy.numpy(), array)


def test_a_cpu_needs_no_copy() -> None:
    assert resident(np.zeros((1, 3, 2, 2), np.uint8), CPU) is None


@pytest.mark.parametrize("text", ["", "half", "-0.1", "1.01", "nan"])
def test_a_share_that_is_none_is_one_line(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_GPU_SHARE", text)
    with pytest.raises(UserError) as found:
        gpu_share()
    assert str(found.value) == f"VARIEGATE_GPU_SHARE: needs a number from 0 to 1, found '{text}'"


@pytest.mark.parametrize("name", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_a_cpu_with_bfloat16_uses_it_in_training_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, each, lambda each=each: each == name, raising=False)
    layer, images = torch.nn.Linear(4, 2), torch.ones(1, 4)
    with autocast(CPU, training=True):
        assert layer(images).dtype == torch.bfloat16
    with autocast(CPU):
        assert layer(images).dtype == torch.float32


def test_a_torch_without_these_names_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not has_bfloat16(CPU)


@pytest.mark.parametrize(("capability", "has"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_has_bfloat16_from_ampere_on(
    capability: tuple[int, int], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert has_bfloat16(torch.device("cuda:0")) is has
