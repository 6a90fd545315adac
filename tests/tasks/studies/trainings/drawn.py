"""A small study: drawn arrows to the left and to the right, and policies that turn them around."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.dataset.paths import VALIDATED_MANIFEST
from tasks.studies.trainings.arm import Arm
from tasks.studies.trainings.data import StudyData, study_data
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams
from tests.tasks.studies.audit.drawn import arrows

PARAMS = TrainParams(epochs=2, batch_size=8, image_size=8, threads=1)
SPLITS = ["train", "train", "validation", "train", "test"]  # of each five images


def rows(of_each: int = 15) -> pd.DataFrame:
    """Write images; their rows of the validated manifest, of which only its metadata is written."""
    drawn = arrows("left right", of_each)
    VALIDATED_MANIFEST.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"file_name": ["one"]}).to_parquet(VALIDATED_MANIFEST)
    split = np.resize(SPLITS, len(drawn))
    return drawn.assign(split=split, group_id=None, cluster=None)


def study(params: TrainParams = PARAMS, **changes: Any) -> StudyData:
    return study_data(rows(), params.model_copy(update=changes))


def arm(policy: list[Any], variants: int | None = None, **more: Any) -> Arm:
    augment = AugmentParams(policy=policy, variants_per_image=1, **more)
    return Arm(str(policy), augment, variants)


TURNED = arm([{"Rotate": {"limit": 20, "p": 1.0}}])
POOLED = arm([{"Rotate": {"limit": 20, "p": 1.0}}], 3)
FLIPPED = arm([{"HorizontalFlip": {"p": 1.0}}], distinct=False)


def kept_files() -> list[Path]:
    """What the private cache keeps of trainings."""
    return sorted(Path(".variegate/trainings").glob("*.npz"))
