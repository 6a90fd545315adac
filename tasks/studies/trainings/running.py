"""Run trainings in worker processes; those finished before are read from the private cache."""

from collections.abc import Sequence

from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.training import Trained, Training


def run_trainings(trainings: Sequence[Training], data: StudyData, what: str) -> list[Trained]:
    """What each training gives, in their order; progress in trainings, with the time left.

    `what`: is done, for people.
    """
    raise NotImplementedError
