"""Which device a process trains on, or why there is none."""

import pytest
import torch

from tasks.common.errors import UserError
from tasks.train.distributed.devices import device_of
from tasks.train.distributed.group import ALONE, Group


def test_on_a_cpu_all_processes_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_DEVICE", "cpu")
    assert {device_of(Group(rank, 4, rank, 4)) for rank in range(4)} == {torch.device("cpu")}
    assert device_of(ALONE) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "gpus", "expected"),
    [
        (None, 1, "params.yaml train.devices: needs 4 GPUs on this machine, found 1"),
        ("cuda", 0, "params.yaml train.devices: needs 4 GPUs on this machine, found 0"),
        (
            "cuda:1",
            4,
            "VARIEGATE_DEVICE: needs cuda or cpu where train.devices is 8, found 'cuda:1'; "
            "CUDA_VISIBLE_DEVICES says which GPUs",
        ),
    ],
)
def test_what_is_not_there(
    name: str | None, gpus: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setenv("VARIEGATE_DEVICE", name or "")
    with pytest.raises(UserError) as caught:
        device_of(Group(rank=5, size=8, local_rank=1, local_size=4))  # of the second host
    assert str(caught.value) == expected
