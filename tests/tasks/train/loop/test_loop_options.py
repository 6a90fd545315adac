"""What people expect of a training loop: average, clipping, weights, patience, failures, memory."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.common.errors import UserError
from tasks.dataset.paths import HISTORY, TRAIN_METRICS
from tasks.model.inference import Normalise, predict
from tasks.model.networks import build_model
from tasks.train.feed import Feed
from tasks.train.history import Fitted, epochs_without_improvement
from tasks.train.loop.average import WeightAverage
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.fit import fit, train_step
from tasks.train.loop.gradients import Loss, add_gradients
from tasks.train.loop.out_of_memory import told_in_one_line
from tasks.train.loop.state import TrainingState
from tasks.train.outputs import report_history, write_history
from tasks.train.params import TrainParams
from tests.tasks.train.loop.test_fit import two_classes

CPU = torch.device("cpu")


class Plain(nn.Module):
    """A network without batch norm: a bias is all that it adds to the mean of each channel."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(3, 2)
        self.most = most  # images that there is room for
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.most is not None and len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.sizes.append(len(images))
        return self.head(images.mean(dim=(2, 3)))


class Normed(Plain):
    """The same with batch norm."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__(most)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.norm(images))


def network_of(core: nn.Module) -> nn.Sequential:
    return nn.Sequential(Normalise([0.5] * 3, [0.2] * 3), core)


def fitted(core: nn.Module, count: int = 40, **changes: Any) -> Fitted:
    images, labels = two_classes(count)
    params = TrainParams(**{"epochs": 2, "batch_size": 16, "threads": 1, **changes})
    feed = Feed(images, labels, name_of="image {}".format)
    return fit(network_of(core), feed, (images, labels), params, CPU)


def state_of(core: nn.Module, **changes: Any) -> TrainingState:
    images, labels = two_classes(8)
    params = TrainParams(**{"epochs": 2, "batch_size": 4, "threads": 1, **changes})
    return TrainingState(network_of(core), Feed(images, labels), params, CPU)


# --- the average of the weights -------------------------------------------------------------------


def test_the_average_by_hand() -> None:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(1.0)
    average = WeightAverage(layer, 0.5)
    layer.weight.data.fill_(2.0)
    average.update(step=0)  # decay (1 + 0) / (10 + 0)
    assert average.network.weight.item() == pytest.approx(0.1 * 1 + 0.9 * 2)
    layer.weight.data.fill_(4.0)
    average.update(step=100)
    assert average.network.weight.item() == pytest.approx(0.5 * 1.9 + 0.5 * 4)
    assert layer.weight.item() == 4.0


def test_the_average_has_what_batch_norms_have_seen() -> None:
    norm = nn.BatchNorm1d(2)
    average = WeightAverage(norm, 0.75)
    norm.train()(torch.randn(8, 2) + 5)
    assert norm.running_mean is not None and norm.num_batches_tracked is not None
    average.update(step=1000)
    assert torch.allclose(average.network.running_mean, norm.running_mean * 0.25)
    assert average.network.num_batches_tracked.item() == 1


def test_validation_and_the_kept_weights_are_those_of_the_average() -> None:
    images, labels = two_classes(40)
    core = Plain()
    network = network_of(core)
    params = TrainParams(epochs=1, batch_size=4, threads=1, ema=0.9)
    weights, history, _ = fit(network, Feed(images, labels), (images, labels), params, CPU)
    assert not torch.equal(weights["head.weight"], core.head.weight)
    core.load_state_dict(weights)
    loss = functional.cross_entropy(predict(network, images, CPU), labels)
    assert history["validation_loss"].tolist() == [pytest.approx(float(loss))]


# --- gradients ------------------------------------------------------------------------------------


def test_weights_of_classes_count_whole_images() -> None:
    logits, labels = torch.tensor([[1.0, -1.0], [0.5, 2.0]]), torch.tensor([0, 1])
    each = functional.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    loss = Loss(0.1, torch.tensor([0.5, 3.0]))
    assert loss.of(logits, labels).item() == pytest.approx(float(each @ torch.tensor([0.5, 3.0])))
    shares = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    mixed = functional.cross_entropy(logits, shares, label_smoothing=0.1, reduction="none")
    expected = float(mixed @ torch.tensor([1.75, 3.0]))
    assert loss.of(logits, shares).item() == pytest.approx(expected)
    assert Loss(0.1).of(logits, labels).item() == pytest.approx(float(each.sum()))


def test_gradients_of_parts_are_those_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    # gradients are compared to more digits than bfloat16 has
    monkeypatch.setattr("tasks.model.device.has_bfloat16", lambda _: False)
    images, labels = two_classes(10)
    core = Plain()
    found = []
    for at_once in (None, 3):
        core.zero_grad()
        loss = add_gradients(network_of(core), torch.from_numpy(images), labels, Loss(), at_once)
        found.append((float(loss), core.head.weight.grad.clone()))
    assert core.sizes == [10, 3, 3, 3, 1]
    assert found[0][0] == pytest.approx(found[1][0])
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)


def test_clipping_bounds_what_a_step_changes() -> None:
    images, labels = two_classes(16)
    norms = []
    for clip_norm in (None, 1e-3):
        core = Plain()
        params = TrainParams(epochs=1, batch_size=16, threads=1, clip_norm=clip_norm)
        seen: list[Tensor] = []
        state = TrainingState(network_of(core), Feed(images, labels), params, CPU)
        state.optimizer.register_step_pre_hook(
            lambda optimizer, *_, seen=seen: seen.append(
                nn.utils.get_total_norm([p.grad for p in optimizer.param_groups[0]["params"]])
            )
        )
        train_step(state, torch.from_numpy(images), labels, Loss())
        norms.append(float(seen[0]))
    assert norms[0] > 0.1 and norms[1] == pytest.approx(1e-3, rel=1e-2)


# --- when it ends ---------------------------------------------------------------------------------


def rows(*accuracies: float) -> list[dict[str, float]]:
    return [{"validation_accuracy": accuracy} for accuracy in accuracies]


def test_epochs_without_a_better_accuracy() -> None:
    assert epochs_without_improvement([]) == 0
    assert epochs_without_improvement(rows(0.5)) == 0
    assert epochs_without_improvement(rows(0.5, 0.5, 0.4)) == 2
    assert epochs_without_improvement(rows(0.5, 0.4, 0.6)) == 0


def test_patience_ends_a_training_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    core = Plain()
    done = fitted(core, epochs=30, patience=2, learning_rate=1e-9)
    assert len(done.history) == 3
    assert capsys.readouterr().out.splitlines()[-1] == (
        "training stopped after epoch 3: no better validation accuracy in 2 epochs"
    )
    assert len(fitted(Plain(), epochs=4, learning_rate=1e-9).history) == 4


class Broken(Plain):
    """The loss is no number from one step on."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return logits * float("nan") if len(self.sizes) == 2 and self.training else logits


def test_a_loss_that_is_no_number_names_its_step_and_images() -> None:
    images, labels = two_classes(40)
    names = Feed(images, labels, name_of="image {}".format).names(1, 16, 42, 1)
    with pytest.raises(UserError) as caught:
        fitted(Broken())
    assert str(caught.value) == (
        "params.yaml train: the loss left all bounds in step 2 (epoch 1, batch 2: "
        f"{', '.join(names[:3])} and 13 more); lower train.learning_rate, or write `clip_norm: 1.0`"
    )
    with pytest.raises(UserError, match=r"and 13 more\); lower train\.learning_rate$"):
        fitted(Broken(), clip_norm=2.0)


def test_no_checkpoint_is_kept_of_weights_that_are_no_numbers(tmp_path: Path) -> None:
    state = state_of(Plain())
    state.end_step(torch.tensor(1.0), 4)  # the loss was finite, its gradients were not
    state.network[-1].head.weight.data.fill_(float("inf"))
    checkpoint = Checkpoint({}, tmp_path)
    with pytest.raises(UserError, match=r"^params\.yaml train: the loss left all bounds in step 1"):
        checkpoint.save(state)
    assert list(tmp_path.iterdir()) == []


def test_the_first_step_that_failed_is_the_one_that_is_named() -> None:
    state = state_of(Plain())
    for loss in (1.0, float("inf"), float("nan"), 1.0):
        state.end_step(torch.tensor(loss), 4)
    assert int(state.first_bad) == 1


def test_a_running_training_writes_what_it_writes_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images, labels = two_classes(16)
    params = TrainParams(epochs=3, batch_size=8, threads=1)
    seen = []

    def write(history: list[dict[str, float]]) -> None:
        write_history(history)
        seen.append((HISTORY.read_bytes(), TRAIN_METRICS.read_bytes()))

    network = network_of(Plain())
    done = fit(network, Feed(images, labels), (images, labels), params, CPU, None, None, write)
    assert [text.count(b"\n") for text, _ in seen] == [2, 3, 4]  # a header, a line for each epoch
    assert [json.loads(text)["epochs"] for _, text in seen] == [1, 2, 3]
    report_history(done)
    assert (HISTORY.read_bytes(), TRAIN_METRICS.read_bytes()) == seen[-1]


# --- memory ---------------------------------------------------------------------------------------


def test_a_batch_without_room_is_taken_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    whole, parted = fitted(Plain()), fitted(Plain(most=5))
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "do not fit" in line] == [
        f"step 1: {tried} images at once do not fit in the memory of cpu; from here on "
        f"{tried // 2} are taken at once and their gradients added, which is the same step "
        "up to rounding"
        for tried in (16, 8)
    ]
    assert (whole.images_at_once, parted.images_at_once) == (None, 4)
    for name, weight in whole.weights.items():
        assert torch.allclose(weight, parted.weights[name], atol=1e-4)


def test_with_batch_norm_a_size_that_fits_is_told() -> None:
    with pytest.raises(UserError) as caught:
        fitted(Normed(most=5))
    assert str(caught.value) == (
        "params.yaml train.batch_size: 16 images at once do not fit in the memory of cpu, 4 do: "
        "write batch_size: 4 (batch normalisation needs them all at once), or lower "
        "train.image_size"
    )


@pytest.mark.parametrize(("core", "tried"), [(Plain(most=0), 1), (Normed(most=1), 16)])
def test_where_nothing_fits_another_network_is_advised(core: nn.Module, tried: int) -> None:
    with pytest.raises(UserError) as caught:
        fitted(core)
    assert str(caught.value) == (
        f"params.yaml train.batch_size: {tried} images at once do not fit in the memory of cpu; "
        "lower train.image_size, or take a smaller train.model"
    )


def test_a_frozen_batch_norm_takes_parts() -> None:
    core = Normed(most=5)
    core.norm.eval()
    core.norm.train = lambda mode=True: core.norm  # type: ignore[method-assign]
    assert fitted(core).images_at_once == 4


def test_no_room_for_anything_else_is_one_line() -> None:
    with (
        pytest.raises(UserError, match=r"^params\.yaml train: the memory of cpu is too small"),
        told_in_one_line(CPU),
    ):
        raise torch.OutOfMemoryError


def test_predictions_are_made_in_parts_that_fit() -> None:
    images, _ = two_classes(21)
    core = Plain(most=5)
    found = predict(network_of(core), images, CPU)
    assert core.sizes == [5, 5, 5, 5, 1]
    core.most = None
    assert torch.allclose(found, predict(network_of(core), images, CPU), atol=1e-6)
    core.most = 0
    with pytest.raises(torch.OutOfMemoryError):
        predict(network_of(core), images, CPU)


# --- resuming -------------------------------------------------------------------------------------


class Recorder(Checkpoint):
    """Keeps the state after each step."""

    def __init__(self, states: list[dict[str, Any]], first: dict[str, Any] | None = None) -> None:
        super().__init__({}, Path("unused"))
        self.states, self.first = states, first

    def restore(self, state: TrainingState) -> None:
        if self.first is not None:
            state.load_state_dict(copy.deepcopy(self.first))

    def save_if_due(self, state: TrainingState, end_of_epoch: bool = False) -> None:
        self.states.append(copy.deepcopy(state.state_dict()))


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_a_training_goes_on_from_any_step_with_all_options(schedule: str) -> None:
    saved: list[dict[str, Any]] = []
    images, labels = two_classes(33)
    options: dict[str, Any] = {"schedule": schedule, "ema": 0.9, "clip_norm": 0.5, "patience": 2}
    options |= {} if schedule == "one_cycle" else {"warmup_epochs": 0.5}
    params = TrainParams(epochs=3, batch_size=8, threads=1, balance="sampler", **options)

    def run(checkpoint: Checkpoint) -> tuple[Fitted, np.ndarray]:
        torch.manual_seed(0)
        feed = Feed(images, labels, balanced=True)
        core = build_model("small_cnn", 2, 8)
        return fit(network_of(core), feed, (images, labels), params, CPU, checkpoint), feed.shown

    whole, shown = run(Recorder(saved))
    for state in saved[::4]:
        again, shown_again = run(Recorder([], state))
        assert again.history.equals(whole.history)
        assert (shown_again == shown).all()
        assert all(torch.equal(again.weights[name], whole.weights[name]) for name in whole.weights)
