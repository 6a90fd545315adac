"""One training, from a new network to the weights of its best epoch: the stage's, or a study's."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tasks.model.image_array import in_memory_if_small
from tasks.model.networks import build_model, set_dropout
from tasks.model.weights import Pretrained, load_weights
from tasks.train.balance import class_weights
from tasks.train.distributed.group import ALONE, Group
from tasks.train.feed import Feed
from tasks.train.history import Fitted
from tasks.train.loop.checkpoint import Checkpoint
from tasks.train.loop.fit import fit, logits_of_all
from tasks.train.loop.frozen import Images, learner
from tasks.train.params import TrainParams


class Ended(NamedTuple):
    """What a training leaves.

    `fitted`: with the weights of the whole core. `feed`: and what it counted. `logits`: of the
    validation images by these weights, float32 (images, classes).
    """

    fitted: Fitted
    feed: Feed
    logits: Tensor


class HeldOut(NamedTuple):
    """What each epoch is judged on: images and their class numbers, int64 (images,).

    `classes`: how many there are.
    """

    images: Images
    labels: Tensor
    classes: int


def initial_network(
    params: TrainParams, pretrained: Pretrained | None, classes: int, size: int
) -> nn.Module:
    """The network that training begins with: random weights, or pretrained ones and a new head."""
    core = build_model(params.model, classes, size)
    if params.dropout is not None:
        set_dropout(core, params.dropout, params.model)
    if pretrained:
        load_weights(core, params.model, pretrained)
    return core


def train(
    network: nn.Sequential,
    shown: Images,
    held_out: HeldOut,
    feed_of: Callable[[np.ndarray], Feed],
    params: TrainParams,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    after_epoch: Callable[[list[dict[str, float]]], None] = lambda history: None,
    hold: Callable[[np.ndarray], np.ndarray] = in_memory_if_small,
    group: Group = ALONE,
) -> Ended:
    """Train a network, or the head of a frozen one.

    Args:
        network: see assemble().
        shown: the images that an epoch shows from disk.
        held_out: what each epoch is judged on.
        feed_of: gives the feed of an array, of `shown` or of features of these.
        params: the train block.
        device: where it runs.
        checkpoint: see fit().
        after_epoch: see fit().
        hold: how arrays that lie on disk are held through the epochs.
        group: the processes that train together: each of them calls this, and gets the same, but
            for the feed's counts, which are the first one's.

    Raises:
        UserError: see fit().
    """
    with learner(network, shown, held_out.images, params, device, group) as part:
        feed = feed_of(hold(part.training))
        validation = hold(part.validation)
        weights = loss_weights(params, feed.labels.numpy(), held_out.classes)
        fitted = fit(
            part.network,
            feed,
            (validation, held_out.labels),
            params,
            device,
            checkpoint,
            weights,
            after_epoch,
        )
        part.network[-1].load_state_dict(fitted.weights)
        logits = logits_of_all(part.network, group.share_of(validation), device, group)
        feed.collect()
        return Ended(fitted._replace(weights=part.whole_weights(fitted.weights)), feed, logits)


def loss_weights(params: TrainParams, numbers: np.ndarray, classes: int) -> Tensor | None:
    """By which the losses of each class count, float (classes,); None: all equally."""
    if params.balance != "weights":
        return None
    return torch.from_numpy(class_weights(numbers, classes))
