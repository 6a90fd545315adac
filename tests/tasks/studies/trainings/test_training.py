"""A training of a study is one of the stage: the same images in the same order, the same loop."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from tasks.augment.__main__ import main as augment
from tasks.common import events
from tasks.common.params import read_params
from tasks.dataset.manifests import read_validated
from tasks.dataset.paths import HISTORY, WEIGHTS
from tasks.ingest.__main__ import main as ingest
from tasks.model.inference import predict
from tasks.model.networks import build_model
from tasks.studies.trainings.arm import NONE, Arm
from tasks.studies.trainings.data import StudyData, study_data
from tasks.studies.trainings.training import Training, decoded, params_of, run_training
from tasks.train import samples
from tasks.train.__main__ import main as train
from tasks.train.params import TrainParams
from tasks.train.samples import class_numbers
from tasks.validate.__main__ import main as validate
from tasks.variants.params import AugmentParams
from tests.conftest import fill
from tests.tasks.studies.trainings.drawn import PARAMS, POOLED, TURNED, study

SEED, EPOCHS = 7, 3


@pytest.fixture
def trained_by_the_stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> StudyData:
    """The data of a project in which the train stage has run, in this process."""
    project = fill(tmp_path)
    project.write_digits(per_class=8)
    changes = {"seed": SEED, "epochs": EPOCHS, "threads": 1, "batch_size": 8, **request.param}
    project.set_params(**{f"train__{name}": value for name, value in changes.items()})
    project.set_params(augment__seed=SEED, augment__variants_per_image=0)
    monkeypatch.setattr(samples, "worker_count", lambda: 0)  # variants in this process
    with events.silent():
        for stage in (ingest, validate, augment, train):
            stage()
    return study_data(read_validated(), read_params("train", TrainParams))


def policy() -> Arm:
    return Arm("all", read_params("augment", AugmentParams))


@pytest.mark.parametrize(
    ("trained_by_the_stage", "of"),
    [
        ({"augmentation": "online", "ema": 0.5}, "policy"),
        ({"augmentation": "offline", "balance": "weights", "clip_norm": 1.0}, "originals"),
    ],
    ids=["online", "originals"],
    indirect=["trained_by_the_stage"],
)
def test_it_gives_the_weights_and_losses_that_the_stage_gives(
    trained_by_the_stage: StudyData, of: str
) -> None:
    data = trained_by_the_stage
    arm = Arm("all", read_params("augment", AugmentParams)) if of == "policy" else NONE
    with events.silent():
        trained, model = run_training(Training(arm, SEED, EPOCHS), data)
    assert model is not None
    weights = load_file(WEIGHTS)
    assert model.weights.keys() == weights.keys()
    assert all(torch.equal(model.weights[name], weights[name]) for name in weights)
    history = pd.read_csv(HISTORY)
    np.testing.assert_allclose(trained.train_losses, history["train_loss"], atol=1e-6)
    np.testing.assert_allclose(trained.validation_losses, history["validation_loss"], atol=1e-6)
    accuracies = history["validation_accuracy"]
    np.testing.assert_allclose(trained.validation_accuracies, accuracies, atol=1e-6)
    assert np.mean(trained.predicted == data.labels) == pytest.approx(max(accuracies), abs=1e-6)
    with decoded(data) as (originals, _):
        logits = predict(model.network(data), originals.array, torch.device("cpu"))
    numbers = class_numbers(data.training, data.classes)
    assert trained.original_loss == pytest.approx(float(functional.cross_entropy(logits, numbers)))


def test_its_parameters_are_those_of_params_yaml_but_for_what_the_study_decides() -> None:
    params = PARAMS.model_copy(
        update={
            "epochs": 10,
            "schedule": "cosine",
            "warmup_epochs": 1.0,
            "patience": 2,
            "threads": 4,
            "devices": 4,
            "augmentation": "device",
            "mixup": 0.2,
            "ema": 0.9,
            "balance": "sampler",
        }
    )
    changed = params_of(Training(POOLED, 3, 40), params).model_dump()
    expected = {
        "seed": 3,
        "epochs": 40,
        "warmup_epochs": 4.0,
        "patience": None,
        "threads": 1,
        "devices": 1,
        "augmentation": "online",
        "mixup": "none",
    }
    assert changed == {**params.model_dump(), **expected}
    assert params_of(Training(TURNED, 3, 40), params).augmentation == "online"
    assert params_of(Training(NONE, 3, 40), params).augmentation == "offline"


@pytest.mark.parametrize("arm", [NONE, TURNED, POOLED], ids=["originals", "online", "pool"])
def test_of_a_frozen_backbone_the_head_alone_learns(arm: Arm) -> None:
    backbone = build_model("small_cnn", 2, 8).state_dict()
    save_file(backbone, "before.safetensors")
    data = study(weights="before.safetensors", freeze="backbone", learning_rate=0.01)
    with events.silent():
        model = run_training(Training(arm, 1, 2), data).model
    assert model is not None
    learned = {name for name in backbone if not torch.equal(model.weights[name], backbone[name])}
    assert learned == {"head.weight", "head.bias"}
