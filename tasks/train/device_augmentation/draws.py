"""What the steps of a policy draw for each image, by Philox: the same in every batch and order.

It is drawn on the CPU, in float64, some numbers for each image: so a batch on a GPU gets the same.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tasks.train.device_augmentation import philox
from tasks.train.device_augmentation.policy import (
    ErasedArea,
    Holes,
    Jitter,
    ResizedCrop,
    Step,
    Symmetry,
    Tone,
    Warp,
)
from tasks.variants.step_ranges import Span
from tasks.variants.transforms import ELEMENTS

POLICY_STREAM, MIXING_STREAM = 0, 1  # of Philox
CROP_ATTEMPTS = 10  # as many as Albumentations makes
# Of each element of the group, as Albumentations does it: transpose, then mirror x, then mirror y.
MOVES = {
    "e": (False, False, False),
    "r90": (True, False, True),
    "r180": (False, True, True),
    "r270": (True, True, False),
    "v": (False, False, True),
    "hvt": (True, True, True),
    "h": (False, True, False),
    "t": (True, False, False),
}
ELEMENT_NAMES = tuple(ELEMENTS)


class Drawn(NamedTuple):
    """What one step draws for some images.

    `chosen`: int64 (images,): of a Symmetry the element's number in ELEMENTS, else 1 where the step
    is applied. `values`: float64 (images, ...), those that do nothing where it is not:
    of geometry an inverse map (images, 2, 3), from a place of the result to one of the image, in
    pixels from the middle; of Tone contrast and brightness; of Jitter the factors of brightness,
    contrast and saturation, and at which place of the order each comes; of holes left, top, right
    and bottom of each (images, holes, 4).
    """

    chosen: Tensor
    values: Tensor


def draw_steps(steps: Sequence[Step], keys: Tensor, epoch: int, size: int) -> list[Drawn]:
    """What each step draws for each image in an epoch.

    Args:
        steps: of a policy.
        keys: of the images' sources, see philox.source_keys().
        epoch: from 1.
        size: of a side of the images, in pixels.
    """
    numbers = [1 + _DRAWS[type(step)][0](step) for step in steps]
    drawn = philox.uniforms(keys, epoch, POLICY_STREAM, sum(numbers))
    own = torch.split(drawn, numbers, dim=1)
    return [_draw(step, its, size) for step, its in zip(steps, own, strict=True)]


def _draw(step: Step, numbers: Tensor, size: int) -> Drawn:
    return _DRAWS[type(step)][1](step, numbers[:, 0] < step.p, numbers[:, 1:], size)


def between(number: Tensor, span: Span) -> Tensor:
    """Numbers in [0, 1) as numbers of a range."""
    return span[0] + number * (span[1] - span[0])


def whole_between(number: Tensor, low: Tensor | int, high: Tensor | int) -> Tensor:
    """Numbers in [0, 1) as whole ones from low to high, both included."""
    return low + torch.floor(number * (high - low + 1))


def _columns(numbers: Tensor) -> list[Tensor]:
    """Each in one piece of memory: a sine may have another last bit where numbers lie apart."""
    return list(numbers.t().contiguous())


# --- geometry ---------------------------------------------------------------------------------


def _draw_symmetry(step: Symmetry, applied: Tensor, numbers: Tensor, size: int) -> Drawn:
    elements = torch.tensor([ELEMENT_NAMES.index(each) for each in step.elements])
    drawn = elements[whole_between(numbers[:, 0], 0, len(elements) - 1).long()]
    chosen = torch.where(applied, drawn, 0)
    return Drawn(chosen, _inverse_moves()[chosen])


def _inverse_moves() -> Tensor:
    """The inverse map of each element of the group: (8, 2, 3)."""
    maps = torch.zeros(len(ELEMENT_NAMES), 2, 3, dtype=torch.float64)
    for number, (transpose, mirror_x, mirror_y) in enumerate(MOVES[each] for each in ELEMENT_NAMES):
        maps[number, int(transpose), 0] = -1 if mirror_x else 1
        maps[number, 1 - int(transpose), 1] = -1 if mirror_y else 1
    return maps


def _draw_warp(step: Warp, applied: Tensor, numbers: Tensor, size: int) -> Drawn:
    rotate, scale_x, scale_y, shear_x, shear_y, shift_x, shift_y = _columns(numbers)
    width = between(scale_x, step.scale_x)
    height = width if step.keep_ratio else between(scale_y, step.scale_y)
    angle = torch.deg2rad(between(rotate, step.rotate))
    cos, sin = torch.cos(angle), torch.sin(angle)
    # as Albumentations has it: scaled, turned, sheared, shifted
    tan_x = torch.tan(torch.deg2rad(-between(shear_x, step.shear_x)))
    tan_y = torch.tan(torch.deg2rad(-between(shear_y, step.shear_y)))
    a, b = (cos - tan_x * sin) * width, (sin + tan_x * cos) * height
    c, d = (tan_y * cos - sin) * width, (tan_y * sin + cos) * height
    x = _shift(shift_x, step.shift_x, step.in_pixels, size)
    y = _shift(shift_y, step.shift_y, step.in_pixels, size)
    # a map without an inverse, such as a scale of 0, shows the middle pixel everywhere
    determinant = a * d - b * c
    inverse = torch.where(determinant == 0, 0.0, 1 / determinant)
    a, b, c, d = d * inverse, -b * inverse, -c * inverse, a * inverse
    maps = torch.stack([a, b, -(a * x + b * y), c, d, -(c * x + d * y)], dim=1).view(-1, 2, 3)
    return Drawn(applied.long(), _where(applied, maps, _nothing_moved()))


def _shift(number: Tensor, span: Span, in_pixels: bool, size: int) -> Tensor:
    """Whole pixels, as Albumentations shifts by: of a share the fraction of a pixel is cut off."""
    if in_pixels:
        return whole_between(number, int(span[0]), int(span[1]))
    return torch.trunc(between(number, span) * size)


def _draw_crop(step: ResizedCrop, applied: Tensor, numbers: Tensor, size: int) -> Drawn:
    areas, ratios = numbers[:, :CROP_ATTEMPTS], numbers[:, CROP_ATTEMPTS : 2 * CROP_ATTEMPTS]
    area = between(areas, step.scale) * size**2
    logs = math.log(step.ratio[0]), math.log(step.ratio[1])
    ratio = torch.exp(between(ratios, logs))
    width, height = torch.round(torch.sqrt(area * ratio)), torch.round(torch.sqrt(area / ratio))
    fits = (width > 0) & (height > 0) & (width <= size) & (height <= size)
    first = fits.long().argmax(1, keepdim=True)
    any_fits = fits.any(1)
    # as Albumentations has it: the largest window of a possible ratio in the middle
    widest = round(size * step.ratio[1]) if step.ratio[1] < 1 else size
    tallest = round(size / step.ratio[0]) if step.ratio[0] > 1 else size
    width = torch.where(any_fits, width.gather(1, first)[:, 0], widest)
    height = torch.where(any_fits, height.gather(1, first)[:, 0], tallest)
    at_x = torch.where(any_fits, numbers[:, -2], 0.5)
    at_y = torch.where(any_fits, numbers[:, -1], 0.5)
    left = torch.where(any_fits, whole_between(at_x, 0, size - width), (size - width) // 2)
    top = torch.where(any_fits, whole_between(at_y, 0, size - height), (size - height) // 2)
    zero = torch.zeros_like(width)
    maps = torch.stack(
        [
            *(width / size, zero, left + width / 2 - size / 2),
            *(zero, height / size, top + height / 2 - size / 2),
        ],
        dim=1,
    ).view(-1, 2, 3)
    return Drawn(applied.long(), _where(applied, maps, _nothing_moved()))


def _nothing_moved() -> Tensor:
    return torch.eye(3, dtype=torch.float64)[None, :2]


def _where(applied: Tensor, values: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(applied.view(-1, *[1] * (values.ndim - 1)), values, otherwise)


# --- brightness and colour --------------------------------------------------------------------


def _draw_tone(step: Tone, applied: Tensor, numbers: Tensor, size: int) -> Drawn:
    brightness, contrast = _columns(numbers)
    alpha, beta = 1 + between(contrast, step.contrast), between(brightness, step.brightness)
    values = torch.stack([alpha, beta], dim=1)
    nothing = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    return Drawn(applied.long(), _where(applied, values, nothing))


def _draw_jitter(step: Jitter, applied: Tensor, numbers: Tensor, size: int) -> Drawn:
    spans = step.brightness, step.contrast, step.saturation
    factors = torch.stack([between(numbers[:, i], span) for i, span in enumerate(spans)], dim=1)
    places = numbers[:, 3:].argsort(dim=1, stable=True).argsort(dim=1, stable=True)
    values = torch.cat([_where(applied, factors, torch.ones(1, 1)), places], dim=1)
    return Drawn(applied.long(), values)


# --- holes ------------------------------------------------------------------------------------


def _draw_holes(step: Holes, applied: Tensor, numbers: Tensor, size: int) -> Drawn:
    sides, most = numbers[:, 1:].unflatten(1, (-1, 4)), int(step.number[1])
    in_pixels = step.height[1] >= 1  # as Albumentations decides it
    height = _side(sides[:, :, 0], step.height, in_pixels, size)
    width = _side(sides[:, :, 1], step.width, in_pixels, size)
    top = whole_between(sides[:, :, 2], 0, size - height)
    left = whole_between(sides[:, :, 3], 0, size - width)
    holes = torch.stack([left, top, left + width, top + height], dim=2)
    number = whole_between(numbers[:, :1], int(step.number[0]), most)
    made = (torch.arange(most)[None] < number) & applied[:, None]
    return Drawn(applied.long(), torch.where(made[:, :, None], holes, 0.0))


def _side(number: Tensor, span: Span, in_pixels: bool, size: int) -> Tensor:
    if in_pixels:
        return whole_between(number, min(int(span[0]), size), min(int(span[1]), size))
    return torch.floor(between(number, span) * size)


def _draw_erased_area(step: ErasedArea, applied: Tensor, numbers: Tensor, size: int) -> Drawn:
    least_ratio, most_ratio = step.ratio
    # an area that has room in every ratio, as Albumentations has it
    least = step.scale[0] * size**2
    most = min(step.scale[1], least_ratio, 1 / most_ratio) * size**2
    if most < least:  # there is none
        return Drawn(applied.long(), torch.zeros(len(numbers), 1, 4, dtype=torch.float64))
    area = between(numbers[:, 0], (least, most))
    low = torch.clamp(area / size**2, min=least_ratio)
    high = torch.clamp(size**2 / area, max=most_ratio)
    ratio = low + numbers[:, 1] * (high - low)
    height, width = torch.round(torch.sqrt(area / ratio)), torch.round(torch.sqrt(area * ratio))
    top = whole_between(numbers[:, 2], 0, size - height)
    left = whole_between(numbers[:, 3], 0, size - width)
    holes = torch.stack([left, top, left + width, top + height], dim=1)[:, None]
    return Drawn(applied.long(), _where(applied, holes, torch.zeros(1, 1, 1)))


# How many numbers a step takes, beside the one for its p, and what it makes of them.
_DRAWS: dict[type, tuple[Callable[[Any], int], Callable[[Any, Tensor, Tensor, int], Drawn]]] = {
    Symmetry: (lambda step: 1, _draw_symmetry),
    Warp: (lambda step: 7, _draw_warp),
    ResizedCrop: (lambda step: 2 * CROP_ATTEMPTS + 2, _draw_crop),
    Tone: (lambda step: 2, _draw_tone),
    Jitter: (lambda step: 6, _draw_jitter),
    Holes: (lambda step: 1 + 4 * int(step.number[1]), _draw_holes),
    ErasedArea: (lambda step: 4, _draw_erased_area),
}
