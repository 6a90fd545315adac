import hashlib
import json

import numpy as np
import pytest

from tasks.augment.policy import TRANSFORMS, Policy, canonical_json, clean
from tasks.errors import UserError

IMAGE = np.arange(32 * 24 * 3, dtype=np.uint32).reshape(32, 24, 3).astype(np.uint8)
NEEDED = {"RandomResizedCrop": {"size": [16, 16]}, "CropAndPad": {"px": [-2, 2]}}
COLOUR_ONLY = ("ISONoise", "PlanckianJitter")


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_is_deterministic_and_says_what_it_did(name: str) -> None:
    policy = Policy([{name: {**NEEDED.get(name, {}), "p": 1.0}}])
    before = IMAGE.copy()
    first, operations = policy.apply(IMAGE, 7)
    policy.apply(IMAGE, 8)
    second, again = policy.apply(IMAGE, 7)
    assert first.dtype == np.uint8 and first.ndim == 3
    assert np.array_equal(first, second)
    assert operations == again and operations[0]["name"] == name
    assert json.loads(canonical_json(operations)) == operations
    assert np.array_equal(IMAGE, before)


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - set(COLOUR_ONLY)))
def test_grey_images_stay_grey_in_shape(name: str) -> None:
    new, _ = Policy([{name: {**NEEDED.get(name, {}), "p": 1.0}}]).apply(IMAGE[:, :, 0].copy(), 7)
    assert new.dtype == np.uint8 and new.ndim == 2


def test_pixels_by_hand() -> None:
    image = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)

    def only(name: str, **arguments: object) -> list:
        return Policy([{name: {**arguments, "p": 1.0}}]).apply(image, 1)[0].tolist()

    assert only("HorizontalFlip") == [[3, 2, 1], [6, 5, 4]]
    assert only("VerticalFlip") == [[4, 5, 6], [1, 2, 3]]
    assert only("Transpose") == [[1, 4], [2, 5], [3, 6]]
    assert only("InvertImg") == [[254, 253, 252], [251, 250, 249]]
    # brightness alone: 0.2 of the range of 255 is 51
    bright = {"brightness_limit": [0.2, 0.2], "contrast_limit": [0, 0]}
    assert only("RandomBrightnessContrast", **bright) == [[52, 53, 54], [55, 56, 57]]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            ["VerticalFlip", "VerticalFlip", {"HorizontalFlip": {"prob": 1}}],
            "params.yaml augment.policy[2] HorizontalFlip: unknown argument 'prob'; known: p",
        ),
        (["Flop"], "params.yaml augment.policy[0] Flop: unknown transform; docs/policies.md lists the known"),
        ([3], "params.yaml augment.policy[0]: needs `Name` or `Name: {argument: value}`, found 3"),
        ([{"Rotate": 3}], "params.yaml augment.policy[0] Rotate: needs arguments as `{argument: value}`, found 3"),
        (
            [{"Rotate": {"p": 2}}],
            "params.yaml augment.policy[0] Rotate.p: input should be less than or equal to 1, found 2",
        ),
        (
            [{"OneOf": {"transforms": ["HorizontalFlip", {"Rotate": {"limt": 3}}]}}],
            "params.yaml augment.policy[0].transforms[1] Rotate: unknown argument 'limt'; known: limit, interpolation, "
            "border_mode, rotate_method, crop_border, mask_interpolation, fill, fill_mask, p",
        ),
        (
            [{"OneOf": {"transforms": ["VerticalFlip"], "p": 2}}],
            "params.yaml augment.policy[0] OneOf.p: needs a number from 0 to 1, found 2",
        ),
        (
            [{"OneOf": {"transforms": [{"VerticalFlip": {"p": 0}}]}}],
            "params.yaml augment.policy[0] OneOf: needs a transform with p above 0: they are its weights",
        ),
        (
            [{"SomeOf": {"transforms": ["VerticalFlip"], "n": 2}}],
            "params.yaml augment.policy[0] SomeOf.n: needs a whole number from 1 to 1, found 2",
        ),
        ([{"OneOf": {"p": 1}}], "params.yaml augment.policy[0] OneOf: needs transforms: [...], found None"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(policy: list, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        Policy(policy)
    assert str(caught.value) == expected


def test_seeds_reach_nested_steps() -> None:
    nested = {"OneOf": {"transforms": [{"Rotate": {"limit": 45}}, {"GaussNoise": {}}], "p": 1.0}}
    policy = Policy([{"Sequential": {"transforms": [nested], "p": 1.0}}])
    images = [policy.apply(IMAGE, seed)[0] for seed in (1, 2, 1)]
    assert np.array_equal(images[0], images[2]) and not np.array_equal(images[0], images[1])


def test_operations_are_json_clean() -> None:
    long = np.arange(65, dtype=np.int16)
    assert clean({"a": np.float32(0.1), "b": (np.int64(3), None), "c": np.eye(2), "d": 1 / 3}) == {
        "a": 0.100000001,
        "b": [3, None],
        "c": [[1.0, 0.0], [0.0, 1.0]],
        "d": 0.333333333,
    }
    digest = hashlib.sha256(long.tobytes()).hexdigest()
    assert clean(long) == {"shape": [65], "dtype": "int16", "sha256": digest}
