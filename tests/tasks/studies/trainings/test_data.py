"""A study looks at training and validation images alone."""

import numpy as np
import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.dataset.paths import VALIDATED_MANIFEST
from tasks.studies.trainings.arm import NONE
from tasks.studies.trainings.data import study_data
from tasks.studies.trainings.key import Keys
from tasks.studies.trainings.training import Training, run_training
from tasks.variants.params import LabelRule
from tests.tasks.studies.trainings.drawn import PARAMS, TURNED, arm, rows


def of(split: str, manifest: pd.DataFrame) -> pd.Series:
    return manifest["split"] == split


def test_nothing_of_the_test_split_reaches_the_data_or_a_key() -> None:
    manifest = rows()
    data = study_data(manifest, PARAMS)
    in_test = of("test", manifest)
    for other in (
        manifest[~in_test],
        manifest.assign(label=manifest["label"].mask(in_test, "in no other split")),
        manifest.assign(sha256=manifest["sha256"].mask(in_test, "0" * 64), cluster=None),
    ):
        same = study_data(other, PARAMS)
        assert not {*data.training["split"], *data.validation["split"]} & {"test"}
        pd.testing.assert_frame_equal(same.training, data.training)
        pd.testing.assert_frame_equal(same.validation, data.validation)
        assert (same.classes, same.form) == (data.classes, data.form)
        for shown in (NONE, TURNED):
            training = Training(shown, 1, 2)
            assert Keys(same).of(training) == Keys(data).of(training)


def test_images_of_one_group_or_cluster_are_one_unit() -> None:
    manifest = rows()
    places = manifest.index[of("validation", manifest)]
    manifest.loc[places[:2], "group_id"] = "one"
    manifest.loc[places[1:3], "cluster"] = "other"
    assert study_data(manifest, PARAMS).units.tolist() == [0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", "needs training images for a study, found none"),
        (
            "validation",
            "needs validation images, by which a study judges, found none; put some into a folder "
            "`validation`, or raise validate.validation in params.yaml",
        ),
    ],
)
def test_a_split_without_images_is_one_line(split: str, expected: str) -> None:
    manifest = rows()
    with pytest.raises(UserError) as error:
        study_data(manifest[~of(split, manifest)], PARAMS)
    assert str(error.value) == f"{VALIDATED_MANIFEST}: {expected}"


def test_a_second_class_in_the_test_split_alone_is_none() -> None:
    manifest = rows()
    left = (manifest["label"] == "left") | of("test", manifest)
    with pytest.raises(UserError) as error:
        study_data(manifest[left], PARAMS)
    expected = f"{VALIDATED_MANIFEST}: needs two classes for a study, found 'left' alone"
    assert str(error.value) == expected


def test_what_a_rule_relabels_to_is_a_class_without_an_image_of_it() -> None:
    rule = LabelRule(classes=["left"], relabel={"HorizontalFlip": {"left": "right"}})
    manifest = rows()
    turned = manifest["label"].mask(manifest["label"] == "right", "up")
    data = study_data(manifest.assign(label=turned), PARAMS, [rule])
    assert data.classes == ["left", "right", "up"]
    trained = run_training(
        Training(arm([{"HorizontalFlip": {"p": 1.0}}], labels=[rule]), 1, 1), data
    ).trained
    assert np.isfinite(trained.train_losses).all()


def test_targets_of_rules_are_spelled_as_the_images_are() -> None:
    rule = LabelRule(classes=["left"], relabel={"HorizontalFlip": {"left": "\u00e9"}})
    manifest = rows()
    accented = manifest["label"].mask(manifest["label"] == "right", "e\u0301")
    assert study_data(manifest.assign(label=accented), PARAMS, [rule]).classes == [
        "e\u0301",
        "left",
    ]


@pytest.mark.parametrize(
    ("mixing", "without"),
    [
        ({}, ""),
        ({"mixup": 0.2}, ", without mixup"),
        ({"mixup": 0.2, "cutmix": 1.0}, ", without mixup and cutmix"),
    ],
)
def test_that_device_augmentation_is_left_out_is_said(
    mixing: dict[str, float], without: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study_data(rows(), PARAMS.model_copy(update={"augmentation": "device", **mixing}))
    assert capsys.readouterr().out == (
        "params.yaml train.augmentation: device: a study makes variants one by one on the CPU, "
        f"as online does{without}\n"
    )
