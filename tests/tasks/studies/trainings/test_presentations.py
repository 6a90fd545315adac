"""A study shows each image as often as the train stage would."""

from typing import Any

import pandas as pd
import pytest

from tasks.studies.trainings.data import StudyData
from tasks.studies.trainings.presentations import Presentations, presentations
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams

LABELS = ["6"] * 6 + ["9"] * 4


def shown(augmentation: str, **numbers: Any) -> Presentations:
    training = pd.DataFrame({"source_id": [f"{i:016}" for i in range(10)], "label": LABELS})
    params = TrainParams(augmentation=augmentation, epochs=3)  # type: ignore[arg-type]
    data = StudyData(training, *[None] * 2, params, *[None] * 3)  # type: ignore[arg-type]
    return presentations(data, AugmentParams(policy=["RandomGamma"], **numbers))


@pytest.mark.parametrize(
    "augmentation, numbers, expected",
    [
        ("offline", {"variants_per_image": 4}, (4, 15)),  # an epoch of the stage shows 5
        ("offline", {"variants_per_image": 0}, (0, 3)),
        ("offline", {"total": 25}, (2, 9)),  # 1.5 of each
        ("offline", {"total": 11}, (1, 6)),  # 0.1 of each: at least one
        ("offline", {"target_per_class": "max"}, (1, 6)),
        ("online", {"variants_per_image": 4}, (None, 3)),
        ("device", {"variants_per_image": 4}, (None, 3)),
        ("both", {"variants_per_image": 4}, (None, 18)),  # those 5 and one made on the fly
    ],
)
def test_epochs_are_as_many_as_the_stage_shows_an_image(
    augmentation: str, numbers: dict[str, Any], expected: tuple[int | None, int]
) -> None:
    assert shown(augmentation, **numbers) == expected
