"""Runs of steps: what is drawn is what Albumentations draws, and each run is interpolated once."""

import random
from typing import Any

import albumentations
import cv2
import numpy as np
import pytest

from tasks.variants.policy import Policy, build_transforms, to_json_value
from tasks.variants.transforms import TRANSFORMS
from tests.tasks.variants.fused.test_motions import STEPS, photo
from tests.tasks.variants.test_policy import NEEDED

PHOTO = photo((64, 48))
EXACT = ["D4", "HorizontalFlip", "RandomRotate90", "Transpose", "VerticalFlip", "NoOp"]
WHOLE_PIXELS = [
    *EXACT,
    {"Pad": {"padding": [3, 4, 5, 9]}},
    {"Pad": {"padding": 3, "fill": [9, 8, 200]}},
    {"RandomCrop": {"height": 40, "width": 60, "pad_if_needed": True}},
    {"CenterCrop": {"height": 30, "width": 31}},
    {"RandomCropFromBorders": {}},
    {"CropAndPad": {"px": [-6, 6], "keep_size": False, "p": 1.0}},
    {"PadIfNeeded": {"min_height": 70, "min_width": 70, "position": "random"}},
]


def of_albumentations(policy: list[Any], image: np.ndarray, seed: int) -> dict[str, Any]:
    """What Albumentations' own Compose makes of an image, with the generators of a Policy."""
    own = Policy(policy)
    own._set_seed(seed)
    compose = albumentations.Compose(build_transforms(policy), save_applied_params=True)
    compose.set_random_state(np.random.Generator(own.bits), own.random)
    return compose(image=image.copy())


def random_policy(generator: random.Random, depth: int = 2) -> list[Any]:
    """Steps of all kinds, geometric ones more often, within composites."""
    steps: list[Any] = []
    for _ in range(generator.randrange(1, 5)):
        kind = generator.random()
        if kind < 0.55:
            name, arguments = generator.choice(STEPS)
            steps.append({name: {**arguments, "p": generator.choice([0.5, 1.0])}})
        elif kind < 0.75 or depth == 0:
            name = generator.choice(TRANSFORMS)
            steps.append({name: {**NEEDED.get(name, {}), "p": generator.choice([0.5, 1.0])}})
        else:
            name = generator.choice(["OneOf", "SomeOf", "Sequential"])
            inner = random_policy(generator, depth - 1)
            some = {"n": generator.randrange(1, len(inner) + 1)} if name == "SomeOf" else {}
            steps.append({name: {"transforms": inner, "p": 0.8, **some}})
    return steps


@pytest.mark.parametrize("seed", range(60))
def test_steps_draw_what_albumentations_draws_whether_fused_or_not(seed: int) -> None:
    policy = random_policy(random.Random(seed))
    try:
        expected = of_albumentations(policy, PHOTO, seed)
    except Exception as error:
        with pytest.raises(type(error)):
            Policy(policy, fuse=False).apply(PHOTO, seed)
        with pytest.raises(type(error)):
            Policy(policy).apply(PHOTO, seed)
        return
    drawn = [{"name": name, **to_json_value(p)} for name, p in expected["applied_transforms"]]
    stepwise, fused = (
        Policy(policy, fuse=False).apply(PHOTO, seed),
        Policy(policy).apply(PHOTO, seed),
    )
    assert stepwise.operations == fused.operations == drawn
    assert np.array_equal(stepwise.pixels, expected["image"])
    assert fused.pixels.shape == stepwise.pixels.shape


@pytest.mark.parametrize("seed", range(40))
def test_whole_pixels_stay_what_they_are(seed: int) -> None:
    """Flips, turns, crops and pads in any order: fused they give the very pixels of the steps."""
    generator = random.Random(seed)
    policy = [generator.choice(WHOLE_PIXELS) for _ in range(5)]
    try:
        stepwise = Policy(policy, fuse=False).apply(PHOTO, seed)
    except Exception:
        return  # too large a crop
    fused = Policy(policy).apply(PHOTO, seed)
    assert np.array_equal(stepwise.pixels, fused.pixels)
    assert np.allclose(stepwise.geometry.matrix, fused.geometry.matrix)
    for corner in (np.min, np.max):  # their polygons are rectangles
        boxes = [corner(one.geometry.visible, axis=0) for one in (stepwise, fused)]
        assert np.allclose(*boxes)


def test_twelve_rotations_by_30_degrees_give_the_sources_own_pixels() -> None:
    for image in (PHOTO, photo((57, 71), np.uint16), photo((57, 71), channels=1)):
        turned = Policy([{"Rotate": {"limit": [30, 30], "p": 1.0}}] * 12).apply(image, 1)
        assert np.array_equal(turned.pixels, image)


@pytest.mark.parametrize(("name", "arguments"), STEPS, ids=lambda value: str(value)[:60])
def test_one_step_alone_gives_what_albumentations_gives_but_for_the_prefilter(
    name: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.variants.fused.canvas.needs_prefilter", lambda *motion: False)
    policy = [{name: {**arguments, "p": 1.0}}]
    for image in (PHOTO, photo((57, 70), channels=1)):
        for seed in range(3):
            expected = of_albumentations(policy, image, seed)["image"]
            for fuse in (True, False):
                new = Policy(policy, fuse=fuse).apply(image, seed).pixels
                assert np.array_equal(new, expected)


@pytest.mark.parametrize("mode", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [0, 1, 2, 4])
def test_one_step_with_a_mirrored_border_gives_the_same_bytes_of_large_images(
    mode: int, kind: int
) -> None:
    borders = {"border_mode": mode, "interpolation": kind, "p": 1.0}
    for image in (photo((190, 230)), photo((311, 270), channels=1), photo((190, 230), np.uint16)):
        for step in ({"Affine": {"rotate": 30, **borders}}, {"Perspective": borders}):
            expected = of_albumentations([step], image, mode)["image"]
            assert np.array_equal(Policy([step]).apply(image, mode).pixels, expected)


def test_a_flip_and_a_turn_are_interpolated_once() -> None:
    turn = {"Rotate": {"limit": [30, 30], "p": 1.0}}
    new = Policy(["HorizontalFlip", turn]).apply(PHOTO, 3)
    names = [one["name"] for one in new.operations]
    by_hand = Policy([turn]).apply(PHOTO[:, ::-1] if len(names) == 2 else PHOTO, 3).pixels
    assert np.abs(new.pixels.astype(int) - by_hand).max() <= 1


def test_results_share_no_memory_with_the_source_and_leave_it_as_it_is() -> None:
    before = PHOTO.copy()
    for policy in (["NoOp"], [], ["HorizontalFlip", "HorizontalFlip"], ["AutoContrast"]):
        for fuse in (True, False):
            new = Policy(policy, fuse=fuse).apply(PHOTO, 1).pixels
            assert new.flags.c_contiguous and new.flags.writeable
            assert not np.shares_memory(new, PHOTO)
            new[:] = 0
    assert np.array_equal(PHOTO, before)


@pytest.mark.parametrize("fuse", [True, False])
def test_a_single_row_stays_a_row(fuse: bool) -> None:
    row = PHOTO[:1, :9]
    for name, image in (("ToGray", row), ("ToRGB", row[:, :, 0])):
        applied = Policy([{name: {"p": 1.0}}], fuse=fuse).apply(image, 1)
        assert applied.pixels.shape == (1, 9, 3)
        assert applied.geometry.size == (1, 9)


def test_a_pad_does_not_show_what_a_crop_cut_off() -> None:
    crop = {"CenterCrop": {"height": 20, "width": 20}}
    pad = {"Pad": {"padding": 10, "border_mode": cv2.BORDER_CONSTANT, "fill": 0, "p": 1.0}}
    new = Policy([crop, pad, {"Rotate": {"limit": [5, 5], "fill": 0, "p": 1.0}}]).apply(PHOTO, 1)
    assert new.pixels[:5].max() == 0


@pytest.mark.parametrize(
    ("step", "size"),
    [
        ({"RandomSizedCrop": {"min_max_height": [1, 1], "size": [9, 9], "w2h_ratio": 0.5}}, 40),
        ({"CropAndPad": {"px": [-2, -1]}}, 1),
    ],
)
def test_a_crop_of_nothing_fails_in_a_run_as_it_does_alone(step: dict, size: int) -> None:
    policy = [{name: {**own, "p": 1.0}} for name, own in ({"Transpose": {}} | step).items()]
    for fuse in (True, False):
        with pytest.raises(ValueError, match="x_min < x_max"):
            Policy(policy, fuse=fuse).apply(PHOTO[:size, :size], 1)


def test_a_flip_and_its_undoing_leave_a_resize_alone() -> None:
    """So that they make no image that a policy without them does not make."""
    flip, turn = {"HorizontalFlip": {"p": 1.0}}, {"Transpose": {"p": 1.0}}
    for kind in (0, 1, 2):
        resize = {"Resize": {"height": 90, "width": 77, "interpolation": kind, "p": 1.0}}
        alone = Policy([resize]).apply(PHOTO, 1).pixels
        for policy in ([flip, resize, flip], [resize, flip, flip], [turn, turn, resize]):
            assert np.array_equal(Policy(policy).apply(PHOTO, 1).pixels, alone)
    back = Policy([turn, resize, turn]).apply(PHOTO, 1)  # another resize
    assert back.pixels.shape == (77, 90, 3)


def test_a_letterbox_has_no_shadow_of_its_border_at_enlarged_edges() -> None:
    white = np.full((20, 10), 255, np.uint8)
    pad = {"PadIfNeeded": {"min_height": 64, "min_width": 64, "fill": 0}}
    new = Policy([{"LongestMaxSize": {"max_size": 64}}, pad]).apply(white, 1).pixels
    assert set(np.unique(new)) == {0, 255}
    new = (
        Policy([{"Pad": {"padding": [0, 3], "fill": 0}}, {"Resize": {"height": 64, "width": 64}}])
        .apply(white, 1)
        .pixels
    )
    assert new[32].min() == 255


def test_images_too_large_to_warp_take_each_step_alone() -> None:
    long = np.tile(np.arange(256, dtype=np.uint8), (4, 140))
    policy = [{"Crop": {"x_min": 9, "x_max": 109, "y_max": 4}}, {"Rotate": {"limit": 9, "p": 1.0}}]
    stepwise = Policy(policy, fuse=False).apply(long, 1)
    fused = Policy(policy).apply(long, 1)
    assert np.array_equal(stepwise.pixels, fused.pixels)
    assert np.array_equal(stepwise.geometry.matrix, fused.geometry.matrix)


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("seed", range(25))
def test_the_geometry_says_where_each_part_of_the_source_is(seed: int, fuse: bool) -> None:
    """What is bright in the variant of a ramp from left to right, or from top to bottom, says."""
    generator = random.Random(seed)
    policy = [
        {name: {**arguments, "p": 1.0}}
        for name, arguments in (generator.choice(STEPS) for _ in range(4))
    ]
    rows, columns = np.mgrid[:64, :48].astype(np.uint16) * 1000
    try:
        across = Policy(policy, fuse=fuse).apply(columns, seed)
        down = Policy(policy, fuse=fuse).apply(rows, seed)
    except Exception:
        return  # a crop of what is not there
    matrix, size, visible = down.geometry.matrix, down.geometry.size, down.geometry.visible
    assert size == down.pixels.shape
    inside = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(visible).astype(int), 1)
    width = 2 * int(np.ceil(max(np.abs(matrix[:2, :2]).sum() / abs(matrix[2, 2]), 1))) + 1
    inside = cv2.erode(inside, np.ones((width, width)), borderValue=0)
    y, x = np.nonzero(inside)
    back = np.linalg.inv(matrix) @ np.stack([x, y, np.ones(len(x))])
    found = np.stack([across.pixels[y, x], down.pixels[y, x]]) / 1000
    difference = np.abs(back[:2] / back[2] - found)
    # each interpolation loses a little where borders were mirrored
    assert len(x) == 0 or np.quantile(difference, 0.9) < 0.5
