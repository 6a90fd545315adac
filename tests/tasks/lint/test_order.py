"""Order: places of steps, what comes before each, how often an image is resampled."""

import pytest

from tasks.lint.order import MAPS, MATRICES, WHOLE_PIXELS, placed_leaves, resamplings
from tasks.variants.fused.motions import BY_NO_MATRIX, MOTIONS
from tasks.variants.policy import build_transforms

POLICY = "params.yaml augment.policy"


def test_what_comes_before_a_step() -> None:
    choice = {"OneOf": {"transforms": ["Blur", "Sharpen"]}}
    inner = {"Sequential": {"transforms": ["HorizontalFlip", {"Transpose": {"p": 0}}, choice]}}
    found = placed_leaves(build_transforms(["InvertImg", inner, "NoOp"]))
    assert [(each.place, [before.name for before in each.before]) for each in found] == [
        (f"{POLICY}[0] InvertImg", []),
        (f"{POLICY}[1].transforms[0] HorizontalFlip", ["InvertImg"]),
        (f"{POLICY}[1].transforms[2].transforms[0] Blur", ["InvertImg", "HorizontalFlip"]),
        (f"{POLICY}[1].transforms[2].transforms[1] Sharpen", ["InvertImg", "HorizontalFlip"]),
        (f"{POLICY}[2] NoOp", ["InvertImg", "HorizontalFlip", "Blur", "Sharpen"]),
    ]


def test_steps_that_move_pixels_are_those_that_the_canvas_knows() -> None:
    assert {*MATRICES, *WHOLE_PIXELS} == set(MOTIONS)
    assert {*MAPS, "RandomGridShuffle"} == set(BY_NO_MATRIX)  # which moves whole pixels


@pytest.mark.parametrize(
    ("policy", "stepwise", "fused"),
    [
        (["HorizontalFlip", "Blur"], 0, 0),
        (["Affine", "D4", "Perspective"], 2, 1),
        (["Affine", "GaussNoise", "Perspective"], 2, 2),
        (["Affine", {"GaussNoise": {"p": 0}}, "Perspective"], 2, 1),
        (["ElasticTransform", "Affine", "GridDistortion"], 3, 3),
        ([{"OneOf": {"transforms": ["Affine", "ElasticTransform"]}}, "Rotate"], 2, 2),
        ([{"SomeOf": {"transforms": ["Affine", "Blur", "Rotate", "Rotate"], "n": 3}}], 3, 2),
        (["Affine", {"RandomResizedCrop": {"size": [9, 9]}}, {"Rotate": {"border_mode": 0}}], 3, 2),
        ([{"RandomResizedCrop": {"size": [9, 9]}}, {"Rotate": {"fill": 3}}], 2, 1),
        ([{"Affine": {"fill": 3}}, {"Rotate": {"fill": 4}}], 2, 2),
        ([{"Perspective": {"fill": 3}}, {"Rotate": {"fill": 3}}], 2, 1),
        ([{"SomeOf": {"transforms": ["Affine", "Blur", "D4"], "n": 3, "replace": True}}], 3, 2),
    ],
)
def test_how_often_an_image_is_resampled_at_most(policy: list, stepwise: int, fused: int) -> None:
    transforms = build_transforms(policy)
    assert resamplings(transforms, fuse=False) == stepwise
    assert resamplings(transforms, fuse=True) == fused
