"""The images of a study, from the training and validation splits alone."""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
import pandas as pd

from tasks.common import events
from tasks.common.errors import UserError
from tasks.dataset.paths import VALIDATED_MANIFEST
from tasks.dataset.selections import class_names, usable
from tasks.evaluate.intervals import independent_units
from tasks.model.images import InputForm
from tasks.train.params import TrainParams
from tasks.train.samples import class_numbers, input_form
from tasks.variants.params import LabelRule
from tasks.variants.sources import training_sources


class StudyData(NamedTuple):
    """What all trainings of a study share; picklable, without pixels.

    `training`, `validation`: rows of the validated manifest, of these splits. `classes`: of these
    rows, and of variants that label rules relabel, sorted. `params`: the train block. `labels`: the
    class numbers of the validation images, int64 (images,). `units`: the number of each validation
    image's unit: images of one group or cluster are one, int (images,). `form`: of the network's
    input.
    """

    training: pd.DataFrame
    validation: pd.DataFrame
    classes: list[str]
    params: TrainParams
    labels: np.ndarray
    units: np.ndarray
    form: InputForm


def study_data(
    validated: pd.DataFrame, params: TrainParams, rules: Iterable[LabelRule] = ()
) -> StudyData:
    """The data of a study; of the test split nothing is looked at, not even how large it is.

    `rules`: of augment.labels.

    Raises:
        UserError: without training images, validation images, or a second class.
    """
    training = training_sources(validated).reset_index(drop=True)
    validation = usable(validated, "validation").reset_index(drop=True)
    if training.empty:
        raise UserError(f"{VALIDATED_MANIFEST}: needs training images for a study, found none")
    if validation.empty:
        raise UserError(
            f"{VALIDATED_MANIFEST}: needs validation images, by which a study judges, found none; "
            "put some into a folder `validation`, or raise validate.validation in params.yaml"
        )
    classes = class_names(pd.concat([training, validation]))
    if len(classes) < 2:
        found = f"found {classes[0]!r} alone"
        raise UserError(f"{VALIDATED_MANIFEST}: needs two classes for a study, {found}")
    classes = _with_targets(classes, rules)
    _say_what_is_left_out(params)
    return StudyData(
        training,
        validation,
        classes,
        params,
        class_numbers(validation, classes).numpy(),
        independent_units(validation),
        input_form(training, params),
    )


def _with_targets(classes: list[str], rules: Iterable[LabelRule]) -> list[str]:
    """With the classes that variants may show by these rules, of which there may be no image."""
    maps = chain.from_iterable(rule.relabel.values() for rule in rules)
    targets = chain.from_iterable(pairs.values() for pairs in maps)
    named = {normalize("NFC", label): label for label in (*targets, *classes)}
    return sorted(named.values())


def _say_what_is_left_out(params: TrainParams) -> None:
    if params.augmentation == "device":
        mixing = [name for name in ("mixup", "cutmix") if getattr(params, name) != "none"]
        without = f", without {' and '.join(mixing)}" if mixing else ""
        events.say(
            "params.yaml train.augmentation: device: a study makes variants one by one on the CPU, "
            f"as online does{without}"
        )
