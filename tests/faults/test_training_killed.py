"""SIGKILL at any moment of a training: it goes on, and ends as an undisturbed one."""

import math
import random
import time

import pytest

from tests.conftest import Project
from tests.faults.training import AfterAnEpoch, Trainings, checkpoints, outputs
from tests.tasks.augment.test_stage import run_data_stages

pytestmark = pytest.mark.slow

KILLS = 5
RANDOM = random.Random(18)
MODES: dict[str, dict[str, object]] = {
    "offline": {"train__augmentation": "offline"},
    "online": {"train__augmentation": "online"},
    "both": {"train__augmentation": "both"},
    "device": {"train__augmentation": "device", "train__mixup": 0.2},
    "dropout": {"train__model": "mobilenet_v3_small", "train__image_size": 32, "train__epochs": 12},
}


@pytest.mark.parametrize("mode", MODES)
def test_killed_five_times_and_while_it_saves(mode: str, digits: Project) -> None:
    prepare(digits, **MODES[mode])
    with Trainings(digits) as trainings:
        told = AfterAnEpoch(trainings, math.inf)
        trainings.run(told)
        seconds = time.monotonic() - told.begun
        expected = outputs(digits)
        assert len(expected) >= 6 and not checkpoints(digits, "*")
        for number in range(KILLS):
            trainings.run(AfterAnEpoch(trainings, RANDOM.uniform(0, 0.15) * seconds))
            if number == 1:
                trainings.run(KILLED_WHILE_IT_SAVES="1")
                assert checkpoints(digits, ".*.tmp") and checkpoints(digits, "[!.]*")
    resumed = digits.stage("train").stdout.splitlines()
    assert any(line.startswith("training goes on after step ") for line in resumed), resumed
    assert outputs(digits) == expected
    assert not checkpoints(digits, "*")


def test_killed_after_the_last_step_while_outputs_are_written(digits: Project) -> None:
    prepare(digits)
    with Trainings(digits) as trainings:
        trainings.run()
        expected = outputs(digits)
        for name in ("models/model.json", "plots/history.csv", "models/exposure.csv"):
            path = digits.path(name)
            path.unlink()
            trainings.run(path.exists)
        trainings.run()
    assert outputs(digits) == expected
    assert not checkpoints(digits, "*")


def prepare(project: Project, **settings: object) -> None:
    """Run the stages up to augment, for a training of some seconds."""
    project.environment["VARIEGATE_WORKERS"] = "2"
    defaults = {"train__epochs": 40, "train__batch_size": 16, "train__threads": 1}
    project.set_params(**{**defaults, **settings})
    run_data_stages(project)
