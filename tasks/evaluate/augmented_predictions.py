"""Test-time augmentation: the mean of what the network says of an image and of variants of it.

Its variants are those of the policy for an image of unknown class: what a label rule forbids or
bounds for any class is forbidden and bounded for all. `augment.per_class` policies have no part.
"""

from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from tasks.common import events
from tasks.common.errors import UserError
from tasks.model.calibration import to_probabilities
from tasks.model.device import choose_device
from tasks.model.images import InputForm, as_input
from tasks.model.inference import predict
from tasks.pixels.preprocess import Preprocessing
from tasks.variants.label_rules import effective_steps
from tasks.variants.make import draw_variant
from tasks.variants.params import AugmentParams
from tasks.variants.policy import LOCATION, canonical_json
from tasks.variants.quality.measures import Baseline
from tasks.variants.recipe import Recipe, Recipes
from tasks.variants.sources import Source, read_policy_input, to_sources
from tasks.workers.ordered import map_ordered

IMAGES_PER_TASK = 128
PLACE = "params.yaml evaluate.test_time_augmentation"


class MakeTask(NamedTuple):
    """The work of one worker: variant number `variant` of some test images."""

    sources: list[Source]
    variant: int
    recipe: Recipe
    form: InputForm


class Mean(NamedTuple):
    """Mean probabilities, (images, classes); `left_out`: how many variants were rejected."""

    probabilities: np.ndarray
    left_out: int


def recipe_for_any_class(params: AugmentParams, preprocessing: Preprocessing) -> Recipe:
    """What makes variants of an image whose class is not known.

    Raises:
        UserError: where a rule relabels variants, or no step is left.
    """
    mend = "write `test_time_augmentation: 0`"
    for number, rule in enumerate(params.labels):
        if rule.relabel:
            need = "needs variants that keep their class, whichever it is"
            raise UserError(f"{PLACE}: {need}; augment.labels[{number}] relabels some; {mend}")
    rules = dict(enumerate(params.labels))
    steps = effective_steps(params.policy, rules, LOCATION).steps
    if not steps:
        left = "augment.labels leaves none" if params.policy else "augment.policy has none"
        raise UserError(f"{PLACE}: needs a step that is allowed for all classes; {left}; {mend}")
    general = Recipes.from_params(params, preprocessing).general
    return replace(general, policy=canonical_json(steps))


def mean_over_variants(
    network: nn.Module,
    test: pd.DataFrame,
    plain: np.ndarray,
    variants: int,
    recipe: Recipe,
    form: InputForm,
    temperature: float,
) -> Mean:
    """The mean of the probabilities of each image and its variants 1 to `variants`.

    Args:
        network: from uint8 images to logits.
        test: the images' rows of the validated manifest.
        plain: the probabilities of the images themselves, (images, classes).
        variants: of each image; one that is rejected is left out.
        recipe: see recipe_for_any_class().
        form: of the network's input.
        temperature: of the probabilities.
    """
    sources = list(to_sources(test, pd.Series(0, test.index)))
    device = choose_device()
    network.to(device)
    total, used = plain.astype(np.float32), np.ones(len(sources))
    parts = list(product(range(1, variants + 1), range(0, len(sources), IMAGES_PER_TASK)))
    tasks = (
        MakeTask(sources[start : start + IMAGES_PER_TASK], index, recipe, form)
        for index, start in parts
    )
    done = map_ordered(_make_part, tasks, preload="tasks.evaluate.augmented_predictions")
    done = events.track(done, len(parts), "judging variants of test images", "part")
    for (_, start), (images, rows) in zip(parts, done, strict=True):
        if len(rows):
            logits = predict(network, images, device)
            total[start + rows] += to_probabilities(logits, temperature).numpy()
            used[start + rows] += 1
    left_out = int(len(sources) * (variants + 1) - used.sum())
    return Mean(total / used[:, None], left_out)


def _make_part(task: MakeTask) -> tuple[np.ndarray, np.ndarray]:
    """The variants that could be made, uint8 (variants, 3, size, size), and of which images."""
    torch.set_num_threads(1)
    made, rows = [], []
    for row, source in enumerate(task.sources):
        baseline = Baseline(read_policy_input(source, task.recipe))
        pixels = draw_variant(source, baseline, task.recipe, task.variant, ()).pixels
        if pixels is not None:
            made.append(as_input(pixels, task.form.size, task.form.fit))
            rows.append(row)
    shape = (0, 3, task.form.size, task.form.size)
    return np.stack(made) if made else np.empty(shape, np.uint8), np.array(rows, np.int64)
