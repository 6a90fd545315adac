"""What is done with the pixels of a batch: geometry by one interpolation, tone, colour, holes.

Levels are 0 to 255 in float32, and rounded once, at the end. Of each image the same operations are
done in the same order whatever else is in its batch, so its pixels are the same to the bit: sums
over an image are of whole numbers, and no product is added in one operation.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tasks.model.device import on_device
from tasks.train.device_augmentation.draws import Drawn
from tasks.train.device_augmentation.policy import (
    BORDERS,
    GEOMETRY,
    MIRRORED_EDGE,
    Border,
    ErasedArea,
    Holes,
    Jitter,
    Step,
    Symmetry,
    Tone,
    Warp,
)

WHITE = 255
GREY = (0.299, 0.587, 0.114)  # of red, green and blue, as OpenCV has it
NO_BORDER = Border(4)  # where nothing reaches beyond the image


class Operation(NamedTuple):
    """Something done with each image of a batch.

    `run`: of the pixels, uint8 or float32 (images, 3, size, size), and `values` on their device.
    """

    run: Callable[[Tensor, Tensor], Tensor]
    values: Tensor


def operations_of(steps: Sequence[Step], drawn: Sequence[Drawn]) -> list[Operation]:
    """The operations that the steps of a policy are for images for which they drew that.

    Steps of geometry beside each other are one operation, where they have the same border.
    """
    found = []
    for group in _groups(steps):
        if isinstance(steps[group[0]], GEOMETRY):
            found.append(_geometry([steps[i] for i in group], [drawn[i].values for i in group]))
        else:
            found.append(_pointwise(steps[group[0]], drawn[group[0]].values))
    return found


def apply_operations(images: Tensor, operations: Sequence[Operation]) -> Tensor:
    """The images after all operations, uint8 or float32.

    `images`: uint8 (images, 3, size, size), on the device where that is done.
    """
    for operation in operations:
        images = operation.run(images, on_device(operation.values, images.device))
    return images


def rounded(images: Tensor) -> Tensor:
    """Levels as whole numbers: uint8."""
    if images.dtype == torch.uint8:
        return images
    return images.round().clamp_(0, WHITE).to(torch.uint8)


# --- geometry ---------------------------------------------------------------------------------


def _groups(steps: Sequence[Step]) -> list[list[int]]:
    """The numbers of the steps, in order, of each operation."""
    groups: list[list[int]] = []
    for number in range(len(steps)):
        if groups and _is_run([steps[i] for i in (*groups[-1], number)]):
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def _is_run(steps: Sequence[Step]) -> bool:
    """Whether steps are geometry with one border."""
    borders = {step.border for step in steps if isinstance(step, Warp)}
    return all(isinstance(step, GEOMETRY) for step in steps) and len(borders) <= 1


def _geometry(steps: list[Step], maps: list[Tensor]) -> Operation:
    whole = maps[0]
    for each in maps[1:]:  # from a place of the result backwards, through the last step first
        moved = whole[:, :, :1] * each[:, :1] + whole[:, :, 1:2] * each[:, 1:]
        whole = torch.cat([moved[:, :, :2], moved[:, :, 2:] + whole[:, :, 2:]], dim=2)
    if all(isinstance(step, Symmetry) for step in steps):
        return Operation(_mirror, _moves_of(whole))
    borders = [step.border for step in steps if isinstance(step, Warp)]
    border = borders[0] if borders else NO_BORDER
    return Operation(lambda images, values: _warp(images, values, border), whole.float())


def _moves_of(maps: Tensor) -> Tensor:
    """Of maps that are symmetries, whether they transpose, and mirror x and y: bool (images, 3)."""
    transposed = maps[:, 0, 0] == 0
    mirrored = maps[:, :, :2].sum(dim=1) < 0
    return torch.cat([transposed[:, None], mirrored], dim=1)


def _mirror(images: Tensor, moves: Tensor) -> Tensor:
    transposed, mirror_x, mirror_y = (each.view(-1, 1, 1, 1) for each in moves.unbind(1))
    images = torch.where(transposed, images.transpose(2, 3), images)
    images = torch.where(mirror_x, images.flip(3), images)
    return torch.where(mirror_y, images.flip(2), images)


def _warp(images: Tensor, maps: Tensor, border: Border) -> Tensor:
    """Interpolate each image at the places that its map says."""
    size = images.shape[3]
    # grid_sample() mirrors at the middle of the outermost pixels, or at their outer edge
    at_centres = border.mode != MIRRORED_EDGE
    maps = maps * (2 / max(size - 1, 1) if at_centres else 2 / size)
    places = torch.arange(size, dtype=torch.float32, device=images.device) - (size - 1) / 2
    rows, columns = places.view(1, -1, 1), places.view(1, 1, -1)
    grid = torch.empty(len(images), size, size, 2, device=images.device)
    for axis in (0, 1):
        along_x, along_y, shift = (each.view(-1, 1, 1) for each in maps[:, axis].unbind(1))
        torch.add(along_x * columns, along_y * rows + shift, out=grid[..., axis])
    levels = images.to(torch.float32)
    fill = _colour(border.fill, images.device)
    shifted = levels - fill if any(border.fill) else levels
    warped = functional.grid_sample(
        shifted, grid, padding_mode=BORDERS[border.mode], align_corners=at_centres
    )
    return warped + fill if any(border.fill) else warped


def _colour(fill: tuple[float, float, float], device: torch.device) -> Tensor:
    return on_device(torch.tensor(fill), device).view(1, 3, 1, 1)


# --- brightness and colour --------------------------------------------------------------------


def _pointwise(step: Step, values: Tensor) -> Operation:
    run = _POINTWISE[type(step)]
    return Operation(lambda images, its: run(step, images, its), values.float())


def _grey(levels: Tensor) -> Tensor:
    red, green, blue = (levels[:, i : i + 1] * weight for i, weight in enumerate(GREY))
    return red + green + blue


def _mean(levels: Tensor) -> Tensor:
    """Of each image, of levels that are rounded: whole numbers have one sum in every order."""
    total = levels.round().to(torch.int64).sum(dim=(1, 2, 3), keepdim=True)
    return (total.to(torch.float64) / levels[0].numel()).float()


def _apply_tone(step: Tone, images: Tensor, values: Tensor) -> Tensor:
    levels = images.to(torch.float32)
    alpha, beta = (each.view(-1, 1, 1, 1) for each in values.unbind(1))
    brightness = beta * (WHITE if step.by_max else _mean(levels))
    return (levels * alpha).add_(brightness).clamp_(0, WHITE)


def _apply_jitter(step: Jitter, images: Tensor, values: Tensor) -> Tensor:
    levels = images.to(torch.float32)
    spans = step.brightness, step.contrast, step.saturation
    used = [number for number, span in enumerate(spans) if span != (1, 1)]
    for place in range(len(spans)):
        here = values[:, 3:] == place
        factor = torch.where(here, values[:, :3], 1.0).prod(dim=1).view(-1, 1, 1, 1)
        grey = _grey(levels) if {1, 2} & set(used) else levels[:, :1]
        towards = torch.zeros_like(factor)
        if 1 in used:
            towards = torch.where(here[:, 1].view(-1, 1, 1, 1), _mean(grey), towards)
        if 2 in used:
            towards = torch.where(here[:, 2].view(-1, 1, 1, 1), grey, towards)
        levels = (levels * factor).add_(towards * (1 - factor)).clamp_(0, WHITE)
    return levels


# --- holes ------------------------------------------------------------------------------------


def _apply_holes(step: Any, images: Tensor, values: Tensor) -> Tensor:
    places = torch.arange(images.shape[3], device=images.device)
    inside = torch.zeros_like(images[:, :1], dtype=torch.bool)
    for left, top, right, bottom in (hole.unbind(1) for hole in values.unbind(1)):
        columns = (places >= left[:, None]) & (places < right[:, None])
        rows = (places >= top[:, None]) & (places < bottom[:, None])
        inside |= (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(inside, _colour(step.fill, images.device).to(images.dtype), images)


_POINTWISE: dict[type, Callable[[Any, Tensor, Tensor], Tensor]] = {
    Tone: _apply_tone,
    Jitter: _apply_jitter,
    Holes: _apply_holes,
    ErasedArea: _apply_holes,
}
