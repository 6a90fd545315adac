"""Areas against what is computed by hand: borders of turned squares, crops and holes in pixels."""

import math
from typing import Any

import pandas as pd
import pytest

from tasks.lint import area_rules
from tasks.lint.area_rules import (
    border_shares,
    constant_borders,
    covered_share,
    evenly_spaced,
    example_sizes,
    large_holes,
    small_crops,
)
from tasks.variants.policy import build_transforms

POLICY = "params.yaml augment.policy"
ROWS = pd.DataFrame({"height": [100, 100, 30], "width": [100, 200, 40]})
BLACK = {"border_mode": 0, "p": 1.0}


def found(rule: Any, *policy: Any, rows: pd.DataFrame = ROWS) -> list[str]:
    return [finding.text for finding in rule(build_transforms(list(policy)), rows, POLICY)]


def test_the_border_of_a_turned_square() -> None:
    """A square turned by 45 degrees leaves an octagon of itself: 2 sqrt(2) - 2 of its area."""
    [turn] = build_transforms([{"Rotate": {"limit": [45, 45], **BLACK}}])
    shares = border_shares(turn, [(100, 100), (100, 100)])
    assert shares == pytest.approx([3 - 2 * math.sqrt(2)] * len(shares), abs=1e-6)
    assert shares == border_shares(turn, [(100, 100), (100, 100)])


def test_a_crop_that_follows_cuts_off_some_of_the_border() -> None:
    """Of 32 pixels padded by 4: a crop to the middle leaves none, one at random a part of it."""
    pad = {"Pad": {"padding": 4, **BLACK}}
    rows = pd.DataFrame({"height": [32], "width": [32]})
    crop = {"height": 32, "width": 32}
    centre, random = {"CenterCrop": {**crop, "p": 1.0}}, {"RandomCrop": {**crop, "p": 1.0}}

    def shares(*later: Any) -> list[float]:
        policy = build_transforms([pad, *later])
        return border_shares(policy[0], [(32, 32)], area_rules.crops_after(policy[0], policy))

    assert shares() == pytest.approx([1 - 32**2 / 40**2] * area_rules.DRAWS)
    assert shares("HorizontalFlip", centre) == [0] * area_rules.DRAWS
    possible = [1 - (32 - y) * (32 - x) / 32**2 for y in range(5) for x in range(5)]
    for share in shares(random):
        assert min(abs(share - one) for one in possible) < 1e-9
    assert len(set(shares(random))) > 3
    assert shares({"CenterCrop": {**crop, "p": 0.5}}) == shares("Blur", centre) == shares()
    assert shares({"CenterCrop": {"height": 50, "width": 50, "p": 1.0}}) == shares()
    assert found(constant_borders, pad, centre, rows=rows) == []


def test_a_constant_border_is_told_with_its_share() -> None:
    pad = {"PadIfNeeded": {"min_height": 100, "min_width": 200, **BLACK}}
    shares = [1 / 2, 0, 1 - 30 * 40 / 20_000]
    assert found(constant_borders, "NoOp", pad) == [
        f"{POLICY}[1] PadIfNeeded: fills {sum(shares) / 3:.0%} of a picture with one colour on "
        "average, and up to 94%, where a network can see how an image was moved; set "
        "border_mode: 4 (lint: constant_border)"
    ]


@pytest.mark.parametrize(
    "step",
    [
        {"Rotate": {"limit": 45, "p": 1.0}},  # reflected
        {"Rotate": {"limit": 1, **BLACK}},  # so little that nobody sees it
        {"Rotate": {"limit": 45, "border_mode": 0, "p": 0}},
        {"CropAndPad": {"percent": [-0.2, 0], **BLACK}},
        {"RandomCrop": {"height": 200, "width": 200, "border_mode": 0}},  # it does not pad
        {"ElasticTransform": BLACK},  # by no matrix
    ],
)
def test_borders_that_are_no_matter(step: dict) -> None:
    assert found(constant_borders, step) == found(constant_borders, step, rows=ROWS[:0]) == []


def test_places_are_evenly_spaced_from_the_first_to_the_last() -> None:
    assert evenly_spaced(100, most=4).tolist() == [0, 33, 66, 99]
    assert evenly_spaced(2, most=8).tolist() == [0, 1]
    assert evenly_spaced(0, most=8).tolist() == []


def test_sizes_are_drawn_for_from_the_smallest_to_the_largest() -> None:
    rows = pd.DataFrame({"height": range(1001, 0, -1), "width": 2})
    assert example_sizes(rows)[:2] == [(1, 2), (144, 2)] and example_sizes(rows)[-1] == (1001, 2)
    assert example_sizes(ROWS) == [(30, 40), (100, 100), (100, 200)]


@pytest.mark.parametrize(
    ("step", "least", "concerned", "instead"),
    [
        ({"RandomResizedCrop": {"size": [9, 9]}}, "8.0%", 3, "set scale: [0.35, 1]"),
        (
            {"RandomResizedCrop": {"size": [9, 9], "scale": [0.1, 0.2]}},
            "10.0%", 3, "set scale: [0.35, 0.35]",
        ),
        (
            {"RandomCropFromBorders": {"crop_left": 0.4, "crop_top": 0.4}},
            "25.0%", 3, "set crop_left, crop_right, crop_top and crop_bottom to 0.2",
        ),
        (
            {"RandomCrop": {"height": 50, "width": 40}},
            "10.0%", 2, "use RandomResizedCrop: {size: [50, 40], scale: [0.35, 1.0]}",
        ),
        (
            {"Crop": {"x_min": 5, "x_max": 45, "y_max": 60}},
            "12.0%", 2, "use RandomResizedCrop: {size: [60, 40], scale: [0.35, 1.0]}",
        ),
        (
            {"RandomSizedCrop": {"min_max_height": [60, 99], "size": [9, 8]}},
            "18.0%", 1, "use RandomResizedCrop: {size: [9, 8], scale: [0.35, 1.0]}",
        ),
    ],
)  # fmt: skip
def test_crops_that_may_keep_little(step: dict, least: str, concerned: int, instead: str) -> None:
    [name] = step
    assert found(small_crops, step) == [
        f"{POLICY}[0] {name}: may keep as little as {least} of an image, of {concerned} of 3 "
        "training images less than a third, and what its label says may be in the rest; "
        f"{instead} (lint: small_crop)"
    ]


def test_crops_that_keep_enough() -> None:
    crop = {"CenterCrop": {"height": 50, "width": 40}}
    assert found(small_crops, {"RandomResizedCrop": {"size": [9, 9], "scale": [0.34, 1]}}) == []
    assert found(small_crops, crop, rows=ROWS[2:]) == found(small_crops, crop, rows=ROWS[:0]) == []
    assert found(small_crops, {"SmallestMaxSize": {"max_size": 60}}, crop) == []  # of other sizes


def test_holes_that_cover_most_of_small_images() -> None:
    holes = {"hole_height_range": [20, 60], "hole_width_range": [20, 60]}
    [dropout] = build_transforms([{"CoarseDropout": holes}])
    height, width = (ROWS[side].to_numpy(float) for side in ROWS)
    # of one hole or two, with sides of 40 on average: 25 in an image of 30, 30 in one of 40
    expected = [1.5 * 0.4 * 0.4, 1.5 * 0.4 * 0.2, 1.5 * (25 / 30) * (30 / 40)]
    assert covered_share(dropout, height, width).tolist() == pytest.approx(expected)
    assert found(large_holes, {"CoarseDropout": holes}) == [
        f"{POLICY}[0] CoarseDropout: its holes cover 94% of an image on average, of 1 of 3 "
        "training images more than half; give shares of the image, hole_height_range: [0.1, 0.3] "
        "and hole_width_range: [0.1, 0.3] (lint: large_holes)"
    ]
    assert found(large_holes, "CoarseDropout") == []
    small = {"SmallestMaxSize": {"max_size": 60}}
    assert found(large_holes, small, {"CoarseDropout": holes}) == []
