"""One training of a study, by the train stage's own loop, and what is kept of it."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.common.machine import gpu_lock, worker_count
from tasks.model.device import choose_device, fix_randomness, gpu_of
from tasks.model.image_array import decoded_images, split_files
from tasks.model.inference import Normalise, predict
from tasks.model.networks import build_model
from tasks.model.weights import find_weights
from tasks.studies.trainings.arm import Arm, recipes_of
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.shown import ShownVariants
from tasks.train.feed import Feed
from tasks.train.loop.fit import channel_statistics
from tasks.train.loop.frozen import Images, assemble
from tasks.train.loop.state import DivergedError
from tasks.train.loop.training import Ended, HeldOut, initial_network, train
from tasks.train.online import OnlineBatches
from tasks.train.params import TrainParams
from tasks.train.samples import class_numbers
from tasks.variants.originals import Originals, read_originals
from tasks.variants.sources import to_sources

NO_CLASS = -1  # what a training predicts that failed


class Training(NamedTuple):
    """One training: `seed` decides weights, order and variants.

    `epochs`: passes over the training images.
    """

    arm: Arm
    seed: int
    epochs: int


class Trained(NamedTuple):
    """What is kept of a training.

    `predicted`: the class numbers that the model of the best epoch gives to the validation images,
    int64 (images,). `train_losses`, `validation_losses`, `validation_accuracies`: float (epochs,).
    `original_loss`: the cross-entropy of that model on the training originals, whatever it was
    shown.
    `failed`: why there is no model, in one line: its loss left all bounds. Then it predicts no
    class, NO_CLASS, and its numbers are NaN; else empty.
    """

    predicted: np.ndarray
    train_losses: np.ndarray
    validation_losses: np.ndarray
    validation_accuracies: np.ndarray
    original_loss: float
    failed: str = ""


class Model(NamedTuple):
    """The model of a training's best epoch. `mean`, `std`: of the channels, see Normalise."""

    mean: list[float]
    std: list[float]
    weights: dict[str, Tensor]

    def network(self, data: StudyData) -> nn.Sequential:
        """From uint8 images to logits."""
        core = build_model(data.params.model, len(data.classes), data.form.size)
        core.load_state_dict(self.weights)
        return nn.Sequential(Normalise(self.mean, self.std), core)


class Result(NamedTuple):
    """What a training gives; no model where it failed."""

    trained: Trained
    model: Model | None


def params_of(training: Training, params: TrainParams) -> TrainParams:
    """The train block of one training of a study.

    All its epochs are trained, so that arms differ in what they show alone; what warms up is the
    same share of them. One thread: trainings run side by side.
    """
    changes = {
        "seed": training.seed,
        "epochs": training.epochs,
        "augmentation": "offline" if training.arm.augment is None else "online",
        "mixup": "none",
        "cutmix": "none",
        "warmup_epochs": params.warmup_epochs * training.epochs / params.epochs,
        "patience": None,
        "threads": 1,
        "compile": False,
        "devices": 1,
    }
    return params.model_copy(update=changes)


def run_training(
    training: Training,
    data: StudyData,
    after_epoch: Callable[[list[dict[str, float]]], None] = lambda history: None,
) -> Result:
    """Train and judge; `after_epoch`: see fit().

    Raises:
        UserError: see fit().
    """
    params = params_of(training, data.params)
    device = choose_device()
    fix_randomness(params.seed, params.threads)
    pretrained = find_weights(params.model, params.weights)
    known = pretrained.known if pretrained else None
    core = initial_network(params, pretrained, len(data.classes), data.form.size)
    with decoded(data) as (shown, held_out), gpu_lock(gpu_of(device)):
        mean, std = (known.mean, known.std) if known else channel_statistics(shown.array)
        network = assemble(Normalise(mean, std), core, params)
        online = variants_of(training, data, device)

        def feed_of(array: np.ndarray) -> Feed:
            return Feed(
                array,
                class_numbers(data.training, data.classes),
                online,
                balanced=params.balance == "sampler",
                name_of=lambda number: shown.files["path"].iloc[number],
            )

        try:
            ended = train(
                network,
                shown if online is None else Images(shown.array[:0], shown.files[:0], data.form),
                HeldOut(held_out, torch.from_numpy(data.labels), len(data.classes)),
                feed_of,
                params,
                device,
                after_epoch=after_epoch,
                hold=np.asarray,  # mapped: trainings side by side share its memory
            )
        except DivergedError as error:
            return Result(_failed(training, data, str(error)), None)
        originals = predict(network, shown.array, device)
    loss = functional.cross_entropy(originals, class_numbers(data.training, data.classes))
    return Result(_trained(ended, float(loss)), Model(mean, std, ended.fitted.weights))


@contextmanager
def decoded(data: StudyData) -> Iterator[tuple[Images, Images]]:
    """The training and the validation images, decoded once for all trainings."""
    files = split_files(data.training, "train"), split_files(data.validation, "validation")
    with (
        decoded_images(files[0], data.form, "decoding training images") as training,
        decoded_images(files[1], data.form, "decoding validation images") as validation,
    ):
        yield Images(training, files[0], data.form), Images(validation, files[1], data.form)


def variants_of(training: Training, data: StudyData, device: torch.device) -> OnlineBatches | None:
    """The variants of its arm; None for originals alone. On a GPU worker processes make them."""
    recipes = recipes_of(training.arm, training.seed, data.form.preprocessing, data.classes)
    if recipes is None:
        return None
    rows = data.training
    variants = ShownVariants(
        list(to_sources(rows, pd.Series(0, rows.index))),
        recipes,
        training.epochs,
        data,
        originals_of(data),
        training.arm.variants,
    )
    return OnlineBatches(variants, worker_count() if device.type == "cuda" else 0)


def originals_of(data: StudyData) -> Originals:
    """Which no variant may equal: those of the test split are not looked at."""
    return read_originals(pd.concat([data.training, data.validation]), data.form.preprocessing)


def _trained(ended: Ended, original_loss: float) -> Trained:
    history = ended.fitted.history
    return Trained(
        ended.logits.argmax(1).numpy(),
        history["train_loss"].to_numpy(float),
        history["validation_loss"].to_numpy(float),
        history["validation_accuracy"].to_numpy(float),
        original_loss,
    )


def _failed(training: Training, data: StudyData, reason: str) -> Trained:
    unknown = np.full(training.epochs, np.nan)
    predicted = np.full(len(data.labels), NO_CLASS)
    return Trained(predicted, unknown, unknown, unknown, math.nan, reason)
