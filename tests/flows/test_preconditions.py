"""Preconditions of a run: files that a person or a full disk has damaged are named."""

from pathlib import Path

import pytest

from flows.preconditions import check_params, require_raw, require_stage
from tasks.common.errors import UserError


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "outs: []", "outs:\n- raw\n", "<<<<<<< HEAD\nouts:\n- md5: a.dir\n=======\n", "\0"]
)
def test_images_without_a_sound_record_are_no_beginning_of_a_run(text: str) -> None:
    Path("data/raw/cat").mkdir(parents=True)
    Path("data/raw/cat/1.png").write_text("x")
    require_raw()  # not recorded yet: the run does that
    Path("data/raw.dvc").write_text(text)
    with pytest.raises(UserError) as caught:
        require_raw()
    assert str(caught.value) == (
        "data/raw.dvc: needs to be a file of DVC's, found none: "
        "take it from git, or remove it and run `dvc add data/raw`"
    )
    Path("data/raw.dvc").write_text("outs:\n- path: raw\n")  # of a remote with versions
    require_raw()


@pytest.mark.parametrize("text", ["", "stages:", "stages: [", "a: 1", "\0"])
def test_a_pipeline_that_cannot_be_read_is_named(text: str) -> None:
    Path("dvc.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        require_stage("ingest")
    assert str(caught.value) == (
        "dvc.yaml: needs the stages of the pipeline, found none: "
        "`git diff dvc.yaml` shows what was changed"
    )
    Path("dvc.yaml").write_text("stages: {ingest: {cmd: x}}")
    require_stage("ingest")
    with pytest.raises(UserError, match=r"^--until train: needs a stage of dvc\.yaml: ingest$"):
        require_stage("train")


def test_a_file_of_weights_has_to_be_a_dependency_of_train() -> None:
    Path("params.yaml").write_text(
        "{ingest: {}, validate: {}, evaluate: {}, train: {weights: own.pth}, "
        "augment: {variants_per_image: 1, policy: [HorizontalFlip]}}"
    )
    Path("own.pth").touch()
    Path("dvc.yaml").write_text("stages: {train: {deps: [data/raw]}}")
    with pytest.raises(UserError) as caught:
        check_params()
    assert str(caught.value) == (
        "dvc.yaml stages.train.deps: needs the line `- own.pth`, which train.weights of "
        "params.yaml names: without it nobody notices when the file changes"
    )
    Path("dvc.yaml").write_text("stages: {train: {deps: [data/raw, own.pth]}}")
    check_params()


def test_a_policy_that_device_augmentation_has_not_is_refused_before_any_work() -> None:
    policy = "augment: {variants_per_image: 1, policy: [HorizontalFlip, GaussNoise]}"
    others = "ingest: {}\nvalidate: {}\nevaluate: {}"
    Path("params.yaml").write_text(f"{others}\n{policy}\ntrain: {{augmentation: online}}\n")
    check_params()
    Path("params.yaml").write_text(f"{others}\n{policy}\ntrain: {{augmentation: device}}\n")
    with pytest.raises(UserError) as caught:
        check_params()
    assert str(caught.value) == (
        "params.yaml augment.policy[1] GaussNoise: device augmentation has no such step; it has "
        "Affine, CoarseDropout, ColorJitter, D4, Erasing, HorizontalFlip, "
        "RandomBrightnessContrast, RandomResizedCrop, RandomRotate90, Rotate, ShiftScaleRotate, "
        "SquareSymmetry, Transpose, VerticalFlip"
    )
