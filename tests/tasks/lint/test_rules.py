"""What the rules find in a policy and its images, and what they are silent about."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.capacity.count import capacities_by_source, checked_capacities
from tasks.common.errors import UserError
from tasks.common.yaml_names import quoted
from tasks.lint import policy_rules
from tasks.lint.count_rules import Planned
from tasks.lint.lint import lint
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.params import AugmentParams
from tasks.variants.policy import build_transforms
from tasks.variants.recipe import Recipes
from tests.tasks.augment.datasets import Dataset, run

POLICY = "params.yaml augment.policy"
PLACE = f"{POLICY}[0]"
FACTS = {"grey": 0, "format": "PNG", "bits": 8, "highest": 255}
SIZES = pd.DataFrame({"height": [8, 20, 30], "width": [9, 20, 30], **FACTS})


def plan_warnings(params: AugmentParams, *planned: Any) -> list[str]:
    """The findings of a plan, a line each."""
    recipes = Recipes.from_params(params, AS_DECODED)
    return [finding.text for finding in lint(params, recipes, Planned(*planned))]


def warned(
    policy: list,
    labels: Sequence[str] = ("cat", "dog", "dog"),
    planned: int = 1,
    distinct: bool = True,
    off: Sequence[str] = (),
    **block: Any,
) -> list[str]:
    """What is found in a policy for images of SIZES, but for the rules that are `off`."""
    rows = SIZES.assign(label=list(labels))
    counts = pd.Series(planned, rows.index)
    block |= {"lint": dict.fromkeys(off, "off"), "distinct": distinct}
    params = AugmentParams(variants_per_image=planned, policy=policy, **block)
    return plan_warnings(params, rows, counts, *capacities_by_source(rows, policy))


@pytest.mark.parametrize("labels", ["017", "abA", ["10", "11", "12"], ["zero", "Nine", "four"]])
def test_flips_of_digits_and_letters(labels: Sequence[str]) -> None:
    inner = [
        {"OneOf": {"transforms": ["D4", {"Transpose": {"p": 0.0}}], "p": 0.5}},
        "VerticalFlip",
        "NoOp",
    ]
    shown = sorted(labels)
    first = ", ".join(map(quoted, shown[:2]))
    assert warned(inner, labels) == [
        f"{POLICY}: D4, VerticalFlip: the classes ({', '.join(shown)}) look like digits or "
        "letters, and a flipped or turned one may be another or none; leave it out, or do so for "
        "the classes that it changes (`variegate audit` finds them), as augment.labels: "
        f"[{{classes: [{first}], forbid: "
        "[D4, VerticalFlip]}] (lint: flipped_symbols)"
    ]
    assert "{classes: ['6', '9'], forbid: [D4, VerticalFlip]}" in warned(inner, "069")[0]


def test_flips_that_label_rules_leave_out_are_no_matter() -> None:
    flips = ["HorizontalFlip", "VerticalFlip", "Transpose"]
    rows = SIZES.assign(label=list("069"), file_name="a.png")
    counts = pd.Series(1, rows.index)

    def rules(*labels: dict[str, Any]) -> list[str]:
        policy = ["D4", {"Rotate": {"limit": 20}}]
        params = AugmentParams(variants_per_image=1, policy=policy, labels=list(labels))
        recipes = Recipes.from_params(params, AS_DECODED, list("069"))
        capacities = checked_capacities(rows, counts, params)
        found = lint(params, recipes, Planned(rows, counts, *capacities))
        return [finding.rule for finding in found]

    all_flips = {"classes": ["*"], "forbid": [*flips, "RandomRotate90"]}
    assert rules(all_flips) == rules({"classes": ["?"], "forbid": "D4"}) == []
    assert rules({"classes": ["*"], "forbid": flips}) == ["flipped_symbols"]
    assert warned([{"D4": {"elements": ["e"]}}, "Sharpen"], "069") == []


def test_flips_of_other_things_are_no_matter() -> None:
    assert warned(["D4"]) == warned(["D4"], ["1", "2", "dog"]) == warned(["Sharpen"], "123") == []


def test_steps_that_every_image_should_get() -> None:
    policy = [
        {"SmallestMaxSize": {"max_size": 128, "p": 1.0}},
        {"CenterCrop": {"height": 6, "width": 5}},  # of 128 pixels
        "HorizontalFlip",
    ]
    text = (
        f"{POLICY}: {{}}: every variant gets this, but no original, and no validation or test "
        "image; if all images are to get it, move it to ingest.preprocess: [{}] "
        "(lint: meant_for_all)"
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


AFFINE = {"Affine": {"rotate": [-9, 9]}}
AGAIN = (
    "params.yaml augment.policy: {}: an image is resampled up to {} times, and each time blurs it; "
    "{} (lint: repeated_resampling)"
)
IN_A_RUN = (
    "write the steps that move pixels one after another, with one interpolation and one border: "
    "such a run is one warp"
)


def test_steps_that_resample_one_after_another_where_they_are_not_fused() -> None:
    both = [AFFINE, "Perspective"]
    fuse = "set augment.fuse: true"

    def stepwise(policy: list) -> list[str]:
        return warned(policy, fuse=False)

    names = "Affine, Perspective"
    found = [AGAIN.format(names, times, fuse) for times in range(5)]
    assert stepwise([AFFINE, "HorizontalFlip", "Perspective"]) == [found[2]]
    inner = {"Sequential": {"transforms": both}}
    assert stepwise([AFFINE, {"OneOf": {"transforms": ["Perspective", inner]}}]) == [found[3]]
    twice = {"SomeOf": {"transforms": both, "n": 2, "replace": True}}
    assert stepwise([twice]) == [found[2]]
    assert stepwise([twice, {"SomeOf": {"transforms": both, "n": 2}}]) == [found[4]]
    one = {"SomeOf": {"transforms": both, "n": 1}}
    assert stepwise([{"OneOf": {"transforms": both}}]) == stepwise([one]) == []


def test_a_run_of_steps_that_is_one_warp_is_no_matter() -> None:
    run = [AFFINE, "HorizontalFlip", "Perspective", {"SomeOf": {"transforms": [AFFINE], "n": 1}}]
    assert warned(run) == warned([*run, "Sharpen"]) == []


def test_runs_that_another_step_parts() -> None:
    found = AGAIN.format("Affine, Perspective", 2, IN_A_RUN)
    assert warned([AFFINE, "RandomGamma", "Perspective"]) == [found]
    either = {"OneOf": {"transforms": ["RandomGamma", "VerticalFlip"], "p": 0.1}}
    assert warned([AFFINE, either, "Perspective"]) == [found]
    for other in ({"interpolation": 2}, {"border_mode": 1}):
        assert warned([AFFINE, {"Perspective": other}]) == [found]
    elastic = AGAIN.format(
        "Affine, ElasticTransform", 2,
        "put ElasticTransform into a OneOf with the other steps that move pixels",
    )  # fmt: skip
    assert warned([AFFINE, "ElasticTransform"]) == [elastic]


def test_rotations_by_far_as_asked_for_or_by_default() -> None:
    text = (
        f"{PLACE} {{}}: turns by up to {{}} degrees; if images have an upside, "
        "set {}: [-30, 30] (lint: far_rotation)"
    )
    for step, name, degrees, argument in (
        ("Rotate", "Rotate", 90, "limit"),
        ({"SafeRotate": {"limit": 31}}, "SafeRotate", 31, "limit"),
        ({"Affine": {"rotate": [-30.5, 0]}}, "Affine", 30.5, "rotate"),
        ("ShiftScaleRotate", "ShiftScaleRotate", 45, "rotate_limit"),
    ):
        assert warned([step]) == [text.format(name, degrees, argument)]
    assert warned([{"Rotate": {"limit": 30}}]) == warned([{"Affine": {"scale": [0.9, 1.1]}}]) == []


FEWER = "plan fewer or add a step to the policy (lint: too_many_variants)"
ONE_SMALL = "1 of 3 training images (one has 9 x 8 pixels)"


def test_steps_that_take_the_nearest_pixel() -> None:
    jagged = {"OneOf": {"transforms": ["InvertImg", {"GridDistortion": {"interpolation": 0}}]}}
    text = (
        "takes the nearest pixel and interpolates nothing, so edges become jagged; set "
        "interpolation: 1 (lint: nearest_interpolation)"
    )
    assert warned([{"Affine": {"interpolation": 0}}, jagged], fuse=False)[1:] == [
        f"{PLACE} Affine: {text}",
        f"{POLICY}[1].transforms[1] GridDistortion: {text}",
    ]
    smooth = [{"Affine": {"interpolation": 1}}, {"Affine": {"interpolation": 0, "p": 0}}]
    assert warned(smooth) == warned(["autoaugment"]) == warned(["Downscale"]) == []


def test_crops_larger_than_some_images() -> None:
    crop = {"height": 10, "width": 10}
    text = (
        f"{PLACE} RandomCrop: is larger than {ONE_SMALL}, {{}}; crop less or set "
        "pad_if_needed: true (lint: larger_than_image)"
    )

    def cropped(planned: int = 1, **more: Any) -> list[str]:
        return warned([{"RandomCrop": crop | more}], planned=planned, off=["small_crop"])

    assert cropped() == [text.format("and variants of theirs will be rejected")]
    assert cropped(p=0.5) == [text.format("and what uses it is drawn again, or rejected")]
    assert cropped(pad_if_needed=True) == cropped(planned=0) == []


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
    assert warned([inside]) == [
        f"{PLACE}.transforms[1] {name}: {does}, {again}; set {advice} (lint: larger_than_image)"
    ]


def test_holes_that_leave_nothing_of_an_image() -> None:
    hole = {"hole_height_range": [4, 32], "hole_width_range": [4, 32], "p": 1.0}
    text = (
        f"{PLACE} CoarseDropout: its holes cover all of an image, {{}}, for {ONE_SMALL}; variants "
        "of one single colour are drawn again and then rejected; give shares of the image, "
        "hole_height_range: [0.1, 0.3] and hole_width_range: [0.1, 0.3] (lint: nothing_left)"
    )
    # a side of 8 in one of 5 draws, one of 9 in one of 6; of one hole or of two
    rate = f"in up to {(1 / 30 + 1 - (29 / 30) ** 2) / 2:.0%} of its draws"
    assert warned([{"CoarseDropout": hole}]) == [text.format(rate)]
    whole = hole | {"hole_height_range": [8, 32], "hole_width_range": [9, 32]}
    assert warned([{"CoarseDropout": whole}]) == [
        text.format("always"),
        f"{POLICY}: 1 training images get more variants than can differ: at least 1 of 3 variants "
        f"will be rejected; {FEWER}",
    ]
    assert warned([{"OneOf": {"transforms": [{"CoarseDropout": whole}, "GaussNoise"]}}]) == [
        text.replace("[0]", "[0].transforms[0]").format("always")
    ]
    assert warned([{"CoarseDropout": {"p": 0.9}}]) == []  # shares of the image, by default


def test_holes_that_do_nothing() -> None:
    shares = {"hole_height_range": [0.01, 0.04], "hole_width_range": [0.1, 0.3]}
    holes = [{"CoarseDropout": shares | {"num_holes_range": [1, 1]}}]
    assert warned(holes, off=["mostly_untouched"]) == [
        f"{PLACE} CoarseDropout: does nothing for 2 of 3 training images (one has 9 x 8 pixels): "
        "its holes have less than a pixel; give shares of the image, hole_height_range: [0.1, 0.3] "
        "and hole_width_range: [0.1, 0.3] (lint: does_nothing)",
        f"{POLICY}: 2 training images get more variants than can differ: at least 2 of 3 variants "
        f"will be rejected; {FEWER}",
    ]


def test_shifts_out_of_the_image() -> None:
    assert warned(["trivialaugment"])[0].startswith(
        f"{PLACE} trivialaugment: a shift of it moves out all of an image, in up to 10% of its "
        "draws, for 2 of 3 training images (one has 9 x 8 pixels); variants of one single colour "
        "are drawn again and then rejected; set scaled: true, so that its shifts are shares of the "
        "image"
    )
    assert warned([{"trivialaugment": {"scaled": True}}], off=["mostly_untouched"]) == []


@pytest.mark.parametrize(
    ("step", "share", "advice"),
    [
        ({"Blur": {"blur_limit": 5}}, "a quarter of ", "leave it out"),
        ({"Affine": {"translate_px": [-5, 3]}}, "half of ", "set translate_percent: [-0.1, 0.1]"),
        ({"CropAndPad": {"px": [0, 5]}}, "half of ", "set percent: [-0.1, 0.1]"),
        ({"Pad": {"padding": 9}}, "", "set padding: 1"),
        ({"Morphological": {"scale": [2, 9]}}, "", "set scale: [2, 3]"),
    ],
)
def test_pixels_meant_for_larger_images(step: dict, share: str, advice: str) -> None:
    [(name, arguments)] = step.items()
    [(argument, value)] = arguments.items()
    most = max(abs(number) for number in np.atleast_1d(value))
    assert warned([step]) == [
        f"{PLACE} {name}: {argument} goes up to {most} pixels, more than {share}the shorter side "
        f"of {ONE_SMALL}; for images so small, {advice} (lint: pixels_of_larger_images)"
    ]


def test_a_kernel_that_suits_an_image_is_a_quarter_of_its_side() -> None:
    rows = SIZES.assign(label="x", height=[21, 29, 30], width=30)
    params = AugmentParams(variants_per_image=1, policy=[{"Blur": {"blur_limit": 7}}])
    capacities = capacities_by_source(rows, params.policy)
    [found] = plan_warnings(params, rows, pd.Series(1, rows.index), *capacities)
    assert "1 of 3 training images (one has 30 x 21 pixels)" in found
    assert found.endswith("set blur_limit: [3, 5] (lint: pixels_of_larger_images)")


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
        off = {"lint": {"mostly_untouched": "off"}}
        params = AugmentParams(variants_per_image=1, policy=policy, **off)
        return plan_warnings(params, rows, counts, *capacities_by_source(rows, policy))

    text = (
        f"{PLACE} {name}: moves colour alone, so it does nothing for 2 of 3 training images, which "
        f"are grey; {advice} (lint: colour_on_grey)"
    )
    assert of([step, "GaussNoise"], rows) == [text]
    assert of([step], rows) == [
        text,
        f"{POLICY}: 2 training images get more variants than can differ: at least 4 of 5 variants "
        f"will be rejected; {FEWER}",
    ]
    assert of([step, "GaussNoise"], rows.assign(grey=0)) == []
    assert of(["ToSepia", step, "GaussNoise"], rows.assign(grey=3)) == []  # they have colours then


def test_more_variants_than_can_differ() -> None:
    text = (
        f"{POLICY}: 3 training images get more variants than can differ: at least 6 of 9 variants "
        f"will be {{}}; {FEWER}"
    )
    assert warned(["InvertImg"], planned=3) == [text.format("rejected")]
    flip = [{"HorizontalFlip": {"p": 0.9}}]
    assert warned(flip, planned=3, distinct=False) == [text.format("copies")]
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
        f"differ: at least 3 of 5 variants will be rejected; {FEWER}"
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
        "params.yaml augment.per_class '9' policy[0] Rotate: turns by up to 90 degrees; if images "
        "have an upside, set limit: [-30, 30] (lint: far_rotation)",
        f"{POLICY}: HorizontalFlip: the classes (8) look like digits or letters, and a flipped or "
        "turned one may be another or none; leave it out, or do so for the classes that it "
        "changes (`variegate audit` finds them), as augment.labels: [{classes: ['8'], forbid: "
        "[HorizontalFlip]}] (lint: flipped_symbols)",
    ]
    with pytest.raises(UserError, match=r"^params.yaml augment.policy: 2 distinct variants"):
        checked_capacities(rows, counts * 2, params)
    own["9"]["policy"], own["8"]["policy"] = ["VerticalFlip"], ["GaussNoise"]
    params = AugmentParams(variants_per_image=1, policy="NoOp", per_class=own)
    with pytest.raises(UserError, match=r"^params.yaml augment.per_class '9' policy: 2 distinct"):
        checked_capacities(rows, counts * 2, params)
    assert plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params)) == [
        "params.yaml augment.per_class '9' policy: VerticalFlip: the classes (9) look like digits "
        "or letters, and a flipped or turned one may be another or none; leave it out, or do so "
        "for the classes that it changes (`variegate audit` finds them), as augment.labels: "
        "[{classes: ['9'], forbid: [VerticalFlip]}] (lint: flipped_symbols)"
    ]
    own["9"]["policy"] = ["NoOp", "GaussNoise", {"Blur": {"blur_limit": 11}}]
    params = AugmentParams(variants_per_image=1, policy="GaussNoise", per_class=own)
    found = checked_capacities(rows, counts, params)
    assert plan_warnings(params, rows, counts, *found) == [
        "params.yaml augment.per_class '9' policy[2] Blur: blur_limit goes up to 11 pixels, more "
        "than a quarter of the shorter side of 1 of 1 training images (one has 9 x 8 pixels); for "
        "images so small, leave it out (lint: pixels_of_larger_images)"
    ]


@pytest.mark.parametrize("steps", [["Emboss"], ["Emboss", "Sharpen", "InvertImg", "VerticalFlip"]])
def test_policies_of_different_lengths_are_warned_of_each(steps: list[str]) -> None:
    rows = SIZES.assign(label=["cat", "dog", "dog"], file_name=["a", "b", "c"], grey=1)
    params = AugmentParams(
        variants_per_image=1,
        policy=["Emboss", "HueSaturationValue", {"ChannelShuffle": {"p": 1.0}}],
        per_class={"cat": {"policy": steps}},
    )
    counts = pd.Series([1, 1, 1])
    assert plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params)) == [
        "params.yaml augment.policy[2] ChannelShuffle: moves colour alone, so it does nothing for "
        "2 of 2 training images, which are grey; add RandomBrightnessContrast for these "
        "(lint: colour_on_grey)"
    ]


def test_steps_are_warned_of_for_the_images_of_their_own_policy() -> None:
    rows = SIZES.assign(label=["cat", "dog", "dog"], file_name=["a", "b", "c"])
    crop = {"CenterCrop": {"height": 10, "width": 9, "p": 0.5}}
    off: Any = {"small_crop": "off", "mostly_untouched": "off"}
    own = {"dog": {"policy": [crop, "HorizontalFlip", "VerticalFlip"]}}
    params = AugmentParams(variants_per_image=1, policy="GaussNoise", per_class=own, lint=off)
    counts = pd.Series([1, 1, 1])
    assert plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params)) == []
    own["dog"]["policy"], own["cat"] = ["GaussNoise"], {"policy": [crop, "NoOp"]}
    params = AugmentParams(variants_per_image=1, policy="NoOp", per_class=own, lint=off)
    assert plan_warnings(params, rows, counts, *checked_capacities(rows, counts, params)) == [
        "params.yaml augment.per_class 'cat' policy[0] CenterCrop: is larger than 1 of 1 training "
        "images (one has 9 x 8 pixels), and what uses it is drawn again, or rejected; crop less "
        "or set pad_if_needed: true (lint: larger_than_image)"
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
    text = (
        f"{PLACE} Rotate: turns by up to 40 degrees; if images have an upside, set "
        "limit: [-30, 30] (lint: far_rotation)"
    )
    assert json.loads(left["metrics"])["warnings"] == [text]
    assert f"warning: {text}\n" in capsys.readouterr().out


def test_black_that_stays_black_is_the_same_as_a_black_border() -> None:
    black = {"Rotate": {"limit": 9, "border_mode": 0, "p": 1.0}}
    white = {"Rotate": {"limit": 9, "border_mode": 0, "fill": [255, 255, 255], "p": 1.0}}
    for tone, of_black, of_white in (
        ("RandomGamma", 0, 1), ("Solarize", 0, 1), ("RandomBrightnessContrast", 1, 1),
    ):  # fmt: skip
        for border, expected in ((black, of_black), (white, of_white)):
            transforms = build_transforms([tone, border])
            found = policy_rules.tone_before_border(transforms, "params.yaml augment.policy")
            assert len(found) == expected, (tone, border)
