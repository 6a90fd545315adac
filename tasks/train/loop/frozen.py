"""A frozen backbone: the head alone learns, from features that are computed once and kept.

What the backbone says of an image does not change while it is frozen. Where an epoch shows stored
images alone, its features are computed once, in parts of BATCH_SIZE in the order of the images, and
kept in the private cache; where images are made on the fly, the backbone runs in each step.

The size of a batch has a part in the last bits of what it gives. So features that are kept equal
those computed anew, bit for bit, and those of a training step in all but their last bits.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from tasks.common import events
from tasks.model.array_cache import Wanted, kept_array
from tasks.model.device import autocast, hardware, on_device
from tasks.model.image_array import wanted_images
from tasks.model.images import InputForm
from tasks.model.networks import head_of
from tasks.train.distributed.group import ALONE, Group
from tasks.train.loop.state import copy_of_weights
from tasks.train.params import TrainParams

BATCH_SIZE = 64  # small: on CPUs, what layers pass on stays in the processor's cache


class FrozenBackbone(nn.Sequential):
    """Normalisation and a core of which the head alone learns: the rest stays in eval mode.

    So batch norms use what they know of the images that they were trained with, and drop nothing.
    """

    def __init__(self, normalise: nn.Module, core: nn.Module) -> None:
        super().__init__(normalise, core)
        core.requires_grad_(False)
        head_of(core)[1].requires_grad_(True)

    def train(self, mode: bool = True) -> Self:
        super().train(False)
        head_of(self)[1].train(mode)
        return self


@dataclass
class Images:
    """Decoded images, and the files and form that they come from: see decoded_images()."""

    array: np.ndarray
    files: pd.DataFrame
    form: InputForm


@dataclass
class Learner:
    """What is trained, and on which arrays: a whole network on images, or a head on features.

    `network`: its last module is the core whose weights the training loop keeps. `frozen`: the core
    of the whole network, where only its head is trained here.
    """

    network: nn.Sequential
    training: np.ndarray
    validation: np.ndarray
    frozen: nn.Module | None = None

    def whole_weights(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights of the whole core, from those that the training loop kept."""
        if self.frozen is None:
            return weights
        head, _ = head_of(self.frozen)
        of_head = {f"{head}.{name}": weight for name, weight in weights.items()}
        return copy_of_weights(self.frozen) | of_head


def assemble(normalise: nn.Module, core: nn.Module, params: TrainParams) -> nn.Sequential:
    """The network from uint8 images to logits."""
    if params.freeze == "backbone":
        return FrozenBackbone(normalise, core)
    return nn.Sequential(normalise, core)


@contextmanager
def learner(
    network: nn.Sequential,
    training: Images,
    validation: Images,
    params: TrainParams,
    device: torch.device,
    group: Group = ALONE,
) -> Iterator[Learner]:
    """What is trained: the head on features where these stay the same, else the network on images.

    Args:
        network: see assemble().
        training: the images that an epoch shows from disk.
        validation: those that each epoch is judged on.
        params: the train block.
        device: where it runs.
        group: the processes that train together; the first computes the features.
    """
    head = head_of(network)[1]
    stays_the_same = params.freeze == "backbone" and params.augmentation == "offline"
    if not (stays_the_same and _ends_with(head, network.to(device), training.array, device)):
        yield Learner(network, training.array, validation.array)
        return
    with (
        group.shared(_features(network, training, device, "computing training features")) as shown,
        group.shared(
            _features(network, validation, device, "computing validation features")
        ) as held_out,
    ):
        yield Learner(nn.Sequential(nn.Identity(), head), shown, held_out, network[-1])


def _ends_with(
    head: nn.Module, network: nn.Sequential, images: np.ndarray, device: torch.device
) -> bool:
    """Whether logits are what the head says of features, and nothing after it."""
    features = _features_of(network, images[:2], device)
    if features.dim() != 2:
        return False
    with torch.inference_mode(), autocast(device):
        logits = network(on_device(torch.from_numpy(np.array(images[:2])), device))
        return torch.equal(head(features), logits)


@torch.inference_mode()
def _features_of(network: nn.Sequential, images: np.ndarray, device: torch.device) -> Tensor:
    """What the head gets of a batch of uint8 images, in eval mode."""
    seen: list[Tensor] = []
    hook = head_of(network)[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        with autocast(device):
            network.eval()(on_device(torch.from_numpy(np.array(images)), device))
    finally:
        hook.remove()
    return seen[0].float()


def _features(network: nn.Sequential, images: Images, device: torch.device, what: str) -> Any:
    """The features of images, float32 (images, features), as long as the block lasts."""
    probe = _features_of(network, images.array[:2], device)
    of_images = wanted_images(images.files, images.form)
    form = {"images": of_images.name, **_decided_by(probe, device)}
    wanted = Wanted(form, of_images.keys, tuple(probe.shape[1:]), np.float32)

    def compute(path: Path, _: np.ndarray) -> None:
        features = np.load(path, mmap_mode="r+")
        starts = range(0, len(features), BATCH_SIZE)
        for start in events.track(starts, len(starts), what, "part"):
            part = images.array[start : start + BATCH_SIZE]
            features[start : start + len(part)] = _features_of(network, part, device).cpu().numpy()

    return kept_array(wanted, compute)


def _decided_by(probe: Tensor, device: torch.device) -> dict[str, Any]:
    """What decides features beside the images: the backbone, by what it says of two of them."""
    return {
        "backbone": hashlib.sha256(probe.cpu().numpy().tobytes()).hexdigest(),
        "batch": BATCH_SIZE,
        "torch": torch.__version__,
        "device": hardware(device),
        "threads": torch.get_num_threads(),
    }
