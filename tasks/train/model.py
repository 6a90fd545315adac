"""Networks by name: torchvision's classifiers, and a small CNN for small images."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.common.errors import UserError
from tasks.train.params import SMALL_CNN_SIZES

# Arguments with which some of torchvision's builders give logits and nothing else.
EXTRA_ARGUMENTS: dict[str, dict] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


class SmallCNN(nn.Module):
    """Three stages of two 3x3 convolutions with batch norm and GELU; about 290,000 weights.

    From float images (batch, 3, size, size), 8 <= size <= 64, to logits (batch, classes). Above 32
    pixels the first convolution has stride 2.
    """

    def __init__(self, classes: int, size: int, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for stage, width in enumerate(widths):
            stride = 2 if stage == 0 and size > 32 else 1
            layers += [*_convolution(before, width, stride), *_convolution(width, width, 1)]
            if stage < len(widths) - 1:
                layers.append(nn.MaxPool2d(2))
            before = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(before, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).mean(dim=(2, 3)))


def _convolution(before: int, width: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.GELU()]


class AveragePool(nn.Module):
    """Adaptive average pooling whose gradient on CUDA is the same each time; torch's is not.

    From (batch, channels, height, width) to (batch, channels, *size).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        if not images.is_cuda:
            return functional.adaptive_avg_pool2d(images, self.size)
        rows, columns = (
            shares(before, after).to(images)
            for before, after in zip(images.shape[2:], self.size, strict=True)
        )
        return rows @ images @ columns.T


def shares(before: int, after: int) -> Tensor:
    """What each of `before` places has in the means of `after`: (after, before)."""
    places, means = torch.arange(before), torch.arange(after)[:, None]
    first, end = means * before // after, -((means + 1) * -before // after)
    inside = (places >= first) & (places < end)
    return inside / inside.sum(dim=1, keepdim=True)


def build_model(name: str, classes: int, size: int) -> nn.Module:
    """The network `name`, untrained, for square images of `size` pixels.

    It goes from float images (batch, 3, size, size) to logits (batch, classes).

    Raises:
        UserError: for an unknown name or a size that the network does not take.
    """
    if name == "small_cnn":
        return SmallCNN(classes, size)
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


def replace_pooling(network: nn.Module) -> None:
    """Put AveragePool where AlexNet and VGG pool to several places; other networks pool to one."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size not in (1, (1, 1)):
                setattr(module, name, AveragePool(cast(tuple[int, int], child.output_size)))


def check_name(name: str) -> None:
    """Check the name before any work is done.

    Raises:
        UserError: where `name` is no network that build_model() knows.
    """
    if name == "small_cnn":
        return
    from torchvision import models  # takes seconds

    if name not in models.list_models(module=models):
        raise UserError(
            "params.yaml train.model: needs small_cnn or one of torchvision's classifiers, "
            f"found {name!r}"
        )


def choose_size(name: str, image_size: int | str, sides: list[int]) -> int:
    """The side of the network's input, in pixels.

    Args:
        name: of the network.
        image_size: a number, which is taken as it is; or `auto`: the median of `sides`, rounded up
            to a multiple of 8, within the range that the network is made for.
        sides: the longer side of each training image.
    """
    if isinstance(image_size, int):
        return image_size
    smallest, largest = SMALL_CNN_SIZES if name == "small_cnn" else (32, 224)
    median = sorted(sides)[len(sides) // 2]
    return min(largest, max(smallest, -(-median // 8) * 8))
