"""Holes, counted and drawn: how many images, and how often they fail, cover or do nothing."""

import numpy as np
import pytest

from tasks.capacity.count import capacity
from tasks.capacity.holes import (
    Holes,
    _between,
    _dropout_sides,
    _even,
    _one,
    _positions,
    _scaled,
    _several,
    holes_in,
)
from tasks.variants.policy import Policy, build_transforms
from tests.tasks.capacity.test_count import drawn_images

DRAWS = 2000


def dropout(heights: list, widths: list, numbers: tuple[int, int] = (1, 1), **more: object) -> dict:
    ranges = {"hole_height_range": heights, "hole_width_range": widths, "num_holes_range": numbers}
    return {"CoarseDropout": {**ranges, "p": 1.0, **more}}


def masking(columns: list, rows: list, numbers: tuple[int, int] = (1, 1)) -> dict:
    lengths = {"mask_x_length": columns, "mask_y_length": rows}
    return {"XYMasking": {**lengths, "num_masks_x": numbers, "num_masks_y": numbers, "p": 1.0}}


@pytest.mark.parametrize(
    ("step", "count"),
    [
        # sides 2 to 4 in 4 rows: 3 + 2 + 1 places; 2 to 5 in 5 columns: 4 + 3 + 2 + 1
        (dropout([2, 99], [2, 99]), 6 * 10),
        (dropout([1, 2], [3, 3]), (4 + 3) * 3),
        (dropout([4, 9], [1, 5]), 5 + 4 + 3 + 2 + 1),
        # shares 0.25 to 0.8 of 4 rows are 1 to 3 rows, of 5 columns 1 to 3 columns
        (dropout([0.25, 0.8], [0.25, 0.79]), (4 + 3 + 2) * (5 + 4 + 3)),
        # 0 columns in one of two draws: the image as it is
        (dropout([2, 2], [0, 1]), 1 + 3 * 5),
        # one column or none, and one row or none
        (masking([0, 1], [0, 1]), 6 * 5),
    ],
)
def test_one_hole_makes_as_many_images_as_it_has_places(step: dict, count: int) -> None:
    found = capacity([step], 4, 5)
    assert (found.count, found.failing) == (count, 0)
    assert len(set(drawn_images([step], 4, 5, DRAWS))) == count


@pytest.mark.parametrize(
    "step",
    [
        dropout([2, 4], [3, 5], (1, 2)),
        dropout([2, 4], [3, 5], (2, 3)),
        dropout([3, 8], [0, 9], (1, 2)),
        dropout([0.1, 0.6], [0.1, 0.6], (1, 2)),
        dropout([0.5, 1.0], [0.5, 1.0]),
        dropout([0.2, 0.5], [0.9, 1.4]),  # some wider than the image
        dropout([5, 9], [1, 2]),
        masking([1, 5], [0, 4]),
        masking([0, 5], [0, 4], (0, 2)),
        masking([1, 6], [0, 0]),
        dropout([3, 4], [4, 5], (1, 2), fill="random"),
    ],
    ids=str,
)
def test_how_often_holes_fail_cover_or_do_nothing_is_what_many_draws_show(step: dict) -> None:
    found = holes_in(build_transforms([step])[0], (4, 5))
    policy = Policy([step])
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3) + 100
    fails = covered = unchanged = 0
    seen = set()
    for seed in range(DRAWS):
        try:
            new, operations, _ = policy.apply(image, seed)
        except ValueError:
            fails += 1
            continue
        holes = np.array(operations[0]["holes"]).reshape(-1, 4)
        covered += any((hole == [0, 0, 5, 4]).all() for hole in holes)
        unchanged += np.array_equal(new, image)
        seen.add(new.tobytes())
    for probability, times in (
        (found.fails, fails), (found.covers, covered), (found.nothing, unchanged)
    ):  # fmt: skip
        assert times / DRAWS == pytest.approx(probability, abs=0.04)
        assert (probability > 1e-9) == (times > 0)
    most = capacity([step], 4, 5).count
    assert most is None or len(seen) <= most


def test_a_hole_that_always_covers_the_image_makes_one_of_which_nothing_is_written() -> None:
    for before in ([], ["HorizontalFlip", {"RandomCrop": {"height": 3, "width": 3}}]):
        policy = [*before, dropout([8, 32], [8, 32]) if not before else dropout([3, 9], [3, 9])]
        found = capacity([*policy, "D4"], 8, 8)
        assert (found.count, found.exact, found.covered) == (1, True, pytest.approx(1))
        assert (found.new(), found.most_written(), found.expected_new(9)) == (1, 0, 0)
        assert len(set(drawn_images(policy, 8, 8, 50))) == 1


def test_holes_that_cover_the_image_are_not_inpainted() -> None:
    policy = [dropout([3, 4], [4, 5], fill="inpaint_ns")]
    found = capacity(policy, 4, 5)
    # 2 x 1 and 1 x 2 and 2 x 2 windows, and the image as it is in one of four draws
    assert (found.count, found.covered, found.untouched) == (9, 0, 0.25)
    images = drawn_images(policy, 4, 5, 200)
    assert len(set(images)) == 9


def test_what_a_hole_leaves_nothing_of_can_be_made_something_else_of() -> None:
    found = capacity([dropout([8, 32], [8, 32]), {"RandomGravel": {"p": 1.0}}], 8, 8)
    assert (found.count, found.covered) == (None, 0)


def test_shifts_of_trivialaugment_beyond_the_image_leave_one_colour() -> None:
    small, large = capacity(["trivialaugment"], 8, 8), capacity(["trivialaugment"], 64, 64)
    # of 31 magnitudes up to 32 pixels, those from the 8th on shift by 8 or more, in 2 of 14
    assert small.covered == pytest.approx(23 / 31 * 2 / 14)
    assert large.covered == 0
    assert small.count < large.count
    image = np.full((8, 8, 3), 200, np.uint8)
    policy = Policy(["trivialaugment"])
    black = sum(not policy.apply(image, seed)[0].any() for seed in range(DRAWS)) / DRAWS
    assert black == pytest.approx(small.covered, abs=0.02)
    assert capacity([{"trivialaugment": {"scaled": True}}], 8, 8).covered == 0


def test_sides_of_holes_by_hand() -> None:
    assert _even(2, 4) == {2: 1 / 3, 3: 1 / 3, 4: 1 / 3}
    assert _even(5, 4) == {5: 1.0}  # which has no room
    # of 4 rows 0.25 to 0.8 are 1 to 3.2: rounded down, 3 is for 0.05 of 0.55
    assert _scaled((0.25, 0.8), 4) == pytest.approx({1: 5 / 11, 2: 5 / 11, 3: 1 / 11})
    assert _scaled((0.3, 0.45), 4) == {1: 1.0}
    assert _scaled((0.1, 0.5), 4) == pytest.approx({0: 3 / 8, 1: 5 / 8})  # 2 for 0.5 alone
    sides = {0: 0.1, 1: 0.2, 3: 0.3, 9: 0.4}
    assert _between(sides, 1, 3) == pytest.approx(0.5)
    assert _positions(sides, 4) == 4 + 2  # a side of 0 has none, one of 9 no room
    [pixels] = build_transforms([dropout([2, 9], [1, 9])])
    assert _dropout_sides(pixels, 3, 5) == (_even(2, 3), _even(1, 5))
    [shares] = build_transforms([dropout([0.25, 0.8], [0.2, 0.9])])
    assert _dropout_sides(shares, 4, 5) == (_scaled((0.25, 0.8), 4), _scaled((0.2, 0.9), 5))


def test_one_hole_and_several_by_hand() -> None:
    heights, widths = {2: 0.5, 4: 0.25, 5: 0.25}, {0: 0.25, 3: 0.5, 9: 0.25}
    # 5 rows do not fit into 4, nor 9 columns into 3; a hole of 4 x 3 covers all; of 2 x 3 there
    # are 3 others
    fits = 0.75 * 0.75
    one = Holes(fails=1 - fits, covers=0.25 * 0.5, nothing=0.75 * 0.25, others=3)
    assert _one((4, 3), heights, widths) == pytest.approx(one)
    both = _several((1, 2), (4, 3), heights, widths)
    assert both == pytest.approx(
        Holes(
            fails=1 - (fits + fits**2) / 2,
            covers=(0.125 + fits**2 - (fits - 0.125) ** 2) / 2,
            nothing=(0.1875 + 0.1875**2) / 2,
            others=3 + 3,  # one of three places, or two of them
        )
    )
