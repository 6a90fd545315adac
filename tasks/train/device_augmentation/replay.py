"""Make one image of device augmentation again, on the CPU, as training showed it."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from tasks.common.errors import UserError
from tasks.common.tables import read_json
from tasks.dataset.paths import CARD
from tasks.model.images import as_input
from tasks.pixels.encode import encode
from tasks.train.device_augmentation.batches import device_id
from tasks.train.device_augmentation.recipe import DeviceRecipe
from tasks.variants.sources import read_pixels, to_sources, training_sources


class Replayed(NamedTuple):
    """An image of device augmentation made again.

    `data`: as PNG. `label`: what it shows. `share`: of the image itself, the rest is `partner`'s,
    which is the id of another such image; 1 and None where it is not mixed.
    """

    data: bytes
    size: int
    label: str
    share: float
    partner: str | None


def replay(variant_id: str, validated: pd.DataFrame, recipe: DeviceRecipe, epochs: int) -> Replayed:
    """Make `<source_id>-d<epoch>` again.

    Args:
        variant_id: that.
        validated: the validated manifest.
        recipe: of params.yaml.
        epochs: of the training.

    Raises:
        UserError: where there is no such image, or the last training had another recipe.
    """
    place = f"variant {variant_id!r}"
    source_id, _, digits = variant_id.partition("-d")
    if not digits.isdecimal() or not 1 <= int(digits) <= epochs:
        raise UserError(f"{place}: needs an epoch from 1 to {epochs}, found {digits!r}")
    epoch, rows = int(digits), training_sources(validated)
    chosen = np.flatnonzero(rows["source_id"] == source_id)
    if not len(chosen):
        raise UserError(f"{place}: no training source has the id {source_id!r}")
    if CARD.is_file() and (made_by := read_json(CARD, "train")["recipe_hash"]) != recipe.hash:
        raise UserError(
            f"{place}: the model was trained with recipe {made_by}; params.yaml now says "
            f"{recipe.hash}"
        )
    form, augmentation = recipe.form, recipe.augmentation(validated)
    planned = augmentation.plan(chosen, epoch)
    sources = to_sources(rows.iloc[planned.sources], pd.Series(0, planned.sources))
    decoded = [read_pixels(source, form.preprocessing) for source in sources]
    inputs = np.stack([as_input(pixels, form.size, form.fit) for pixels in decoded])
    images, _ = augmentation.show(planned, torch.from_numpy(inputs))
    data = encode(images[0].permute(1, 2, 0).numpy(), "png")
    label = recipe.classes[int(planned.own.classes[0])]
    if planned.mixed is None:
        return Replayed(data, form.size, label, 1.0, None)
    partner = device_id(rows["source_id"].iloc[planned.partners[0]], epoch)
    return Replayed(data, form.size, label, float(planned.mixed.values[0, 0]), partner)
