"""Every step of a policy: seeded, recorded, checked before it is used, and what pixels it takes."""

import hashlib
import inspect
import json
import random

import albumentations
import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from tasks.common.errors import UserError
from tasks.variants.params import AugmentParams
from tasks.variants.policy import (
    PUBLISHED,
    TRANSFORMS,
    Policy,
    canonical_json,
    to_json_value,
    transform_class,
)
from tasks.variants.transforms import NAMED_NOW, NEED_COLOUR, TAKE_16_BITS, UNSUITABLE

ROWS, COLUMNS = np.mgrid[:32, :24]
IMAGE = np.stack([7 * ROWS + COLUMNS, 3 * ROWS * COLUMNS, 255 - 8 * COLUMNS], axis=-1).astype(
    np.uint8
)
# What a transform needs, and what makes it do something where its defaults do nothing.
NEEDED = {
    "Affine": {"rotate": [-20, 20], "scale": [0.8, 1.2]},
    "CenterCrop": {"height": 16, "width": 16},
    "Crop": {"x_max": 16, "y_max": 16},
    "CropAndPad": {"px": [-4, 4]},
    "GridElasticDeform": {"num_grid_xy": [3, 3], "magnitude": 3},
    "LongestMaxSize": {"max_size": 16},
    "Pad": {"padding": 3},
    "PadIfNeeded": {"min_height": 40, "min_width": 40},
    "RandomCrop": {"height": 16, "width": 16},
    "RandomResizedCrop": {"size": [16, 16]},
    "RandomSizedCrop": {"min_max_height": [8, 16], "size": [16, 16]},
    "Resize": {"height": 16, "width": 16},
    "SmallestMaxSize": {"max_size": 16},
    "XYMasking": {"num_masks_x": 1, "mask_x_length": [2, 6]},
}
# What makes pixels without a source likely; PiecewiseAffine keeps its sources within the image.
REACHING_OUT = {
    "CenterCrop": {"height": 40, "width": 40, "pad_if_needed": True},
    "Crop": {"x_max": 40, "y_max": 40, "pad_if_needed": True},
    "ElasticTransform": {"alpha": 50},
    "Perspective": {"fit_output": True},
    "RandomCrop": {"height": 40, "width": 40, "pad_if_needed": True},
}
STEPS = (*TRANSFORMS, *PUBLISHED)
WITH_BORDERS = [
    name
    for name in TRANSFORMS
    if "border_mode" in inspect.signature(transform_class(name).__init__).parameters
]
WITH_FILL = [
    name
    for name in TAKE_16_BITS
    if "fill" in inspect.signature(transform_class(name).__init__).parameters
]


def certain(name: str, **arguments: object) -> Policy:
    """The step alone, applied for certain."""
    return Policy([{name: {**NEEDED.get(name, {}), **arguments, "p": 1.0}}])


def disturb() -> None:
    """Move every generator that a transform might take by mistake."""
    random.seed(3)
    np.random.seed(3)
    cv2.setRNGSeed(3)


def check_determinism(name: str, image: np.ndarray) -> None:
    policy, other, before = certain(name), certain(name), image.copy()
    first = [policy.apply(image, seed) for seed in range(4)]
    disturb()
    again = [other.apply(image, seed) for seed in (3, 2, 1, 0)][::-1]
    for (pixels, operations, _), (pixels_again, operations_again, _) in zip(
        first, again, strict=True
    ):
        assert pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2:] == (3,))
        assert np.array_equal(pixels, pixels_again) and operations == operations_again
        assert [one["name"] for one in operations] == [name]
        assert json.loads(canonical_json(operations)) == operations
    assert len({pixels.tobytes() for pixels, *_ in first}) <= len(
        {canonical_json(operations) for _, operations, _ in first}
    )
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", STEPS)
def test_every_step_is_decided_by_its_seed_and_says_what_it_did(name: str) -> None:
    check_determinism(name, IMAGE)


@pytest.mark.parametrize("name", STEPS)
def test_a_grey_image_is_augmented_or_refused(name: str) -> None:
    grey = IMAGE[:, :, 0].copy()
    if name in NEED_COLOUR:
        with pytest.raises(
            (ValueError, NotImplementedError), match=r"3-channel images|one channel"
        ):
            certain(name).apply(grey, 7)
        return
    check_determinism(name, grey)
    assert certain(name).apply(grey, 7)[0].ndim == (3 if name == "ToRGB" else 2)


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"NoOp", "ToRGB"}))
def test_every_transform_changes_pixels(name: str) -> None:
    policy = certain(name)
    assert any(not np.array_equal(policy.apply(IMAGE, seed)[0], IMAGE) for seed in range(4))


def test_a_result_that_is_no_image_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"the policy gives uint8 \(32, 24, 4\), needs uint8 or uint16, 1 or 3 channels",
    ):
        certain("ToGray", num_output_channels=4).apply(IMAGE, 7)
    assert certain("ToGray", num_output_channels=1).apply(IMAGE, 7)[0].shape == (32, 24)


@pytest.mark.parametrize("name", WITH_BORDERS)
def test_borders_reflect_unless_params_say_otherwise(name: str) -> None:
    """A white image stays white where borders reflect, but with `fill` or `border_mode` alone."""
    white = np.full((32, 24), 255, np.uint8)

    def darkest(**arguments: object) -> int:
        policy = certain(name, **REACHING_OUT.get(name, {}), **arguments)
        return min(int(policy.apply(white, seed)[0].min()) for seed in range(6))

    assert darkest() == 255
    assert (
        (darkest(fill=0) < 255)
        == (darkest(border_mode=cv2.BORDER_CONSTANT) < 255)
        == (name != "PiecewiseAffine")
    )


def test_borders_by_hand() -> None:
    image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)
    two_right = certain("Affine", translate_px={"x": 2, "y": 0}, rotate=0, scale=1)
    shifted, *_ = two_right.apply(image, 1)
    assert shifted.tolist() == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]  # the edge itself is not repeated
    padded, *_ = certain("Pad", padding=1).apply(image, 1)
    assert padded[0].tolist() == [5, 4, 5, 6, 5]
    black, *_ = certain("Affine", translate_px={"x": 2, "y": 0}, rotate=0, scale=1, fill=0).apply(
        image, 1
    )
    assert black.tolist() == [[0, 0, 1], [0, 0, 4], [0, 0, 7]]


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
            "[2] HorizontalFlip: unknown argument 'prob'; known: p",
        ),
        (
            ["Flop"],
            "[0] Flop: unknown transform; docs/policies.md lists the known",
        ),
        (
            [{"OneOf": {"transforms": ["HorizontlFlip"]}}],
            "[0].transforms[0] HorizontlFlip: unknown transform; is HorizontalFlip meant? "
            "docs/policies.md lists the known",
        ),
        (
            ["VerticalFlip", {"RandomRotation": {"degrees": 3}}],
            "[1] RandomRotation: unknown transform; is Rotate meant? "
            "docs/policies.md lists the known",
        ),
        (
            [{"Normalize": {"mean": [0.5], "std": [0.5]}}],
            "[0] Normalize: training does that itself, with the mean and deviation that "
            "models/model.json keeps; variants are stored as images: leave it out",
        ),
        (
            ["ToTensorV2"],
            "[0] ToTensorV2: variants are stored as image files, and training makes the tensors: "
            "leave it out",
        ),
        (
            ["Lambda"],
            "[0] Lambda: a function cannot be written in params.yaml, so its variants could not be "
            "made again: use transforms that have a name",
        ),
        (
            [{"Rotate": {"fill": 300}}],
            "[0] Rotate.fill: needs numbers from 0 to 255, found 300",
        ),
        (
            [{"XYMasking": {"fill": [0, -5, 0]}}],
            "[0] XYMasking.fill: needs numbers from 0 to 255, found [0, -5, 0]",
        ),
        (
            [{"Affine": {"fill": [1, 2]}}],
            "[0] Affine.fill: needs 1 or 3 numbers, found [1, 2]",
        ),
        (
            ["normalize"],
            "[0] normalize: training does that itself, with the mean and deviation that "
            "models/model.json keeps; variants are stored as images: leave it out",
        ),
        (
            ["MaskDropout"],
            "[0] MaskDropout: it needs boxes or masks, and the images have labels alone: use "
            "CoarseDropout",
        ),
        ([3], "[0]: needs `Name` or `Name: {argument: value}`, found 3"),
        (
            [{"Rotate": 3}],
            "[0] Rotate: needs arguments as `{argument: value}`, found 3",
        ),
        (
            [{"Rotate": {"p": 2}}],
            "[0] Rotate.p: input should be less than or equal to 1, found 2",
        ),
        (
            [{"OneOf": {"transforms": ["HorizontalFlip", {"Rotate": {"limt": 3}}]}}],
            "[0].transforms[1] Rotate: unknown argument 'limt'; known: limit, interpolation, "
            "border_mode, rotate_method, crop_border, mask_interpolation, fill, fill_mask, p",
        ),
        (
            [{"OneOf": {"transforms": ["VerticalFlip"], "p": 2}}],
            "[0] OneOf.p: needs a number from 0 to 1, found 2",
        ),
        (
            [{"OneOf": {"transforms": [{"VerticalFlip": {"p": 0}}]}}],
            "[0] OneOf: needs a transform with p above 0: they are its weights",
        ),
        (
            [{"SomeOf": {"transforms": ["VerticalFlip"], "n": 2}}],
            "[0] SomeOf.n: needs a whole number from 1 to 1, found 2",
        ),
        (
            [{"randaugment": {"N": 3}}],
            "[0] randaugment: unknown argument 'N'; known: n, m, p",
        ),
        (
            ["VerticalFlip", {"randaugment": {"m": 31}}],
            "[1] randaugment.m: needs a whole number from 0 to 30, found 31",
        ),
        (
            [{"OneOf": {"transforms": [{"randaugment": {"n": 0}}]}}],
            "[0].transforms[0] randaugment.n: needs a whole number from 1 to 14, found 0",
        ),
        (
            [{"autoaugment": {"policy": "mnist"}}],
            "[0] autoaugment.policy: needs imagenet, cifar10 or svhn, found 'mnist'",
        ),
        (
            [{"trivialaugment": {"scaled": 1}}],
            "[0] trivialaugment.scaled: needs true or false, found 1",
        ),
        (
            [{"OneOf": {"p": 1}}],
            "[0] OneOf: needs transforms: [...], found None",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(policy: list, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        Policy(policy)
    assert str(caught.value) == "params.yaml augment.policy" + expected


def test_one_step_may_stand_alone() -> None:
    step = {"randaugment": {"m": 5}}
    for policy in ("trivialaugment", step):
        assert AugmentParams(variants_per_image=1, policy=policy).policy == [policy]
    with pytest.raises(ValidationError, match="valid list"):
        AugmentParams(variants_per_image=1, policy=3)


def test_seeds_reach_nested_steps() -> None:
    nested = {"OneOf": {"transforms": [{"Rotate": {"limit": 45}}, {"GaussNoise": {}}], "p": 1.0}}
    policy = Policy([{"Sequential": {"transforms": [nested], "p": 1.0}}])
    images = [policy.apply(IMAGE, seed)[0] for seed in (1, 2, 1)]
    assert np.array_equal(images[0], images[2]) and not np.array_equal(images[0], images[1])


def test_operations_are_json_clean() -> None:
    long = np.arange(65, dtype=np.int16)
    assert to_json_value(
        {"a": np.float32(0.1), "b": (np.int64(3), None), "c": np.eye(2), "d": 1 / 3}
    ) == {
        "a": 0.100000001,
        "b": [3, None],
        "c": [[1.0, 0.0], [0.0, 1.0]],
        "d": 0.333333333,
    }
    digest = hashlib.sha256(long.tobytes()).hexdigest()
    assert to_json_value(long) == {"shape": [65], "dtype": "int16", "sha256": digest}


@pytest.mark.parametrize("name", TAKE_16_BITS)
@pytest.mark.parametrize("pixels", [IMAGE, IMAGE[:, :, 0]], ids=["rgb", "grey"])
def test_16_bits_give_what_8_bits_give_but_finer(name: str, pixels: np.ndarray) -> None:
    policy = certain(name)
    assert policy.takes_16_bits
    for seed in range(5):
        coarse, *_ = policy.apply(np.ascontiguousarray(pixels), seed)
        fine, *_ = policy.apply(pixels.astype(np.uint16) * 257, seed)
        assert fine.dtype == np.uint16 and fine.shape == coarse.shape
        assert np.abs(fine / 257 - coarse).max() <= 2


@pytest.mark.parametrize("name", WITH_FILL)
def test_a_fill_is_of_8_bits_and_scaled_with_the_depth(name: str) -> None:
    borders = {"border_mode": cv2.BORDER_CONSTANT} if name in WITH_BORDERS else {}
    policy = certain(name, **REACHING_OUT.get(name, {}), **borders, fill=200)
    even = np.full((32, 24), 40, np.uint8)
    for seed in range(5):
        coarse, *_ = policy.apply(even, seed)
        fine, *_ = policy.apply(even.astype(np.uint16) * 257, seed)
        assert fine.dtype == np.uint16
        assert np.abs(fine / 257 - coarse).max() <= 1


def test_a_fill_by_hand() -> None:
    image = np.full((1, 1), 1000, np.uint16)
    for fill, filled in ((255, 65535), (1.5, 386), (0, 0)):
        assert certain("Pad", padding=1, fill=fill).apply(image, 1)[0].tolist() == [
            [filled] * 3,
            [filled, 1000, filled],
            [filled] * 3,
        ]


@pytest.mark.parametrize("name", ["CoarseDropout", "Erasing", "GridDropout", "XYMasking", "Affine"])
def test_a_fill_of_three_colours_is_scaled_too(name: str) -> None:
    borders = {"border_mode": cv2.BORDER_CONSTANT} if name in WITH_BORDERS else {}
    policy = certain(name, **borders, fill=[255, 0, 7])
    image = np.full((32, 24, 3), 1000, np.uint16)
    levels = {level for seed in range(4) for level in np.unique(policy.apply(image, seed)[0])}
    assert {0, 1799, 65535} <= levels


@pytest.mark.parametrize("name", WITH_BORDERS)
@pytest.mark.parametrize("fill", [200, [200]])
def test_a_fill_of_one_number_is_for_all_channels(name: str, fill: object) -> None:
    if name not in WITH_FILL:
        return
    policy = certain(name, **REACHING_OUT.get(name, {}), border_mode=0, fill=fill)
    for image in (np.full((32, 24, 3), 40, np.uint8), np.full((32, 24, 3), 40, np.uint16)):
        for seed in range(3):
            pixels = policy.apply(image, seed).pixels
            assert np.ptp(pixels, axis=2).max() == 0


def test_holes_of_a_colour_need_colour() -> None:
    assert not certain("CoarseDropout", fill=[200, 0, 9]).takes_grey
    assert certain("CoarseDropout", fill=[200]).takes_grey
    assert certain("Affine", fill=[200, 0, 9]).takes_grey


def test_inpainted_holes_need_8_bits() -> None:
    assert not certain("CoarseDropout", fill="inpaint_ns").takes_16_bits
    assert certain("CoarseDropout", fill="random").takes_16_bits


def test_every_other_transform_of_albumentations_says_why_not() -> None:
    """And what is said of is not in fact known."""
    bases = {"BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"}
    names = {
        name
        for name, kind in vars(albumentations).items()
        if inspect.isclass(kind) and issubclass(kind, albumentations.BasicTransform)
    }
    assert names - {*TRANSFORMS, *bases} <= UNSUITABLE.keys()
    assert not {*UNSUITABLE, *NAMED_NOW} & {*TRANSFORMS, *PUBLISHED}


def test_one_transform_for_8_bits_decides_for_the_policy() -> None:
    inside = {"OneOf": {"transforms": ["HorizontalFlip", "Posterize"]}}
    assert (
        Policy(["HorizontalFlip"]).takes_16_bits
        and not Policy(["HorizontalFlip", inside]).takes_16_bits
    )
    assert Policy([inside]).takes_grey and not Policy([inside, "ISONoise"]).takes_grey


def test_bits_for_each_channel_need_three() -> None:
    of_each = {"Posterize": {"num_bits": [[1, 3], [2, 4], [5, 5]], "p": 1.0}}
    assert not Policy([of_each]).takes_grey and Policy(["Posterize"]).takes_grey
    to_one_channel = {"ToGray": {"num_output_channels": 1, "p": 1.0}}
    with pytest.raises(ValueError, match="bits for each channel need an image of three channels"):
        Policy([to_one_channel, of_each]).apply(IMAGE, 7)


@pytest.mark.parametrize("name", ["D4", "SquareSymmetry"])
def test_without_elements_d4_draws_what_albumentations_draws(name: str) -> None:
    own, original = transform_class(name)(), getattr(albumentations, name)()
    for seed in range(100):
        drawn = []
        for transform in (own, original):
            transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
            drawn.append(transform.get_params()["group_element"])
        assert drawn[0] == drawn[1] and type(drawn[0]) is type(drawn[1])
