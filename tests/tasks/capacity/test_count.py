"""Capacity against an enumeration: many variants of a tiny image are drawn and compared."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks.variants.policy as policies
from tasks.capacity.count import capacities_by_source, capacity, checked_capacities
from tasks.common.errors import UserError
from tasks.pixels.hashing import pixel_sha256
from tasks.variants.params import AugmentParams
from tasks.variants.policy import Policy
from tasks.variants.transforms import ELEMENTS, TRANSFORMS

DRAWS = 400
FLIP, TURNS = "HorizontalFlip", "RandomRotate90"
INVERT = {"InvertImg": {"p": 0.5}}
FLIPS = {"transforms": [FLIP, "VerticalFlip"]}


def crop(height: int, width: int, name: str = "RandomCrop", **arguments: Any) -> dict[str, Any]:
    return {name: {"height": height, "width": width, **arguments}}


def drawn_images(
    policy: list, height: int, width: int, draws: int = DRAWS, grey: int = 0
) -> list[bytes]:
    """The images drawn; the empty one where a step failed.

    `grey`: as capacity() takes it; the image is as the policy gets it.
    """
    built = Policy(policy)
    levels = np.random.default_rng(0).permutation(256).astype(np.uint8)
    image = levels[: height * width * 3].reshape(height, width, 3)
    if grey:
        image = np.repeat(image[..., :1], 3, axis=2)
    if grey == 1 and built.takes_grey:
        image = image[..., 0]
    images = []
    for seed in range(draws):
        try:
            new = built.apply(image, seed)[0]
            images.append(pixel_sha256(new).encode())
        except Exception:
            images.append(b"")
    return images


def enumerate_images(
    policy: list, height: int, width: int, draws: int = DRAWS, grey: int = 0
) -> set[bytes]:
    return set(drawn_images(policy, height, width, draws, grey)) - {b""}


HUE = {"HueSaturationValue": {"val_shift_limit": 0, "p": 0.8}}
SATURATION = {"ColorJitter": {"brightness": 0, "contrast": [1, 1], "p": 1.0}}


@pytest.mark.parametrize(
    ("policy", "shape", "count"),
    [
        ([], (3, 3), 1),
        (["NoOp"], (3, 3), 1),
        ([FLIP], (3, 3), 2),
        ([{FLIP: {"p": 1.0}}], (3, 3), 1),
        ([{FLIP: {"p": 0.0}}], (3, 3), 1),
        ([FLIP, "VerticalFlip"], (3, 4), 4),
        ([FLIP, "VerticalFlip", "Transpose", TURNS], (4, 4), 8),
        (["D4", FLIP], (4, 4), 8),
        (["SquareSymmetry", TURNS], (3, 4), 8),
        ([TURNS], (3, 4), 4),
        ([TURNS, TURNS], (3, 4), 4),
        ([FLIP], (3, 1), 1),
        (["D4"], (1, 1), 1),
        (["D4"], (1, 4), 4),
        ([{"OneOf": {**FLIPS, "p": 1.0}}], (3, 3), 2),
        ([{"OneOf": {**FLIPS, "p": 0.5}}], (3, 3), 3),
        (
            [{"OneOf": {"transforms": [{"SomeOf": {**FLIPS, "n": 2, "p": 0.5}}], "p": 1.0}}],
            (3, 3),
            4,
        ),
        ([{"SomeOf": {**FLIPS, "n": 2}}], (3, 4), 4),
        (
            [{"SomeOf": {"transforms": [FLIP, "VerticalFlip", "Transpose"], "n": 1, "p": 0.5}}],
            (3, 4),
            4,
        ),
        ([{"SomeOf": {"transforms": ["Transpose", FLIP], "n": 2, "replace": True}}], (3, 4), 4),
        ([{"SomeOf": {"transforms": [{TURNS: {"p": 1.0}}], "n": 1}}], (3, 3), 4),
        ([{"Sequential": {**FLIPS, "p": 0.5}}], (3, 3), 4),
        # crops: (5 - 3 + 1) x (4 - 2 + 1) places
        ([crop(3, 2)], (5, 4), 9),
        ([crop(5, 4)], (5, 4), 1),
        ([crop(3, 2, p=0.5)], (5, 4), 10),
        ([crop(3, 2), FLIP], (5, 4), 18),
        ([{FLIP: {"p": 1.0}}, crop(3, 2), {FLIP: {"p": 1.0}}], (5, 4), 9),
        ([FLIP, crop(4, 3), crop(3, 2)], (5, 4), 18),
        ([crop(1, 3), "VerticalFlip", FLIP], (5, 4), 20),
        ([crop(3, 2), {"Transpose": {"p": 1.0}}, crop(1, 1)], (5, 4), 20),
        (["Transpose", crop(4, 3)], (5, 4), 2 * 2 + 1 * 3),
        # (5 - 2) // 2 = 1 row above, 2 below: upside down, another window
        (["VerticalFlip", crop(2, 4, "CenterCrop")], (5, 4), 2),
        ([{TURNS: {"p": 1.0}}, {"Crop": {"x_max": 2, "y_max": 3}}], (5, 4), 4),
        ([{"OneOf": {"transforms": [crop(2, 2), crop(5, 3, "CenterCrop")], "p": 1.0}}], (5, 4), 13),
        # one image for certain, whatever it is
        ([{"ToGray": {"p": 1.0}}, {"Blur": {"blur_limit": [3, 3], "p": 1.0}}], (3, 3), 1),
        ([{"Resize": {"height": 2, "width": 5}}], (5, 4), 1),
        (
            [
                {"PadIfNeeded": {"min_height": 2, "min_width": 2}},
                {"Resize": {"height": 5, "width": 4}},
                FLIP,
            ],
            (5, 4),
            2,
        ),
        (["D4", {"LongestMaxSize": {"max_size": 5}}], (5, 4), 8),
    ],
)
def test_exact_capacities_are_what_an_enumeration_finds(
    policy: list, shape: tuple[int, int], count: int
) -> None:
    found = capacity(policy, *shape)
    assert (found.count, found.exact, found.failing) == (count, True, 0)
    assert len(enumerate_images(policy, *shape)) == count
    assert sum(p for p, _ in found.outcomes) == pytest.approx(1)


@pytest.mark.parametrize("grey", [1, 3])
@pytest.mark.parametrize(
    ("policy", "count"),
    [
        ([HUE], 1),
        ([HUE, SATURATION, "ChannelShuffle", "ToGray"], 1),
        ([FLIP, HUE, "VerticalFlip"], 4),
        ([HUE, crop(3, 2), "ToGray"], 9),
        ([{"OneOf": {"transforms": [HUE, FLIP], "p": 1.0}}], 2),
        ([{"SomeOf": {"transforms": [HUE, "ToGray"], "n": 2}}, "Transpose"], 2),
        # in a policy with a step that needs three channels all images have them
        ([{"ChannelDropout": {"p": 0.0}}, HUE, FLIP], 2),
    ],
)
def test_steps_of_colour_make_no_other_image_of_a_grey_one(
    policy: list, count: int, grey: int
) -> None:
    found = capacity(policy, 5, 4, grey)
    assert (found.count, found.exact) == (count, True)
    assert len(enumerate_images(policy, 5, 4, grey=grey)) == count
    assert capacity(policy, 5, 4).count != count  # of a coloured one


@pytest.mark.parametrize(
    ("policy", "of_one_channel", "of_three"),
    [
        (["ToSepia"], 1, 2),
        ([{"ToRGB": {"p": 0.5}}], 1, 1),
        ([{"ToGray": {"num_output_channels": 1, "p": 1.0}}], 1, 1),
        ([{"ToSepia": {"p": 1.0}}, HUE], 1, None),  # which gives it a colour
        ([INVERT, HUE], 2, 2),  # and this leaves it grey
        (["trivialaugment"], 415, 415),
    ],
)
def test_channels_count_where_they_make_a_difference(
    policy: list, of_one_channel: int | None, of_three: int | None
) -> None:
    for grey, count in ((1, of_one_channel), (3, of_three)):
        assert capacity(policy, 5, 4, grey).count == count
        assert count is None or len(enumerate_images(policy, 5, 4, grey=grey)) <= count


def test_published_policies_change_the_colours_of_coloured_images_alone() -> None:
    # Color has 30 magnitudes with an effect, of two signs
    assert capacity(["trivialaugment"], 64, 64).count == 580
    assert capacity(["trivialaugment"], 64, 64, 3).count == 580 - 60


def test_a_hole_of_a_colour_gives_hues_to_shift() -> None:
    hole = {"fill": [255, 0, 0], "hole_height_range": [2, 2], "hole_width_range": [2, 2], "p": 1.0}
    assert capacity([{"CoarseDropout": hole}, HUE], 5, 4, 3).count is None
    # one of 12 places, or two of them
    assert capacity([{"CoarseDropout": hole | {"fill": 255}}, HUE], 5, 4, 3).count == 12 + 66


def test_a_step_that_makes_images_grey_is_followed_by_steps_of_colour_in_vain() -> None:
    policy = [{"ToGray": {"p": 1.0}}, HUE, FLIP]
    assert capacity(policy, 5, 4).count == len(enumerate_images(policy, 5, 4)) == 2


def test_a_grey_image_with_three_channels_can_get_colours() -> None:
    shift = {"r_shift_limit": [5, 5], "g_shift_limit": 0, "b_shift_limit": 0, "p": 1.0}
    policy = [{"ToRGB": {"p": 0.5}}, {"RGBShift": shift}]  # all channels are shifted, or red alone
    assert capacity(policy, 5, 4, 1).count == len(enumerate_images(policy, 5, 4, grey=1)) == 2
    assert capacity(policy, 5, 4, 3).count == len(enumerate_images(policy, 5, 4, grey=3)) == 1
    assert [effect.unchanged for effect in capacity(policy, 5, 4, 1).effects] == [1, 0]


@pytest.mark.parametrize(
    ("policy", "bound"),
    [
        ([INVERT, FLIP], 4),
        (["ToGray", INVERT], 4),
        (["Equalize"], 2),
        (["D4", "ToSepia"], 16),
        ([{"Posterize": {"num_bits": [1, 7], "p": 1.0}}], 7),
        ([{"ChannelShuffle": {"p": 1.0}}], 6),
        ([{"ChannelDropout": {"channel_drop_range": [1, 2]}}], 7),
        (
            [{"RandomGridShuffle": {"grid": [2, 2], "p": 1.0}}],
            2 * 2 * 2,
        ),  # rows of 3 + 2 or 2 + 3; pairs of tiles swap
        ([{"Blur": {"blur_limit": [3, 7]}}], 4),
        ([{"MedianBlur": {"blur_limit": [3, 5], "p": 1.0}}], 2),
        ([{"ImageCompression": {"quality_range": [10, 20], "p": 1.0}}], 11),
        ([{"Rotate": {"limit": [15, 15]}}], 2),
        ([{"Rotate": {"limit": [15, 15], "crop_border": True}}], 2),
        (
            [
                {
                    "RandomBrightnessContrast": {
                        "brightness_limit": [0.2, 0.2],
                        "contrast_limit": [0, 0],
                    }
                }
            ],
            2,
        ),
        ([{"Affine": {"translate_px": [-1, 1], "p": 1.0}}], 9),
        ([{"Affine": {"rotate": [30, 30], "fit_output": True}}, FLIP], 4),
        (
            [
                {
                    "RGBShift": {
                        "r_shift_limit": [5, 5],
                        "g_shift_limit": [5, 5],
                        "b_shift_limit": [1, 1],
                    }
                }
            ],
            2,
        ),
        (
            [
                {
                    "ColorJitter": {k: [1.1, 1.1] for k in ("brightness", "contrast", "saturation")}
                    | {"hue": [0, 0]}
                }
            ],
            25,
        ),
        ([{"LongestMaxSize": {"max_size": [3, 4, 5]}}], 3),
        ([{"CropAndPad": {"px": [-1, 2], "keep_size": False}}, FLIP], 162),
        ([{"PadIfNeeded": {"min_height": 7, "min_width": 7, "position": "random"}}], 12),
        ([crop(6, 2, pad_if_needed=True, pad_position="random")], 2 * 3),
        (
            [
                {
                    "RandomCropFromBorders": {
                        "crop_left": 0.4,
                        "crop_right": 0.4,
                        "crop_top": 0.4,
                        "crop_bottom": 0.3,
                    }
                }
            ],
            54,
        ),
        ([{"RandomSizedCrop": {"min_max_height": [2, 4], "size": [4, 4]}}], 4 * 3 + 3 * 2 + 2),
        ([{"RandomResizedCrop": {"size": [4, 4]}}, FLIP], 300),
        (
            [{"OneOf": {"transforms": [crop(2, 2), crop(2, 2, "CenterCrop")], "p": 1.0}}],
            13,
        ),  # the centre twice
    ],
)
def test_bounds_are_marked_and_never_exceeded(policy: list, bound: int) -> None:
    found = capacity(policy, 5, 4)
    assert (found.count, found.exact) == (bound, False)
    assert len(enumerate_images(policy, 5, 4)) <= bound


NEEDED = {
    "CenterCrop": {"height": 2, "width": 3},
    "Crop": {"x_max": 2, "y_max": 3},
    "CropAndPad": {"px": 1},
    "GridElasticDeform": {"num_grid_xy": [2, 2], "magnitude": 2},
    "LongestMaxSize": {"max_size": 3},
    "RandomCrop": {"height": 2, "width": 3},
    "RandomResizedCrop": {"size": [4, 4]},
    "RandomSizedCrop": {"min_max_height": [2, 4], "size": [4, 4]},
    "Resize": {"height": 3, "width": 3},
    "SmallestMaxSize": {"max_size": 3},
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_no_transform_makes_more_than_its_capacity(name: str) -> None:
    policy = [{name: NEEDED.get(name, {})}, FLIP]
    found = capacity(policy, 5, 4)
    assert found.count is None or len(enumerate_images(policy, 5, 4, 60)) <= found.count


STEPS = st.sampled_from(
    [
        *(
            FLIP,
            "VerticalFlip",
            "Transpose",
            TURNS,
            "D4",
            "NoOp",
            INVERT,
            "ToGray",
            "ChannelShuffle",
        ),
        *(crop(3, 2), crop(2, 3, p=0.5), crop(2, 2, "CenterCrop"), crop(4, 4, pad_if_needed=True)),
        crop(3, 5, pad_if_needed=True, pad_position="random"),
        {"Crop": {"x_min": 1, "x_max": 3, "y_max": 2, "p": 0.5}},
        {"Resize": {"height": 3, "width": 4, "p": 0.5}},
        {"LongestMaxSize": {"max_size": [2, 4]}},
        {"RandomGridShuffle": {"grid": [1, 2]}},
        {"RandomCropFromBorders": {"crop_left": 0.4, "crop_bottom": 0.4}},
        {"Rotate": {"limit": [30, 30]}},
        {"GaussNoise": {"p": 0.3}},
        *(
            HUE,
            SATURATION,
            {"ToSepia": {"p": 0.4}},
            {"ToGray": {"num_output_channels": 1}},
            "ToRGB",
        ),
        {"CoarseDropout": {"hole_height_range": [2, 9], "hole_width_range": [3, 9]}},
        {"CoarseDropout": {"hole_height_range": [5, 9], "hole_width_range": [5, 9], "p": 1.0}},
        {"XYMasking": {"num_masks_x": 1, "mask_x_length": 3, "p": 0.4}},
        {"GridDistortion": {"num_steps": 4, "p": 0.2}},
        *("trivialaugment", {"randaugment": {"n": 1, "m": 9, "p": 0.4}}, {"randaugment": {"n": 3}}),
    ]
)


@st.composite
def composites(draw: st.DrawFn, steps: st.SearchStrategy) -> dict[str, Any]:
    name = draw(st.sampled_from(["OneOf", "SomeOf", "Sequential"]))
    arguments = {
        "transforms": draw(st.lists(steps, min_size=1, max_size=3)),
        "p": draw(st.sampled_from([0.3, 1.0])),
    }
    if name == "SomeOf":
        arguments |= {
            "n": draw(st.integers(1, len(arguments["transforms"]))),
            "replace": draw(st.booleans()),
        }
    return {name: arguments}


POLICIES = st.recursive(STEPS, composites, max_leaves=5)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(POLICIES, min_size=1, max_size=3),
    st.sampled_from([(1, 4), (3, 4), (4, 4), (5, 5)]),
    st.sampled_from([0, 1, 3]),
)
def test_no_policy_makes_more_than_its_capacity(
    policy: list, shape: tuple[int, int], grey: int
) -> None:
    found = capacity(policy, *shape, grey)
    assert sum(p for p, _ in found.outcomes) == pytest.approx(1)
    if (found.count is None or found.count >= 100) and found.failing < 0.15:
        return  # a hundred draws could contradict nothing
    images = drawn_images(policy, *shape, 100, grey)
    assert found.count is None or len(set(images) - {b""}) <= found.count
    assert found.failing < 0.15 or b"" in images
    if (
        found.exact and found.count and all(ways and p / ways > 0.15 for p, ways in found.outcomes)
    ):  # 0.85^100 = 1e-7
        assert len(set(images)) == found.count


def test_states_that_are_taken_together_are_bounds_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = [FLIP, {"randaugment": {"n": 1, "p": 0.5}}, INVERT, {"randaugment": {"n": 1}}]
    apart = capacity(policy, 5, 4)
    monkeypatch.setattr("tasks.capacity.follow.MOST_STATES", 8)
    together = capacity(policy, 5, 4)
    assert len(together.outcomes) < len(apart.outcomes)
    assert together.count >= apart.count and not together.exact
    assert together.untouched == pytest.approx(apart.untouched)
    assert sum(p for p, _ in together.outcomes) == pytest.approx(1)
    for draws in (1, 5, 500):
        assert together.expected_distinct(draws) >= apart.expected_distinct(draws) - 1e-9


def test_crops_that_do_not_fit_make_no_image() -> None:
    found = capacity([crop(6, 2, p=0.25)], 5, 4)
    assert (found.count, found.exact, found.failing, found.untouched) == (1, False, 0.25, 0.75)
    assert capacity([{"Rotate": {"p": 1.0}}, crop(6, 2)], 5, 4).failing == 1
    # a step that changes the size by chance: nothing is known
    assert capacity([{"RandomScale": {"p": 1.0}}, crop(6, 2)], 5, 4).failing == 0


def test_a_continuous_step_has_no_bound_but_may_leave_the_image_untouched() -> None:
    found = capacity([{"Rotate": {"limit": 10, "p": 0.75}}], 8, 8)
    assert (found.count, found.new(), found.untouched) == (None, None, 0.25)
    # 8 draws: the untouched image once with 1 - 0.75^8, and 6 new ones
    assert found.expected_distinct(8) == pytest.approx(1 - 0.75**8 + 6)
    assert found.expected_new(8) == pytest.approx(6)


def test_a_step_that_is_not_known_is_continuous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "build_step", lambda step, place: SimpleNamespace(p=1.0))
    assert capacity(["trivialaugment"], 8, 8).count is None


@pytest.mark.parametrize(
    "policy", [[crop(3, 2), FLIP], ["D4"], [{"OneOf": {"transforms": [FLIP, crop(4, 3)]}}]]
)
def test_expected_distinct_is_the_mean_of_many_trials(policy: list) -> None:
    images = drawn_images(policy, 5, 4, 3000)
    for draws in (3, 10):
        trials = [len(set(images[start : start + draws])) for start in range(0, 3000, draws)]
        error = np.std(trials) / np.sqrt(len(trials))
        assert abs(capacity(policy, 5, 4).expected_distinct(draws) - np.mean(trials)) < 4 * error


def test_capacities_by_source_are_those_of_each_size_and_of_grey_and_coloured_images() -> None:
    rows = pd.DataFrame(
        {
            "height": [8, 1, 4, 30, 8, 8, 8],
            "width": [6, 6, 4, 5, 6, 6, 6],
            "grey": [0, 0, 0, 0, 3, 1, 0],
        }
    )
    for policy in (
        ["D4"],
        [crop(4, 4), FLIP],
        [{"Resize": {"height": 4, "width": 4}}, "D4"],
        [INVERT, "Transpose"],
        [HUE],
        ["RandomRain"],
        [{"Blur": {"blur_limit": [3, 7]}}],
        [{"GridDistortion": {"num_steps": 6}}],
        [{"CoarseDropout": {"hole_height_range": [6, 7], "hole_width_range": [6, 7]}}],
    ):
        places, capacities = capacities_by_source(rows, policy)
        for place, row in zip(places, rows.itertuples(), strict=True):
            assert capacities[place] == capacity(policy, row.height, row.width, row.grey)
    coloured = rows[rows["grey"] == 0]
    assert len(capacities_by_source(coloured, ["D4"])[1]) == 2  # one pixel high, and all others


def test_more_distinct_variants_than_there_are_is_an_error_only_where_it_is_certain() -> None:
    rows = pd.DataFrame(
        {
            "height": [8, 4],
            "width": [8, 6],
            "grey": 0,
            "label": "x",
            "file_name": ["a.png", "b.png"],
        }
    )

    def check(policy: list, planned: int, distinct: bool = True) -> None:
        params = AugmentParams(policy=policy, variants_per_image=planned, distinct=distinct)
        checked_capacities(rows, pd.Series([0, planned]), params)

    check([FLIP], 1)
    check([FLIP], 2, distinct=False)
    check([INVERT], 9)
    check([crop(9, 9)], 1)
    check([crop(3, 4)], 6)
    with pytest.raises(UserError) as caught:
        check([FLIP], 2)
    assert str(caught.value) == (
        "params.yaml augment.policy: 2 distinct variants are asked for, and it makes 1 of an image "
        "of 6 x 4 (b.png); ask for fewer, add a step to the policy or set augment.distinct: false"
    )
    with pytest.raises(
        UserError, match=r"^params.yaml augment.policy: 7 .* makes 6 of an image of 6 x 4 \(b.png\)"
    ):
        check([crop(3, 4)], 7)


def test_a_class_is_refused_only_where_no_image_of_it_can_have_its_variants() -> None:
    rows = pd.DataFrame(
        {
            "height": 8,
            "width": 8,
            "grey": [0, 1, 3, 0],
            "label": ["cat", "cat", "dog", "dog"],
            "file_name": ["a.png", "b.png", "c.png", "d.png"],
        }
    )

    def check(counts: list[int], policy: list) -> list[int | None]:
        params = AugmentParams(policy=policy, variants_per_image=2)
        places, capacities = checked_capacities(rows, pd.Series(counts), params)
        return [capacities[place].most_written() for place in places]

    assert check([2, 2, 2, 2], [HUE]) == [None, 0, 0, None]
    assert check([0, 0, 0, 2], [HUE]) == [None, 0, 0, None]
    with pytest.raises(UserError) as caught:
        check([2, 2, 1, 0], [HUE])  # of the dogs only a grey one is to have any
    assert str(caught.value) == (
        "params.yaml augment.policy: 1 distinct variants are asked for, and it makes 0 of a grey "
        "image of 8 x 8 (c.png); HueSaturationValue: changes no pixel of it; ask for fewer, add "
        "a step to the policy or set augment.distinct: false"
    )
    with pytest.raises(UserError, match=r"\(c.png\); HueSaturationValue, ToGray: changes no pixel"):
        check([2, 2, 1, 0], ["NoOp", HUE, "ToGray"])
    with pytest.raises(UserError, match=r"makes 1 of .* \(b.png\); HueSaturationValue: changes"):
        check([0, 2, 2, 0], [FLIP, HUE])
    hole = {"hole_height_range": [8, 32], "hole_width_range": [8, 32], "p": 1.0}
    # whether an image of one colour is written depends on its source: the run will tell
    assert check([2, 0, 0, 0], [{"CoarseDropout": hole}])[0] == 0


def test_images_on_the_fly_show_the_source_where_nothing_is_left_of_them() -> None:
    hole = {"hole_height_range": [8, 32], "hole_width_range": [8, 32], "p": 0.5}
    found = capacity([{"CoarseDropout": hole}], 8, 8)
    assert (found.untouched, found.covered, found.expected_new(9)) == (0.5, 0.5, 0)
    assert found.expected_shown(9) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 4), (4, 4)])
@given(st.lists(st.sampled_from(list(ELEMENTS)), min_size=1, unique=True))
@settings(max_examples=25, deadline=None)
def test_d4_makes_as_many_images_as_its_elements_do(
    size: tuple[int, int], elements: list[str]
) -> None:
    image = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size)
    for name in ("D4", "SquareSymmetry"):
        step = policies.build_step({name: {"elements": elements}}, "here")
        made = [step.apply(image, group_element=element) for element in step.elements]
        images = {(each.shape, each.tobytes()) for each in made}
        found = capacity([{name: {"elements": elements}}], *size)
        assert (found.count, found.exact) == (len(images), True)
        same = [np.array_equal(each, image) for each in made]
        assert found.untouched == pytest.approx(sum(same) / len(same))
