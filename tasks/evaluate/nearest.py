"""The training images that the network finds most like given images, by its last features."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from tasks.model import image_array
from tasks.model.device import choose_device
from tasks.model.images import InputForm
from tasks.model.inference import BATCH_SIZE, predict
from tasks.model.networks import head_of

MOST_COMPARED = 50_000  # training images: as many as take minutes, not hours


class Nearest(NamedTuple):
    """Of each image the nearest training image: its row among `of`, and the cosine, -1 to 1."""

    rows: np.ndarray
    cosines: np.ndarray
    of: pd.DataFrame


def sample_of_training(files: pd.DataFrame) -> pd.DataFrame:
    """The training images that are compared: of more than MOST_COMPARED a sample.

    A source_id is a hash, so those with the lowest are drawn at random, and always the same.
    """
    if len(files) <= MOST_COMPARED:
        return files
    return files.loc[files["source_id"].sort_values().index[:MOST_COMPARED].sort_values()]


def find_nearest(
    network: nn.Module, images: np.ndarray, training: pd.DataFrame, form: InputForm
) -> Nearest | None:
    """The nearest training image of each of `images`, by the cosine of the head's inputs.

    Args:
        network: from uint8 images to logits.
        images: uint8 (images, 3, size, size).
        training: see image_array.split_files().
        form: of the network's input.

    Returns:
        None where there is nothing to compare.
    """
    if not len(images) or not len(training):
        return None
    head = head_of(network)[1]
    wanted = torch.cat(list(features(network, head, images)))
    rows = torch.zeros(len(images), dtype=torch.int64)
    cosines = torch.full((len(images),), -torch.inf)
    with image_array.decoded_images(training, form, "decoding training images") as array:
        start = 0
        for part in features(network, head, array):
            best, place = (wanted @ part.T).max(dim=1)
            nearer = best > cosines
            rows[nearer], cosines[nearer] = place[nearer] + start, best[nearer]
            start += len(part)
    return Nearest(rows.numpy(), cosines.numpy(), training)


def features(network: nn.Module, head: nn.Module, array: np.ndarray) -> Iterator[Tensor]:
    """What goes into the head, of length 1: float32 (batch, features) of each batch."""
    seen: list[Tensor] = []
    device = choose_device()
    network.to(device)
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(_pooled(inputs[0])))
    try:
        for start in range(0, len(array), BATCH_SIZE):
            predict(network, array[start : start + BATCH_SIZE], device)
            yield nn.functional.normalize(torch.cat(seen).float().cpu(), dim=1)
            seen.clear()
    finally:
        hook.remove()


def _pooled(features: Tensor) -> Tensor:
    """Of a map of features their means over its places."""
    return features.mean(dim=(2, 3)) if features.ndim == 4 else features.flatten(1)
