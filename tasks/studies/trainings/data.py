"""The images of a study, from the training and validation splits alone."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.train.params import TrainParams


class StudyData(NamedTuple):
    """What all trainings of a study share; picklable, without pixels.

    `training`, `validation`: rows of the validated manifest, of these splits. `classes`: of the
    dataset, sorted. `params`: the train block. `labels`: the class numbers of the validation
    images, int64 (images,). `units`: the number of each validation image's unit: images of one
    group or cluster are one, int (images,).
    """

    training: pd.DataFrame
    validation: pd.DataFrame
    classes: list[str]
    params: TrainParams
    labels: np.ndarray
    units: np.ndarray
