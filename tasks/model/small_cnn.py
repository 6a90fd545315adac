"""A convolutional network for images of 8 to 64 pixels a side."""

from torch import Tensor, nn


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
