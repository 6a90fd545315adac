"""The temperature is the one with the least loss, and 1 where images do not tell it."""

import numpy as np
import pytest
import torch

from tasks.model.calibration import LEAST_IMAGES, Temperature, fit_temperature, to_probabilities


def drawn(images: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels drawn with the very probabilities that these logits give."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (images, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) < generator.random((images, 1))).sum(axis=1)
    return torch.from_numpy(logits).float(), torch.from_numpy(labels.clip(max=classes - 1))


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_logits_that_are_too_large_or_too_small_are_scaled_back(scale: float) -> None:
    logits, labels = drawn(20_000, 5)
    found = fit_temperature(logits * scale, labels)
    assert found.reason == ""
    assert found.value == pytest.approx(scale, rel=0.04)


def test_no_other_temperature_has_less_loss_on_many_images() -> None:
    logits, labels = drawn(5_000, 3)
    value = fit_temperature(3 * logits, labels).value
    loss = {
        temperature: -to_probabilities(3 * logits, temperature)
        .log()
        .gather(1, labels[:, None])
        .mean()
        .item()
        for temperature in (value, value * 1.1, value / 1.1)
    }
    assert min(loss, key=loss.__getitem__) == value


def test_where_all_images_are_recognised_confidence_ends_below_one() -> None:
    labels = torch.arange(100) % 4
    logits = torch.nn.functional.one_hot(labels, 4).float() * 3
    found = fit_temperature(logits, labels)
    assert found.reason == "" and 0.05 < found.value < 1
    # of 102 images one is of the other classes
    assert to_probabilities(logits, found.value).max().item() == pytest.approx(101 / 102, abs=1e-4)


@pytest.mark.parametrize(
    ("logits", "reason"),
    [
        (torch.zeros(LEAST_IMAGES - 1, 2), "19 validation images, fewer than 20"),
        (torch.zeros(30, 1), "one class"),
        (torch.full((30, 2), torch.nan), "logits that are no numbers"),
    ],
)
def test_images_that_tell_nothing_give_one_and_a_reason(logits: torch.Tensor, reason: str) -> None:
    targets = torch.zeros(len(logits), dtype=torch.int64)
    assert fit_temperature(logits, targets) == Temperature(1.0, reason)


def test_a_network_that_is_always_wrong_gives_one_and_a_reason() -> None:
    logits = torch.tensor([[9.0, 0.0]]).repeat(50, 1)
    found = fit_temperature(logits, torch.ones(50, dtype=torch.int64))
    assert found == Temperature(1.0, "none between 0.05 and 20 is best")


def test_no_prediction_changes() -> None:
    logits, _ = drawn(500, 7)
    for temperature in (0.05, 0.6365, 20.0):
        probabilities = to_probabilities(logits, temperature)
        assert torch.equal(probabilities.argmax(1), logits.argmax(1))
        assert torch.allclose(probabilities.sum(1), torch.ones(500, dtype=torch.float64))
