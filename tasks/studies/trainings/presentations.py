"""How often a study shows each image: as often as the train stage would, by the present plan."""

from typing import NamedTuple

from tasks.augment.plan import plan_counts
from tasks.studies.trainings.data import StudyData
from tasks.variants.params import AugmentParams


class Presentations(NamedTuple):
    """`variants`: see Arm. `epochs`: of a training of the study, which shows each image once."""

    variants: int | None
    epochs: int


def presentations(data: StudyData, augment: AugmentParams) -> Presentations:
    """What the train stage shows, spread over epochs that show each image once.

    An epoch of the stage shows, offline: an image and its stored variants, here as many of each as
    the plan has in the mean; both: one more, made on the fly, which all are in a study.
    """
    mode, epochs = data.params.augmentation, data.params.epochs
    planned = float(plan_counts(data.training, augment).mean())
    stored = max(1, round(planned)) if planned else 0
    if mode == "offline":
        return Presentations(stored, epochs * (1 + stored))
    return Presentations(None, epochs * (2 + stored) if mode == "both" else epochs)
