"""Training on two simple classes: it learns, repeats bit for bit, and refuses bad settings."""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tasks.common.errors import UserError
from tasks.model.device import choose_device, fix_randomness, on_device
from tasks.model.inference import Normalise, predict
from tasks.model.networks import build_model
from tasks.train.feed import Feed
from tasks.train.loop.fit import channel_statistics, fit, train_epoch, training_progress
from tasks.train.loop.gradients import Loss
from tasks.train.loop.state import TrainingState, copy_of_weights
from tasks.train.params import TrainParams

PARAMS = TrainParams(epochs=6, batch_size=16, threads=1)


def two_classes(count: int) -> tuple[np.ndarray, torch.Tensor]:
    """Bright images and dark ones, with noise."""
    generator = np.random.default_rng(0)
    labels = torch.arange(count) % 2
    array = generator.integers(0, 100, (count, 3, 8, 8)) + labels.numpy()[:, None, None, None] * 150
    return array.astype(np.uint8), labels


def trained(device: str = "cpu") -> tuple[dict, list]:
    fix_randomness(PARAMS.seed, PARAMS.threads)
    images, labels = two_classes(64)
    network = nn.Sequential(Normalise(*channel_statistics(images)), build_model("small_cnn", 2, 8))
    best, history, _ = fit(
        network, Feed(images, labels), (images[:20], labels[:20]), PARAMS, torch.device(device)
    )
    return best, history["validation_accuracy"].tolist()


def test_it_learns_and_does_so_again_bit_for_bit() -> None:
    first, accuracy = trained()
    second, _ = trained()
    assert accuracy[-1] == 1.0
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_it_learns_on_the_gpu_and_does_so_again_bit_for_bit() -> None:
    first, accuracy = trained("cuda")
    second, _ = trained("cuda")
    assert accuracy[-1] == 1.0
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_one_line(count: int) -> None:
    images, labels = two_classes(count)
    network = nn.Sequential(Normalise([0.5] * 3, [0.2] * 3), build_model("small_cnn", 2, 8))
    with pytest.raises(UserError) as caught:
        fit(network, Feed(images, labels), two_classes(4), PARAMS, torch.device("cpu"))
    assert str(caught.value) == f"training needs 2 images in an epoch at least, found {count}"


def test_weights_that_are_channels_last_as_on_a_gpu_can_be_saved() -> None:
    network = build_model("small_cnn", 2, 8)
    expected = copy_of_weights(network)
    network.to(memory_format=torch.channels_last)
    weights = copy_of_weights(network)
    assert not network.features[0].weight.is_contiguous()
    assert all(torch.equal(weight, expected[name]) for name, weight in load(save(weights)).items())


def test_an_array_on_the_device_gives_the_batches_that_the_host_gives() -> None:
    images, labels = two_classes(21)
    feeds = [Feed(images, labels) for _ in range(2)]
    feeds[1].resident = torch.from_numpy(images)
    first, second = (list(feed.epoch(1, 4, seed=3)) for feed in feeds)
    assert [len(batch) for batch, _ in first] == [4] * 5  # the last sample, alone, is left out
    for one, other in zip(first, second, strict=True):
        assert all(map(torch.equal, one, other))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_batches_that_the_host_gathers() -> None:
    images, labels = two_classes(21)
    feeds = [Feed(images, labels) for _ in range(3)]
    for feed in feeds[1:]:
        feed.to(torch.device("cuda"))
    assert feeds[1].resident is not None
    feeds[2].resident = None  # as where the array is too large
    epochs = [list(feed.epoch(1, 4, seed=3)) for feed in feeds]
    for expected, *found in zip(*epochs, strict=True):
        for batch in found:
            assert all(part.is_cuda for part in batch)
            assert all(map(torch.equal, expected, [part.cpu() for part in batch]))


class Asked(TorchDispatchMode):
    """Counts how often a number is asked of a tensor: a GPU would be waited for."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        self.count += function in (
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.nonzero.default,
        )
        return function(*args, **(kwargs or {}))


def test_no_step_waits_for_the_device() -> None:
    images, labels = two_classes(64)
    network = nn.Sequential(Normalise([0.5] * 3, [0.2] * 3), build_model("small_cnn", 2, 8))
    feed = Feed(images, labels)
    feed.resident = torch.from_numpy(images)
    state = TrainingState(network, feed, PARAMS, torch.device("cpu"))
    with Asked() as asked, training_progress(state, torch.device("cpu")) as progress:
        train_epoch(state, Loss(), progress, None)
    assert state.batch == 4
    assert asked.count == 3  # after the epoch: is the loss a number, are the weights, the mean loss


def test_a_batch_that_is_on_the_device_stays_as_it_is() -> None:
    batch = torch.ones(3)
    assert on_device(batch, torch.device("cpu")) is batch


@pytest.mark.parametrize("name", ["foo", "meta", "cuda:99"])
def test_a_device_that_is_not_here_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VARIEGATE_DEVICE", name)
    with pytest.raises(
        UserError, match=f"^VARIEGATE_DEVICE: needs a device that is here, found '{name}': "
    ):
        choose_device()


def test_channel_statistics_by_hand() -> None:
    images = np.zeros((2, 3, 1, 1), np.uint8)
    images[1, 0] = 255
    mean, std = channel_statistics(images)
    assert mean == [0.5, 0.0, 0.0]
    assert std == [0.5, 0.001, 0.001]
    normalised = Normalise(mean, std)(torch.from_numpy(images))
    assert normalised[:, 0].flatten().tolist() == pytest.approx([-1, 1])


def test_predictions_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = two_classes(10)
    network = nn.Sequential(Normalise([0.5] * 3, [0.2] * 3), build_model("small_cnn", 2, 8))
    whole = predict(network, images, torch.device("cpu"))
    monkeypatch.setattr("tasks.model.inference.BATCH_SIZE", 3)
    assert torch.allclose(whole, predict(network, images, torch.device("cpu")), atol=1e-5)
