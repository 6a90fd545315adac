"""Which policies device augmentation has, and the one line for each that it has not."""

import subprocess
import sys
from typing import Any

import pytest

from tasks.common.errors import UserError
from tasks.train.device_augmentation.policy import (
    Border,
    ResizedCrop,
    Symmetry,
    Warp,
    check_device_policies,
    device_steps,
    has_policies,
)
from tasks.train.params import TrainParams
from tasks.variants.params import AugmentParams

PLACE = "params.yaml augment.policy"
KNOWN = (
    "Affine, CoarseDropout, ColorJitter, D4, Erasing, HorizontalFlip, RandomBrightnessContrast, "
    "RandomResizedCrop, RandomRotate90, Rotate, ShiftScaleRotate, SquareSymmetry, Transpose, "
    "VerticalFlip"
)


def test_steps_have_the_arguments_of_albumentations() -> None:
    policy: list[Any] = [
        "NoOp",
        {"HorizontalFlip": {"p": 0.3}},
        {"Rotate": {"limit": 20, "fill": 9}},
        {"RandomResizedCrop": {"size": [8, 8], "scale": [0.5, 1.0]}},
    ]
    one, none = (1.0, 1.0), (0.0, 0.0)
    assert device_steps(policy, PLACE) == (
        Symmetry("HorizontalFlip", 0.3, ("h",)),
        Warp(
            *("Rotate", 0.5, one, one, False, (-20.0, 20.0)),
            *(none, none, none, none, False, Border(0, (9.0, 9.0, 9.0))),
        ),
        ResizedCrop("RandomResizedCrop", 1.0, (0.5, 1.0), (0.75, 4 / 3)),
    )


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("GaussNoise", f"[2] GaussNoise: device augmentation has no such step; it has {KNOWN}"),
        (
            "trivialaugment",
            f"[2] trivialaugment: device augmentation has no such step; it has {KNOWN}",
        ),
        (
            {"OneOf": {"transforms": ["HorizontalFlip"]}},
            f"[2] OneOf: device augmentation has no such step; it has {KNOWN}",
        ),
        (
            "ColorJitter",
            "[2] ColorJitter.hue: device augmentation has 0 alone, found [-0.5, 0.5]",
        ),
        (
            {"Affine": {"interpolation": 2}},
            "[2] Affine.interpolation: device augmentation has 1 alone, found 2",
        ),
        (
            {"Rotate": {"crop_border": True}},
            "[2] Rotate.crop_border: device augmentation has false alone, found true",
        ),
        (
            {"Rotate": {"border_mode": 3}},
            "[2] Rotate.border_mode: device augmentation has 0, 1, 2, 4, found 3",
        ),
        (
            {"CoarseDropout": {"fill": "random"}},
            "[2] CoarseDropout.fill: device augmentation has one number or three, found random",
        ),
    ],
)
def test_what_there_is_not_is_one_line_with_its_place(step: Any, error: str) -> None:
    params = AugmentParams(
        variants_per_image=1, policy=["NoOp", {"HorizontalFlip": {"p": 1.0}}, step]
    )
    with pytest.raises(UserError) as raised:
        check_device_policies(params)
    assert str(raised.value) == PLACE + error
    assert not has_policies(params)


def test_the_policies_of_classes_are_checked_also_where_a_rule_forbids_the_step() -> None:
    params = AugmentParams(
        variants_per_image=1,
        policy=["D4"],
        per_class={"cat": {"policy": ["Blur"]}},
        labels=[{"classes": ["cat"], "forbid": ["Blur"]}],
    )
    with pytest.raises(UserError, match=r"^params\.yaml augment\.per_class 'cat' policy\[0\] Blur"):
        check_device_policies(params)


def test_mixup_and_cutmix_need_it() -> None:
    assert TrainParams(augmentation="device", mixup=0.2, cutmix=1).cutmix == 1
    for name in ("mixup", "cutmix"):
        with pytest.raises(ValueError, match=f"{name} needs augmentation: device, found offline"):
            TrainParams(**{name: 0.2})
        with pytest.raises(
            ValueError, match=f"{name} needs a number above 0, to 100, or 'none', found -1.0"
        ):
            TrainParams(augmentation="device", **{name: -1.0})


@pytest.mark.starts
def test_a_policy_is_checked_without_torch() -> None:
    code = "import sys, tasks.train.device_augmentation.policy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
