"""What a plan warns of, and what it is silent about."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.augment.plan_warnings import plan_warnings
from tasks.capacity.count import capacities_by_source, checked_capacities
from tasks.common.errors import UserError
from tasks.variants.params import AugmentParams
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
    params = AugmentParams(variants_per_image=planned, policy=policy, distinct=distinct)
    return plan_warnings(params, rows, counts, *capacities_by_source(rows, policy))


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


PLACE = "params.yaml augment.policy[0]"
ONE_SMALL = "1 of 3 training images (one has 9 x 8 pixels)"


def test_crops_larger_than_some_images() -> None:
    crop = {"height": 10, "width": 10}
    text = (
        f"{PLACE} RandomCrop: is larger than {ONE_SMALL}, {{}}; crop less or set "
        "pad_if_needed: true"
    )
    assert warned([{"RandomCrop": crop}]) == [
        text.format("and variants of theirs will be rejected")
    ]
    assert warned([{"RandomCrop": {**crop, "p": 0.5}}]) == [
        text.format("and what uses it is drawn again, or rejected")
    ]
    assert warned([{"RandomCrop": {**crop, "pad_if_needed": True}}]) == []
    assert warned([{"RandomCrop": crop}], planned=0) == []


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        (
            {"XYMasking": {"num_masks_x": 1, "mask_x_length": 12}},
            "mask_x_length: [1, 2] and mask_y_length: [1, 2]",
        ),
        ({"GridDropout": {"unit_size_range": [9, 20]}}, "unit_size_range: [2, 4]"),
        ({"GridDistortion": {"num_steps": 9}}, "num_steps: 5"),
    ],
)
def test_steps_that_fail_on_small_images(step: dict, advice: str) -> None:
    [name] = step
    inside = {"OneOf": {"transforms": ["GaussNoise", step], "p": 1.0}}
    does = f"cannot be applied to {ONE_SMALL}"
    again = "and what uses it is drawn again, or rejected"
    assert warned([inside]) == [f"{PLACE}.transforms[1] {name}: {does}, {again}; set {advice}"]


def test_holes_that_leave_nothing_of_an_image() -> None:
    hole = {"hole_height_range": [4, 32], "hole_width_range": [4, 32], "p": 1.0}
    text = (
        f"{PLACE} CoarseDropout: its holes cover all of an image, {{}}, for {ONE_SMALL}; variants "
        "of one single colour are drawn again and then rejected; give shares of the image, "
        "hole_height_range: [0.1, 0.3] and hole_width_range: [0.1, 0.3]"
    )
    # a side of 8 in one of 5 draws, one of 9 in one of 6; of one hole or of two
    rate = f"in up to {(1 / 30 + 1 - (29 / 30) ** 2) / 2:.0%} of its draws"
    assert warned([{"CoarseDropout": hole}]) == [text.format(rate)]
    whole = hole | {"hole_height_range": [8, 32], "hole_width_range": [9, 32]}
    assert warned([{"CoarseDropout": whole}]) == [
        text.format("always"),
        "params.yaml augment.policy: 1 training images get more variants than can differ: "
        "at least 1 of 3 variants will be "
        "rejected; plan fewer or add a step to the policy",
    ]
    assert warned([{"OneOf": {"transforms": [{"CoarseDropout": whole}, "GaussNoise"]}}]) == [
        text.replace("[0]", "[0].transforms[0]").format("always")
    ]
    assert warned(["CoarseDropout"]) == []  # shares of the image, by default


def test_holes_that_do_nothing() -> None:
    shares = {"hole_height_range": [0.01, 0.04], "hole_width_range": [0.1, 0.3]}
    assert warned([{"CoarseDropout": shares | {"num_holes_range": [1, 1]}}]) == [
        f"{PLACE} CoarseDropout: does nothing for 2 of 3 training images (one has 9 x 8 pixels): "
        "its holes have less than a pixel; give shares of the image, hole_height_range: [0.1, 0.3] "
        "and hole_width_range: [0.1, 0.3]",
        "params.yaml augment.policy: 2 training images get more variants than can differ: "
        "at least 2 of 3 variants will be "
        "rejected; plan fewer or add a step to the policy",
    ]


def test_shifts_out_of_the_image() -> None:
    assert warned(["trivialaugment"])[0].startswith(
        f"{PLACE} trivialaugment: a shift of it moves out all of an image, in up to 10% of its "
        "draws, for 2 of 3 training images (one has 9 x 8 pixels); variants of one single colour "
        "are drawn again and then rejected; use randaugment, whose shifts are shares of the image"
    )


@pytest.mark.parametrize(
    ("step", "argument", "advice"),
    [
        ({"Blur": {"blur_limit": [3, 19]}}, "blur_limit", "blur_limit: [3, 3]"),
        ({"Affine": {"translate_px": [-19, 9]}}, "translate_px", "translate_percent: [-0.1, 0.1]"),
        ({"CropAndPad": {"px": [0, 19]}}, "px", "percent: [-0.1, 0.1]"),
        ({"Pad": {"padding": 19}}, "padding", "padding: 1"),
        ({"Morphological": {"scale": [2, 19]}}, "scale", "scale: [2, 3]"),
    ],
)
def test_pixels_meant_for_larger_images(step: dict, argument: str, advice: str) -> None:
    [name] = step
    assert warned([step]) == [
        f"{PLACE} {name}: {argument} goes up to 19 pixels, more than the shorter side of "
        f"{ONE_SMALL}; for images so small, set {advice}"
    ]


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        ({"HueSaturationValue": {"val_shift_limit": 0}}, "set val_shift_limit: 20 for these"),
        (
            {"ColorJitter": {"brightness": 0, "contrast": [1, 1]}},
            "set brightness: [0.8, 1.2] for these",
        ),
        ("ChannelShuffle", "add RandomBrightnessContrast for these"),
    ],
)
def test_steps_of_colour_and_grey_images(step: object, advice: str) -> None:
    [name] = [step] if isinstance(step, str) else step  # type: ignore[misc]
    rows = SIZES.assign(label="x", grey=[0, 1, 3])

    def of(policy: list, rows: pd.DataFrame) -> list[str]:
        counts = pd.Series([1, 2, 2])
        params = AugmentParams(variants_per_image=1, policy=policy)
        return plan_warnings(params, rows, counts, *capacities_by_source(rows, policy))

    text = (
        f"{PLACE} {name}: moves colour alone, so it does nothing for 2 of 3 training images, which "
        f"are grey; {advice}"
    )
    assert of([step, "GaussNoise"], rows) == [text]
    assert of([step], rows) == [
        text,
        "params.yaml augment.policy: 2 training images get more variants than can differ: "
        "at least 4 of 5 variants will be "
        "rejected; plan fewer or add a step to the policy",
    ]
    assert of([step, "GaussNoise"], rows.assign(grey=0)) == []
    assert of(["ToSepia", step, "GaussNoise"], rows.assign(grey=3)) == []  # they have colours then


def test_more_variants_than_can_differ() -> None:
    text = (
        "params.yaml augment.policy: 3 training images get more variants than can differ: "
        "at least 6 of 9 variants will be {}; "
        "plan fewer or add a step to the policy"
    )
    assert warned(["InvertImg"], planned=3) == [text.format("rejected")]
    assert warned(["HorizontalFlip"], planned=3, distinct=False) == [text.format("copies")]
    assert warned(["InvertImg"], planned=1) == warned(["GaussNoise"], planned=99) == []


@pytest.mark.parametrize(("shift", "warnings"), [(20, 0), (0, 1)])
def test_colour_after_a_step_without_bound(shift: int, warnings: int) -> None:
    rows = SIZES.assign(label="cat", file_name="a", grey=1)
    colour = {"HueSaturationValue": {"val_shift_limit": shift}}
    policy = [{"Rotate": {"limit": 15, "p": 1.0}}, colour]
    params = AugmentParams(variants_per_image=1, policy=policy)
    counts = pd.Series(1, rows.index)
    found = plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params))
    assert len(found) == warnings


def test_the_policy_that_makes_too_few_is_named() -> None:
    rows = SIZES.assign(label=["cat", "dog", "dog"], file_name=["a", "b", "c"])
    own = {"cat": {"policy": [{"Posterize": {"num_bits": [4, 5], "p": 1.0}}]}}
    params = AugmentParams(variants_per_image=5, policy="GaussNoise", per_class=own)
    counts = pd.Series([5, 5, 5])
    assert plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params)) == [
        "params.yaml augment.per_class 'cat' policy: 1 training images get more variants than can "
        "differ: at least 3 of 5 variants will be rejected; plan fewer or add a step to the policy"
    ]


def test_each_policy_is_warned_of_for_its_own_classes() -> None:
    rows = SIZES.assign(label=["9", "8", "8"], file_name=["a", "b", "c"])
    own = {"9": {"policy": [{"Rotate": {"limit": 90}}]}, "8": {"variants_per_image": 2}}
    params = AugmentParams(variants_per_image=1, policy="HorizontalFlip", per_class=own)
    counts = pd.Series([1, 1, 1])
    found = checked_capacities(rows, counts, params)
    assert [capacity.count for capacity in found[1]] == [None, 2]
    assert found[0].tolist() == [0, 1, 1]
    assert plan_warnings(params, rows, counts, *found) == [
        "Rotate: turns by up to 90 degrees; if images have an upside, set limit: 30 or less",
        "HorizontalFlip: the classes (8) look like digits or letters, and a flipped or turned one "
        "may be another or none; leave it out of augment.policy",
    ]
    with pytest.raises(UserError, match=r"^params.yaml augment.policy: 2 distinct variants"):
        checked_capacities(rows, counts * 2, params)
    own["9"]["policy"], own["8"]["policy"] = ["VerticalFlip"], ["GaussNoise"]
    params = AugmentParams(variants_per_image=1, policy="NoOp", per_class=own)
    with pytest.raises(UserError, match=r"^params.yaml augment.per_class '9' policy: 2 distinct"):
        checked_capacities(rows, counts * 2, params)
    assert plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params)) == [
        "VerticalFlip: the classes (9) look like digits or letters, and a flipped or turned one "
        "may be another or none; leave it out of augment.per_class '9' policy"
    ]
    own["9"]["policy"] = ["NoOp", "GaussNoise", {"Blur": {"blur_limit": 11}}]
    params = AugmentParams(variants_per_image=1, policy="GaussNoise", per_class=own)
    found = checked_capacities(rows, counts, params)
    assert plan_warnings(params, rows, counts, *found) == [
        "params.yaml augment.per_class '9' policy[2] Blur: blur_limit goes up to 11 pixels, more "
        "than the shorter side of 1 of 1 training images (one has 9 x 8 pixels); for images so "
        "small, set blur_limit: [3, 3]"
    ]


@pytest.mark.parametrize("steps", [["Blur"], ["Blur", "Sharpen", "InvertImg", "VerticalFlip"]])
def test_policies_of_different_lengths_are_warned_of_each(steps: list[str]) -> None:
    rows = SIZES.assign(label=["cat", "dog", "dog"], file_name=["a", "b", "c"], grey=1)
    params = AugmentParams(
        variants_per_image=1,
        policy=["Blur", "HueSaturationValue", {"ChannelShuffle": {"p": 1.0}}],
        per_class={"cat": {"policy": steps}},
    )
    counts = pd.Series([1, 1, 1])
    assert plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params)) == [
        "params.yaml augment.policy[2] ChannelShuffle: moves colour alone, so it does nothing for "
        "2 of 2 training images, which are grey; add RandomBrightnessContrast for these"
    ]


def test_steps_are_warned_of_for_the_images_of_their_own_policy() -> None:
    rows = SIZES.assign(label=["cat", "dog", "dog"], file_name=["a", "b", "c"])
    crop = {"CenterCrop": {"height": 10, "width": 9, "p": 0.5}}
    own = {"dog": {"policy": [crop, "HorizontalFlip", "VerticalFlip"]}}
    params = AugmentParams(variants_per_image=1, policy="GaussNoise", per_class=own)  # shorter
    counts = pd.Series([1, 1, 1])
    assert plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params)) == []
    own["dog"]["policy"], own["cat"] = ["GaussNoise"], {"policy": [crop, "NoOp"]}
    params = AugmentParams(variants_per_image=1, policy="NoOp", per_class=own)
    assert plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params)) == [
        "params.yaml augment.per_class 'cat' policy[0] CenterCrop: is larger than 1 of 1 training "
        "images (one has 9 x 8 pixels), and what uses it is drawn again, or rejected; crop less "
        "or set pad_if_needed: true"
    ]


def test_no_training_images_no_cautions() -> None:
    none = SIZES.assign(label="x")[:0]
    params = AugmentParams(variants_per_image=1, policy=["D4"])
    assert plan_warnings(params, none, pd.Series([], dtype=int), np.array([], int), []) == []
    assert capacities_by_source(none, ["D4"])[1] == []


def test_a_run_warns_as_the_plan_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left, _ = run(Dataset(random.Random(0)), tmp_path, monkeypatch)
    text = "Rotate: turns by up to 40 degrees; if images have an upside, set limit: 30 or less"
    assert json.loads(left["metrics"])["warnings"] == [text]
    assert f"warning: {text}\n" in capsys.readouterr().out
