"""Batches that the device has no room for: taken in parts, or a size that fits is found.

The gradients of a batch are the sum of those of its parts, up to the rounding of sums, provided no
image has a part in what becomes of another. Batch norm in training takes the mean and deviation of
all images that pass together, so a network that has it cannot take a batch in parts.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tasks.common import events
from tasks.common.errors import UserError
from tasks.train.loop.gradients import Loss, add_gradients
from tasks.train.loop.state import TrainingState


@contextmanager
def told_in_one_line(device: torch.device) -> Iterator[None]:
    """What no smaller parts mend, such as no room for the optimizer's own numbers, is one line."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(
            f"params.yaml train: the memory of {device} is too small; lower train.batch_size or "
            "train.image_size, or take a smaller train.model"
        ) from None


def mixes_images(network: nn.Module) -> bool:
    """Whether what a network gives of an image depends on the others of its batch."""
    return any(isinstance(module, _BatchNorm) and module.training for module in network.modules())


def lower_images_at_once(state: TrainingState, images: Tensor, labels: Tensor, loss: Loss) -> None:
    """Halve how many images of a batch are taken at once, after they did not fit.

    Raises:
        UserError: where the network cannot take a batch in parts, a single image does not fit, or
            several devices train together.
    """
    if state.group.size > 1:  # the others wait for the gradients of this process
        raise UserError(
            f"params.yaml train.batch_size: {len(images):,} images at once, one of "
            f"{state.group.size} devices' share, do not fit in the memory of {images.device}; "
            "lower train.batch_size or train.image_size, or take a smaller train.model"
        )
    state.optimizer.zero_grad(set_to_none=True)
    tried = min(state.images_at_once or len(images), len(images))
    if images.is_cuda:
        torch.cuda.empty_cache()
    if mixes_images(state.network):
        raise UserError(_advice(state, tried, _fitting_size(state, images, labels, loss)))
    if tried == 1:
        raise UserError(_advice(state, 1, 0))
    state.images_at_once = tried // 2
    events.say(
        f"step {state.step + 1}: {tried:,} images at once do not fit in the memory of "
        f"{images.device}; from here on {state.images_at_once:,} are taken at once and their "
        "gradients added, which is the same step up to rounding"
    )


def _advice(state: TrainingState, tried: int, fitting: int) -> str:
    """One line: what does not fit, and what does."""
    device = state.loss_sum.device
    where = f"params.yaml train.batch_size: {tried:,} images at once do not fit in the memory of"
    if fitting < 2:
        return f"{where} {device}; lower train.image_size, or take a smaller train.model"
    return (
        f"{where} {device}, {fitting:,} do: write batch_size: {fitting} (batch normalisation needs "
        "them all at once), or lower train.image_size"
    )


def _fitting_size(state: TrainingState, images: Tensor, labels: Tensor, loss: Loss) -> int:
    """The largest of the halves of a batch that fits; 0 where none does.

    The training ends after that, so what the trials leave in batch norms does not matter.
    """
    size = len(images) // 2
    while size >= 2 and not _fits(state, images[:size], labels[:size], loss):
        size //= 2
    return size if size >= 2 else 0


def _fits(state: TrainingState, images: Tensor, labels: Tensor, loss: Loss) -> bool:
    try:
        # AdamW keeps two numbers for each weight, from its first step on
        kept = [] if state.optimizer.state else [*state.network.parameters()] * 2
        _reserved = [torch.empty_like(weight) for weight in kept]
        add_gradients(state.network, images, labels, loss)
    except torch.OutOfMemoryError:
        return False
    finally:
        state.optimizer.zero_grad(set_to_none=True)
    return True
