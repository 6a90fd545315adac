"""Networks by name: torchvision's classifiers, EfficientNet-Lite0, and a CNN for small images."""

import torch
from torch import nn

from tasks.common.errors import UserError
from tasks.model.efficientnet_lite import EfficientNetLite0
from tasks.model.params import SMALL_CNN_SIZES
from tasks.model.pooling import replace_pooling
from tasks.model.small_cnn import SmallCNN

OWN = ("small_cnn", "efficientnet_lite0")  # not torchvision's
# Arguments with which some of torchvision's builders give logits and nothing else.
EXTRA_ARGUMENTS: dict[str, dict] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}

# families of torchvision's classifiers
WITH_DROPOUT = (
    "alexnet, efficientnet, googlenet, inception_v3, maxvit, mnasnet, mobilenet, squeezenet, swin, "
    "vgg, vit"
)


def build_model(name: str, classes: int, size: int) -> nn.Module:
    """The network `name`, untrained, for square images of `size` pixels.

    It goes from float images (batch, 3, size, size) to logits (batch, classes).

    Raises:
        UserError: for an unknown name or a size that the network does not take.
    """
    if name == "small_cnn":
        return SmallCNN(classes, size)
    if name == "efficientnet_lite0":
        return EfficientNetLite0(classes)
    check_name(name)
    from torchvision.models import get_model

    extra = {"image_size": size} if name.startswith("vit_") else EXTRA_ARGUMENTS.get(name, {})
    try:
        network = get_model(name, weights=None, num_classes=classes, **extra)
        replace_pooling(network)
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UserError(
            f"params.yaml train.image_size: {name} does not take {size} pixels: {error}"
        ) from None
    return network


def set_dropout(network: nn.Module, probability: float, name: str) -> None:
    """Give all dropout layers of the network `name` this probability.

    Raises:
        UserError: where it has none.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    if not layers:
        raise UserError(
            f"params.yaml train.dropout: {name} has no dropout layer; these have: {WITH_DROPOUT}"
        )
    for layer in layers:
        layer.p = probability


def check_name(name: str) -> None:
    """Check the name before any work is done.

    Raises:
        UserError: where `name` is no network that build_model() knows.
    """
    if name in OWN:
        return
    from torchvision import models  # takes seconds

    if name not in models.list_models(module=models):
        raise UserError(
            f"params.yaml train.model: needs {', '.join(OWN)} or one of torchvision's classifiers, "
            f"found {name!r}"
        )


def head_of(network: nn.Module) -> tuple[str, nn.Module]:
    """The last layer, which has an output for each class, and its name in the network."""
    layers = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    return layers[-1]


def choose_size(
    name: str, image_size: int | str, sides: list[int], trained_size: int | None = None
) -> int:
    """The side of the network's input, in pixels.

    Args:
        name: of the network.
        image_size: a number, which is taken as it is; or `auto`: `trained_size`, else the median of
            `sides`, rounded up to a multiple of 8, within the range that the network is made for.
        sides: the longer side of each training image.
        trained_size: of the images that the weights were trained with, where that is known.
    """
    if isinstance(image_size, int):
        return image_size
    if trained_size is not None:
        return trained_size
    smallest, largest = SMALL_CNN_SIZES if name == "small_cnn" else (32, 224)
    median = sorted(sides)[len(sides) // 2]
    return min(largest, max(smallest, -(-median // 8) * 8))
