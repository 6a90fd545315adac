"""A frozen backbone stays as it is; training on its features is training the head on images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tasks.model.device import fix_randomness
from tasks.model.images import InputForm
from tasks.model.inference import Normalise, predict
from tasks.model.networks import build_model, head_of
from tasks.pixels.preprocess import AS_DECODED
from tasks.train.feed import Feed
from tasks.train.history import Fitted
from tasks.train.loop import frozen
from tasks.train.loop.fit import fit
from tasks.train.loop.frozen import FrozenBackbone, Images, assemble, learner
from tasks.train.loop.optimization import build_optimizer, build_schedule, parameter_groups
from tasks.train.params import TrainParams
from tests.tasks.train.loop.test_fit import two_classes

PARAMS = TrainParams(
    weights="x.pth", freeze="backbone", epochs=2, batch_size=8, learning_rate=0.01, threads=1
)
CPU = torch.device("cpu")
FORM = InputForm(8, "squeeze", AS_DECODED)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    yield


def network_of(params: TrainParams = PARAMS) -> nn.Sequential:
    fix_randomness(1, 1)
    return assemble(Normalise([0.5] * 3, [0.25] * 3), build_model("small_cnn", 2, 8), params)


def files(name: str, count: int) -> pd.DataFrame:
    """What identifies images: see image_array.wanted_images()."""
    hashes = [f"{name}{number:03d}" for number in range(count)]
    return pd.DataFrame({"sha256": hashes, "variant_index": 0})


def trained(params: TrainParams = PARAMS) -> tuple[Fitted, nn.Sequential, nn.Sequential]:
    """What training gives, what was trained, and the whole network."""
    array, labels = two_classes(24)
    network = network_of(params)
    images = (
        Images(array, files("training", 24), FORM),
        Images(array[:8], files("validation", 8), FORM),
    )
    with learner(network, *images, params, CPU) as part:
        feed = Feed(np.array(part.training), labels)
        fitted = fit(part.network, feed, (part.validation, labels[:8]), params, CPU)
        return (
            fitted._replace(weights=part.whole_weights(fitted.weights)),
            part.network,
            network,
        )


def test_the_backbone_and_what_its_batch_norms_know_stay_as_they_are() -> None:
    before = {k: v.clone() for k, v in network_of()[-1].state_dict().items()}
    for augmentation in ("offline", "online"):  # with and without features
        fitted, _, _ = trained(PARAMS.model_copy(update={"augmentation": augmentation}))
        changed = {k for k, v in fitted.weights.items() if not torch.equal(v, before[k])}
        assert fitted.weights.keys() == before.keys()
        assert changed == {"head.weight", "head.bias"}


def test_only_the_head_is_in_training_mode() -> None:
    network = network_of().train()
    assert {name for name, module in network.named_modules() if module.training} == {"1.head"}


def test_on_features_the_head_learns_what_it_learns_on_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # weights are compared to more digits than bfloat16 has
    monkeypatch.setattr("tasks.model.device.has_bfloat16", lambda _: False)
    on_features, head, _ = trained()
    on_images, whole, _ = trained(PARAMS.model_copy(update={"augmentation": "online"}))
    assert len(head) == 2 and isinstance(head[1], nn.Linear)
    assert isinstance(whole, FrozenBackbone)
    for name, weight in on_features.weights.items():
        assert torch.allclose(weight, on_images.weights[name], atol=1e-5), name
    assert np.allclose(on_features.history, on_images.history, atol=1e-4)


def test_the_weights_belong_to_the_whole_network() -> None:
    array, labels = two_classes(24)
    fitted, _, network = trained()
    network[-1].load_state_dict(fitted.weights)
    accuracy = (predict(network, array[:8], CPU).argmax(1) == labels[:8]).float().mean()
    assert float(accuracy) == pytest.approx(fitted.history["validation_accuracy"].max())


def test_kept_features_give_the_same_bytes_and_run_the_backbone_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = []
    features_of = frozen._features_of

    def counted(network: nn.Sequential, images: np.ndarray, device: torch.device) -> torch.Tensor:
        shown.append(len(images))
        return features_of(network, images, device)

    monkeypatch.setattr(frozen, "_features_of", counted)
    monkeypatch.setattr(frozen, "BATCH_SIZE", 16)
    first, _, _ = trained()
    assert sorted(shown) == [2, 2, 2, 8, 8, 16]  # two images, to know the backbone by
    shown.clear()
    second, _, _ = trained()
    assert shown == [2, 2, 2]
    assert all(torch.equal(weight, second.weights[name]) for name, weight in first.weights.items())


def test_another_backbone_has_other_features(monkeypatch: pytest.MonkeyPatch) -> None:
    array, _ = two_classes(24)
    images = (
        Images(array, files("training", 24), FORM),
        Images(array[:8], files("validation", 8), FORM),
    )
    network = network_of()
    with learner(network, *images, PARAMS, CPU) as part:
        first = np.array(part.training)
    with torch.no_grad():
        network[-1].features[0].weight[0] += 1
    with learner(network, *images, PARAMS, CPU) as part:
        assert not np.array_equal(part.training, first)


def test_where_more_than_the_head_follows_the_backbone_runs_in_each_step() -> None:
    class Pooled(nn.Module):
        """Squeezenet's way: the head is a convolution, and its maps are averaged."""

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(3, 2, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(images).mean(dim=(2, 3))

    network = FrozenBackbone(Normalise([0.5] * 3, [0.25] * 3), Pooled())
    array, _ = two_classes(4)
    images = Images(array, files("training", 4), FORM), Images(array, files("validation", 4), FORM)
    with learner(network, *images, PARAMS, CPU) as part:
        assert part.network is network and part.training is array and part.frozen is None


# --- learning rates -------------------------------------------------------------------------------


def test_a_new_head_on_pretrained_weights_learns_ten_times_as_fast() -> None:
    params = TrainParams(weights="x.pth", learning_rate=0.01)
    network = network_of(params)
    rest, head = parameter_groups(network, params)
    assert (rest["lr"], head["lr"]) == (0.01, 0.1)
    assert [id(w) for w in head["params"]] == [id(w) for w in head_of(network)[1].parameters()]
    assert len(rest["params"]) + len(head["params"]) == len(list(network.parameters()))
    optimizer = build_optimizer(network, params)
    schedule = build_schedule(optimizer, 10, params)
    highest = [max(rates) for rates in zip(*(_rates(schedule) for _ in range(10)), strict=True)]
    assert highest == pytest.approx([0.01, 0.1], rel=0.05)


def _rates(schedule: torch.optim.lr_scheduler.LRScheduler) -> list[float]:
    schedule.optimizer.step()
    schedule.step()
    return [group["lr"] for group in schedule.optimizer.param_groups]


def test_without_pretrained_weights_all_learn_alike() -> None:
    params = TrainParams(learning_rate=0.01)
    (group,) = parameter_groups(network_of(params), params)
    assert group["lr"] == 0.01


def test_of_a_frozen_backbone_the_head_alone_is_optimised() -> None:
    network = network_of()
    (group,) = parameter_groups(network, PARAMS)
    assert [w.shape for w in group["params"]] == [w.shape for w in network[-1].head.parameters()]
