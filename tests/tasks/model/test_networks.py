"""Networks give logits at the sizes they take; wrong names and sizes are one line."""

import pytest
import torch
from torch import nn

from tasks.common.errors import UserError
from tasks.model.networks import build_model, choose_size, set_dropout
from tasks.model.pooling import AveragePool, shares


@pytest.mark.parametrize("size", [8, 32, 33, 64])
def test_the_small_cnn_gives_logits_at_every_size(size: int) -> None:
    network = build_model("small_cnn", 7, size)
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 7)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "googlenet"])
def test_torchvisions_networks_give_logits_in_training_too(name: str) -> None:
    network = build_model(name, 5, 64)
    assert network.train()(torch.zeros(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        (
            "resnet19",
            64,
            "params.yaml train.model: needs small_cnn, efficientnet_lite0 or one of torchvision's "
            "classifiers, found 'resnet19'",
        ),
    ],
)
def test_a_wrong_network_is_one_line(name: str, size: int, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        build_model(name, 3, size)
    assert str(caught.value) == expected


def test_a_size_that_a_network_does_not_take_is_one_line() -> None:
    with pytest.raises(
        UserError, match=r"params\.yaml train\.image_size: vit_b_16 does not take 30 pixels: "
    ):
        build_model("vit_b_16", 3, 30)


@pytest.mark.parametrize(
    ("name", "given", "sides", "expected"),
    [
        ("small_cnn", "auto", [8], 8),
        ("small_cnn", "auto", [28, 28, 500], 32),
        ("small_cnn", "auto", [600], 64),
        ("small_cnn", "auto", [3], 8),
        ("resnet18", "auto", [600], 224),
        ("resnet18", "auto", [8], 32),
        ("resnet18", 100, [600], 100),
    ],
)
def test_the_size_follows_the_images(
    name: str, given: int | str, sides: list[int], expected: int
) -> None:
    assert choose_size(name, given, sides) == expected


def test_pretrained_weights_bring_their_size_unless_another_is_asked_for() -> None:
    assert choose_size("resnet18", "auto", [28], trained_size=224) == 224
    assert choose_size("resnet18", 96, [28], trained_size=224) == 96


@pytest.mark.parametrize("name", ["alexnet", "vgg11"])
def test_pooling_to_several_places_is_replaced(name: str) -> None:
    assert isinstance(build_model(name, 2, 64).avgpool, AveragePool)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (6, 13), (1, 3), (10, 2)])
def test_pooling_by_matrices_is_torchs(height: int, width: int) -> None:
    images = torch.rand(2, 3, height, width)
    expected = torch.nn.functional.adaptive_avg_pool2d(images, (4, 7))
    assert torch.allclose(shares(height, 4) @ images @ shares(width, 7).T, expected)
    assert torch.equal(AveragePool((4, 7))(images), expected)


def test_dropout_is_set_where_the_network_has_it() -> None:
    network = build_model("squeezenet1_1", 2, 32)
    set_dropout(network, 0.3, "squeezenet1_1")
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.3]
    with pytest.raises(UserError) as caught:
        set_dropout(build_model("small_cnn", 2, 8), 0.3, "small_cnn")
    assert str(caught.value) == (
        "params.yaml train.dropout: small_cnn has no dropout layer; these have: alexnet, "
        "efficientnet, googlenet, inception_v3, maxvit, mnasnet, mobilenet, squeezenet, swin, "
        "vgg, vit"
    )
