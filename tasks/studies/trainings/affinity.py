"""Affinity of a policy: how well models trained on originals know images that it changed.

Source: R. Gontijo-Lopes et al., "Tradeoffs in Data Augmentation: An Empirical Study", ICLR 2021.
"""

from collections.abc import Sequence

from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.training import Training


def affinities(arms: Sequence[Arm], clean: Sequence[Training], data: StudyData) -> list[float]:
    """The affinity of each arm: accuracy on augmented over that on clean validation images.

    `clean`: trainings of the arm `none`, run before; their mean counts. That of `none` is 1.
    """
    raise NotImplementedError
