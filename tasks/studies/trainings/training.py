"""One training of a study, by the train stage's own loop, and what is kept of it."""

from typing import NamedTuple

import numpy as np

from tasks.studies.trainings.arm import Arm


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
    """

    predicted: np.ndarray
    train_losses: np.ndarray
    validation_losses: np.ndarray
    validation_accuracies: np.ndarray
