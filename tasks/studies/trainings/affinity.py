"""Affinity of a policy: how well models trained on originals know images that it changed.

Source: R. Gontijo-Lopes et al., "Tradeoffs in Data Augmentation: An Empirical Study", ICLR 2021.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.common import events
from tasks.common.machine import worker_count
from tasks.model.device import choose_device, fix_randomness
from tasks.model.inference import BATCH_SIZE, predict
from tasks.studies.trainings.arm import Arm, recipes_of
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.keeping import keep, read_kept, read_result
from tasks.studies.trainings.key import Keys
from tasks.studies.trainings.running import run_trainings, side_by_side
from tasks.studies.trainings.shown import ShownVariants
from tasks.studies.trainings.training import Model, Training, run_training
from tasks.train.online import OnlineBatches
from tasks.variants.originals import NO_ORIGINALS
from tasks.variants.sources import to_sources


class Judgement(NamedTuple):
    """That the model of `clean` is to judge validation images as an arm shows them.

    `key`: of the accuracy. `clean_key`: of the training.
    """

    key: str
    arm: Arm
    clean: Training
    clean_key: str


def affinities(arms: Sequence[Arm], clean: Sequence[Training], data: StudyData) -> list[float]:
    """The affinity of each arm: accuracy on augmented over that on clean validation images.

    Each model is asked once about each image, as the arm shows it with the model's seed in epoch 1.

    `clean`: trainings of the arm `none`, run before; their mean counts. That of `none` is 1.
    """
    keys = Keys(data)
    asked = [
        Judgement(keys.of_affinity(arm, training), arm, training, keys.of(training))
        for arm, training in product(arms, clean)
        if arm.augment is not None
    ]
    models = run_trainings(clean, data, "training")
    accuracies = _accuracies(asked, data)
    originals = np.mean([np.mean(model.predicted == data.labels) for model in models])
    found = []
    for arm in arms:
        of_arm = [accuracies[one.key] for one in asked if one.arm is arm]
        found.append(float(np.mean(of_arm) / max(originals, 1e-9)) if of_arm else 1.0)
    return found


def _accuracies(asked: list[Judgement], data: StudyData) -> dict[str, float]:
    """The accuracies by their keys; those found before are read."""
    kept = {one.key: read_kept(one.key) for one in asked}
    found = {key: float(parts["accuracy"]) for key, parts in kept.items() if parts is not None}
    missing = list({one.key: one for one in asked if one.key not in found}.values())
    done = side_by_side(judge_and_keep, data, missing)
    with events.Progress(len(kept), "judging policies", "model", len(found)) as progress:
        for one, accuracy in zip(missing, done, strict=True):
            found[one.key] = accuracy
            progress.advance()
    return found


def judge_and_keep(data: StudyData, asked: Judgement) -> float:
    """The accuracy on augmented images, which is kept. Runs in a worker."""
    with events.silent():
        accuracy = _accuracy(asked, data)
    keep(asked.key, {"accuracy": accuracy})
    return accuracy


def _accuracy(asked: Judgement, data: StudyData) -> float:
    model = _model(asked, data)
    device = choose_device()
    fix_randomness(asked.clean.seed, threads=1)
    if model is None:  # it failed, which run_trainings() tells
        return 0.0
    network = model.network(data).to(device)
    right = 0
    for shown in _augmented(asked, data).epoch(1, _batches(len(data.labels))):
        said = predict(network, shown.pixels, device).argmax(1)
        right += int((said == shown.label).sum())
    return right / len(data.labels)


def _model(asked: Judgement, data: StudyData) -> Model | None:
    """The model of a clean training; where it is kept no longer, it is trained again."""
    result = read_result(asked.clean_key) or run_training(asked.clean, data)
    return result.model


def _augmented(asked: Judgement, data: StudyData) -> OnlineBatches:
    """The validation images as an arm shows them; each may equal the original that it is of."""
    recipes = recipes_of(asked.arm, asked.clean.seed, data.form.preprocessing, data.classes)
    assert recipes is not None
    rows = data.validation
    sources = list(to_sources(rows, pd.Series(0, rows.index)))
    variants = ShownVariants(sources, recipes, 1, data, NO_ORIGINALS, pool=None)
    return OnlineBatches(variants, worker_count() if choose_device().type == "cuda" else 0)


def _batches(images: int) -> list[list[int]]:
    starts = range(0, images, BATCH_SIZE)
    return [list(range(start, min(start + BATCH_SIZE, images))) for start in starts]
