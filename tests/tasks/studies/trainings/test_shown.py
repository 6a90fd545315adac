"""What an arm shows in each epoch."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.model.image_array import decoded_images, split_files
from tasks.model.images import as_input
from tasks.studies.trainings import shown
from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.shown import index_in_cycle
from tasks.studies.trainings.training import Training, variants_of
from tasks.train.online import OnlineVariants
from tasks.variants.recipe import Recipes
from tasks.variants.sources import to_sources
from tests.tasks.studies.trainings.drawn import POOLED, TURNED, study

EPOCHS = 8


def pixels(arm: Arm, data: StudyData, seed: int = 5) -> np.ndarray:
    """Of each epoch and source what is shown: uint8 (epochs, sources, 3, 8, 8)."""
    batches = variants_of(Training(arm, seed, EPOCHS), data, torch.device("cpu"))
    assert batches is not None
    numbers = list(range(len(data.training)))
    epochs = range(1, EPOCHS + 1)
    made = [next(iter(batches.epoch(epoch, [numbers]))).pixels.numpy() for epoch in epochs]
    return np.stack(made)


def made_by_the_stage(data: StudyData, seed: int = 5) -> np.ndarray:
    """Of each index, 1 and above, and source its variant, as the stage makes it."""
    assert TURNED.augment is not None
    augment = TURNED.augment.model_copy(update={"seed": seed})
    recipes = Recipes.from_params(augment, data.form.preprocessing, data.classes)
    sources = list(to_sources(data.training, pd.Series(0, data.training.index)))
    stage = OnlineVariants(
        sources, recipes, EPOCHS, partial(as_input, size=8), classes=data.classes
    )
    numbers, indices = range(len(sources)), range(1, EPOCHS + 1)
    return np.stack([np.stack([stage.show(n, index).pixels for n in numbers]) for index in indices])


def test_an_online_arm_shows_in_each_epoch_the_variant_of_that_number() -> None:
    data = study()
    np.testing.assert_array_equal(pixels(TURNED, data), made_by_the_stage(data))


def test_a_pool_is_shown_in_rounds_each_image_once() -> None:
    data = study()
    found, variants = pixels(POOLED, data), made_by_the_stage(data)
    with decoded_images(split_files(data.training, "train"), data.form, "decoding") as originals:
        pool = np.concatenate([originals[None], variants[:3]])
    orders = set()
    for source, row in enumerate(data.training.itertuples()):
        for first in (0, 4):
            shown = [found[first + at, source].tobytes() for at in range(4)]
            images = [image.tobytes() for image in pool[:, source]]
            assert sorted(shown) == sorted(images)
            orders.add(tuple(images.index(one) for one in shown))
            assert images.index(shown[1]) == index_in_cycle(5, row.sha256, 3, first + 2)
    assert len(orders) > 5


def test_what_is_held_in_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = study()
    held = [pixels(arm, data) for arm in (TURNED, POOLED)]
    monkeypatch.setattr(shown, "MEMORY_SHARE", 0.0)
    for arm, before in zip((TURNED, POOLED), held, strict=True):
        np.testing.assert_array_equal(pixels(arm, data), before)


@given(st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 50))
def test_each_round_of_a_cycle_has_each_image_once(seed: int, pool: int, round: int) -> None:
    epochs = range(round * (pool + 1) + 1, (round + 1) * (pool + 1) + 1)
    found = [index_in_cycle(seed, "ab" * 32, pool, epoch) for epoch in epochs]
    assert sorted(found) == list(range(pool + 1))
