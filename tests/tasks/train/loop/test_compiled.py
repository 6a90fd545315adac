"""torch.compile: for whole batches only, and beside the network."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tasks.common.errors import UserError
from tasks.train.loop.compiled import forward_of
from tasks.train.params import TrainParams

PARAMS = TrainParams(batch_size=4, compile=True)


def test_nothing_is_compiled_unless_asked() -> None:
    network = nn.Linear(3, 2)
    assert forward_of(network, TrainParams()) is network


def test_the_last_smaller_batch_is_not_compiled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network, compiled = nn.Linear(3, 2), []

    def compile(module: nn.Module, **_: Any) -> Any:
        return lambda images: (compiled.append(len(images)), module(images))[1]

    monkeypatch.setattr(torch, "compile", compile)
    forward = forward_of(network, PARAMS)
    assert capsys.readouterr().out == (
        "compiling the network: the first step takes from seconds to some minutes\n"
    )
    for size in (4, 4, 3):
        images = torch.randn(size, 3)
        assert torch.equal(forward(images), network(images))
    assert compiled == [4, 4]
    assert list(network.state_dict()) == ["weight", "bias"]


@pytest.mark.slow  # imports torch's compiler
def test_a_machine_that_cannot_compile_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def failing(images: Tensor) -> Tensor:
        raise TorchDynamoException("\nInvalidCxxCompiler: No working C++ compiler found\nmore")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: failing)
    with pytest.raises(UserError) as found:
        forward_of(nn.Linear(3, 2), PARAMS)(torch.zeros(4, 3))
    assert str(found.value) == (
        "params.yaml train.compile: the network cannot be compiled on this machine: "
        "InvalidCxxCompiler: No working C++ compiler found; write compile: false"
    )


@pytest.mark.slow
def test_a_compiled_network_says_the_same() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    images = torch.randn(4, 3, 8, 8)
    assert torch.allclose(forward_of(network, PARAMS)(images), network(images), atol=1e-5)
