"""The key of a checkpoint: what decides a training's result, and one line for each part of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.dataset.paths import LEDGER, VALIDATED_MANIFEST
from tasks.model.device import hardware
from tasks.train.loop import checkpoint_key as module
from tasks.train.loop.checkpoint_key import checkpoint_key, difference
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams

TRAIN = TrainParams()
AUGMENT = AugmentParams(variants_per_image=1, policy=[{"HorizontalFlip": {"p": 0.5}}])
TURNED = [{"Rotate": {"limit": [-20, 20], "p": 1.0}}, *[{"GaussNoise": {"p": 0.5}}] * 2]
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (VALIDATED_MANIFEST, LEDGER):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"rows")


def with_params(name: str, **changes: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """`name`: TRAIN or AUGMENT."""
    changed = globals()[name].model_copy(update=changes)
    return lambda monkeypatch: monkeypatch.setitem(globals(), name, changed)


def with_value(owner: object, name: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda monkeypatch: monkeypatch.setattr(owner, name, value)


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "train.epochs was 16, is 12": with_params("TRAIN", epochs=12),
    "train.augmentation was offline, is online": with_params("TRAIN", augmentation="online"),
    "train.threads was 2, is 4": with_params("TRAIN", threads=4),
    "train.compile was false, is true": with_params("TRAIN", compile=True),
    "train.devices was 1, is 2": with_params("TRAIN", devices=2),
    "augment.seed was 42, is 7": with_params("AUGMENT", seed=7),
    "augment.policy changed": with_params("AUGMENT", policy=TURNED),
    "the validated manifest changed": lambda _: VALIDATED_MANIFEST.write_bytes(b"other rows"),
    "the ledger of variants changed": lambda _: LEDGER.write_bytes(b"other rows"),
    "the device was a card, is another card": with_value(
        module, "hardware", lambda _: "another card"
    ),
    "torch was 2.11.0, is 2.15.0": with_value(torch, "__version__", "2.15.0"),
    "torchvision was 1.0, is 1.1": with_value(module, "version", lambda _: "1.1"),
    "pillow was 12.0, is 13.0": with_value(module, "library_versions", lambda: {"pillow": "13.0"}),
    "the code in tasks/ changed": with_value(module, "code_hash", lambda: "b" * 64),
}


@pytest.mark.parametrize("text", CHANGES)
def test_what_differs_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "hardware", lambda _: "a card")
    monkeypatch.setattr(torch, "__version__", "2.11.0")
    monkeypatch.setattr(module, "version", lambda _: "1.0")
    monkeypatch.setattr(module, "library_versions", lambda: {"pillow": "12.0"})
    monkeypatch.setattr(module, "code_hash", lambda: "a" * 64)
    before = checkpoint_key(TRAIN, AUGMENT, CPU)
    assert checkpoint_key(TRAIN, AUGMENT, CPU) == before
    CHANGES[text](monkeypatch)
    assert difference(before, checkpoint_key(TRAIN, AUGMENT, CPU)) == text


def test_pretrained_weights_are_part_of_it() -> None:
    none, some, other = (
        checkpoint_key(TRAIN, AUGMENT, CPU, weights)
        for weights in (None, {"of resnet18": "a" * 64}, {"of resnet18": "b" * 64})
    )
    assert difference(some, other) == "the weights of resnet18 changed"
    assert difference(none, some) == "the weights of resnet18 changed"


def test_a_parameter_that_was_not_there() -> None:
    assert difference({"a": "1"}, {"a": "1", "train.new": "0"}) == "train.new was not set, is 0"
    assert difference({"a": "1", "b": "2"}, {"a": "1"}) == "b was 2, is not set"


def test_every_parameter_is_named_as_in_params_yaml() -> None:
    key = checkpoint_key(TRAIN, AUGMENT, CPU)
    named = {f"train.{name}" for name in TrainParams.model_fields}
    named |= {f"augment.{name}" for name in AugmentParams.model_fields}
    assert named <= key.keys()
    assert {"torch", "torchvision", "numpy", "pillow", "opencv-python-headless"} <= key.keys()
    assert {type(value) for value in key.values()} == {str}  # what weights_only reads


def test_a_processor_is_named_with_the_instructions_that_torch_uses() -> None:
    name, _, capability = hardware(CPU).rpartition(", ")
    assert name
    assert capability == torch.backends.cpu.get_cpu_capability()
