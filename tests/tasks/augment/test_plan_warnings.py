"""What a plan warns of, and what it is silent about."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.augment.plan_warnings import plan_warnings
from tasks.capacity.count import capacities_by_source
from tests.tasks.augment.datasets import Dataset, run

SIZES = pd.DataFrame({"height": [8, 20, 30], "width": [9, 20, 30], "grey": 0})


def warned(
    policy: list,
    labels: Sequence[str] = ("cat", "dog", "dog"),
    planned: int = 1,
    distinct: bool = True,
) -> list[str]:
    rows = SIZES.assign(label=list(labels))
    counts = pd.Series(planned, rows.index)
    return plan_warnings(policy, rows, counts, *capacities_by_source(rows, policy), distinct)


@pytest.mark.parametrize("labels", ["017", "abA", ["10", "11", "12"], ["zero", "Nine", "four"]])
def test_flips_of_digits_and_letters(labels: Sequence[str]) -> None:
    inner = [
        {"OneOf": {"transforms": ["D4", {"Transpose": {"p": 0.0}}], "p": 0.5}},
        "VerticalFlip",
        "NoOp",
    ]
    shown = ", ".join(sorted(labels))
    assert warned(inner, labels) == [
        f"D4, VerticalFlip: the classes ({shown}) look like digits or letters, and a flipped or "
        "turned one may be another or none; leave it out of augment.policy"
    ]


def test_flips_of_other_things_are_no_matter() -> None:
    assert (
        warned(["D4"]) == warned(["D4"], ["1", "2", "dog"]) == warned([{"Blur": {}}], "123") == []
    )


def test_steps_that_every_image_should_get() -> None:
    policy = [
        {"SmallestMaxSize": {"max_size": 128, "p": 1.0}},
        {"CenterCrop": {"height": 6, "width": 5}},
        "HorizontalFlip",
    ]
    text = (
        "{}: every variant gets this, but no original, and no validation or test image; if all "
        "images are to get it, move it to ingest.preprocess: [{}]"
    )
    assert warned(policy) == [
        text.format(
            "SmallestMaxSize, CenterCrop",
            "{resize: {shorter: 128}}, {crop: {width: 5, height: 6}}",
        )
    ]
    assert warned([{"ToGray": {"p": 1.0}}]) == [text.format("ToGray", "grey")]
    assert (
        warned(["ToGray", {"OneOf": {"transforms": [{"Resize": {"height": 9, "width": 9}}]}}]) == []
    )


def test_steps_that_resample_one_after_another() -> None:
    affine, perspective = {"Affine": {"rotate": [-9, 9]}}, "Perspective"
    text = (
        "Affine, Perspective: up to {} of them resample an image one after another, and each blurs "
        "it; use one Affine for scale, shift and rotation, or put them into a OneOf"
    )
    both = [affine, perspective]
    assert warned([affine, "HorizontalFlip", perspective]) == [text.format(2)]
    assert warned(
        [affine, {"OneOf": {"transforms": [perspective, {"Sequential": {"transforms": both}}]}}]
    ) == [text.format(3)]
    assert warned([{"SomeOf": {"transforms": both, "n": 2, "replace": True}}]) == [text.format(2)]
    assert (
        warned([{"OneOf": {"transforms": both}}])
        == warned([{"SomeOf": {"transforms": both, "n": 1}}])
        == []
    )


def test_rotations_by_far_as_asked_for_or_by_default() -> None:
    text = "{}: turns by up to {} degrees; if images have an upside, set {}: 30 or less"
    for step, name, degrees, argument in (
        ("Rotate", "Rotate", 90, "limit"),
        ({"SafeRotate": {"limit": 31}}, "SafeRotate", 31, "limit"),
        ({"Affine": {"rotate": [-30.5, 0]}}, "Affine", 30.5, "rotate"),
        ("ShiftScaleRotate", "ShiftScaleRotate", 45, "rotate_limit"),
    ):
        assert warned([step]) == [text.format(name, degrees, argument)]
    assert warned([{"Rotate": {"limit": 30}}]) == warned([{"Affine": {"scale": [0.9, 1.1]}}]) == []


def test_crops_larger_than_some_images() -> None:
    crop = {"height": 10, "width": 10}
    text = (
        "a crop is larger than 1 of 3 training images (one has 9 x 8 pixels), and {} of theirs "
        "will be rejected; crop less or set pad_if_needed: true"
    )
    assert warned([{"RandomCrop": crop}]) == [text.format("variants")]
    assert warned([{"RandomCrop": {**crop, "p": 0.5}}]) == [text.format("some variants")]
    assert warned([{"RandomCrop": {**crop, "pad_if_needed": True}}]) == []
    assert warned([{"RandomCrop": crop}], planned=0) == []


def test_more_variants_than_can_differ() -> None:
    text = (
        "3 training images get more variants than can differ: at least 6 of 9 variants will be {}; "
        "plan fewer or widen the policy"
    )
    assert warned(["InvertImg"], planned=3) == [text.format("rejected")]
    assert warned(["HorizontalFlip"], planned=3, distinct=False) == [text.format("copies")]
    assert warned(["InvertImg"], planned=1) == warned(["GaussNoise"], planned=99) == []


def test_no_training_images_no_cautions() -> None:
    none = pd.DataFrame({"height": [], "width": [], "label": []})
    assert plan_warnings(["D4"], none, pd.Series([], dtype=int), np.array([], int), []) == []


def test_a_run_warns_as_the_plan_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left, _ = run(Dataset(random.Random(0)), tmp_path, monkeypatch)
    text = "Rotate: turns by up to 40 degrees; if images have an upside, set limit: 30 or less"
    assert json.loads(left["metrics"])["warnings"] == [text]
    assert f"warning: {text}\n" in capsys.readouterr().out
