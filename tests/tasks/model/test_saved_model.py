"""A saved model that is damaged is refused in one line: what it would say is no prediction."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tasks.common.errors import UserError
from tasks.dataset.paths import CARD, WEIGHTS
from tasks.model.networks import build_model
from tasks.model.saved_model import load_model

SAVED = {
    "model": "small_cnn", "classes": ["a", "b"], "image_size": 8, "fit": "pad",
    "preprocessing": {"range": "depth", "preprocess": [{"crop": {"width": 4, "height": 4}}]},
    "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 1], "recipe_hash": "0", "epoch": 1,
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    CARD.parent.mkdir()
    save_file(build_model("small_cnn", 2, 8).state_dict(), WEIGHTS)
    CARD.write_text(json.dumps(SAVED))
    return tmp_path


def refusal() -> str:
    with pytest.raises(UserError) as raised:
        load_model()
    start = "models/model.safetensors, models/model.json: cannot be read as a model: "
    assert str(raised.value).startswith(start) and str(raised.value).endswith("; train again")
    return str(raised.value)[len(start) : -len("; train again")]


def test_a_card_without_temperature_is_read(place: Path) -> None:
    network, card = load_model()
    assert card == SAVED
    assert network(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).shape == (1, 2)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("temperature", 0, "temperature: Input should be greater than 0"),
        ("temperature", None, "temperature: Input should be a valid number"),
        ("std", [0, 1, 1], "std.0: Input should be greater than 0"),
        ("image_size", "8", "image_size: Input should be a valid integer"),
        ("fit", "stretch", "fit: Input should be 'squeeze', 'pad' or 'crop'"),
    ],
)
def test_a_damaged_card_is_refused_with_its_entry(
    key: str, value: Any, reason: str, place: Path
) -> None:
    CARD.write_text(json.dumps({**SAVED, key: value}))
    assert refusal() == reason


def test_what_is_no_card_is_refused(place: Path) -> None:
    CARD.write_text("[]")
    assert refusal() == "model.json: Input should be an object"
    CARD.write_text("<<<<<<< HEAD")
    assert refusal().startswith("model.json: Invalid JSON: ")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value: float, place: Path) -> None:
    weights = build_model("small_cnn", 2, 8).state_dict()
    weights["head.bias"][0] = value
    save_file(weights, WEIGHTS)
    assert refusal() == "head.bias holds values that are no finite numbers"
