"""Sets of images by hand: what flips, turns, crops and other steps make of size and window."""

import math

import pytest

from tasks.capacity.states import (
    FAILED,
    MOST_COUNTED,
    OneColour,
    State,
    cropped,
    redrawn,
    reoriented,
)

SOURCE = State((5, 4))


def test_a_crop_is_a_window_with_a_range_of_positions() -> None:
    window = cropped(SOURCE, (3, 2), [(0, 2), (1, 2)])
    assert window == State((3, 2), top=(0, 2), left=(1, 2)) and window.images == 3 * 2
    inner = cropped(window, (2, 1), [(1, 1), (0, 1)])
    assert inner == State((2, 1), top=(1, 3), left=(1, 3))


@pytest.mark.parametrize(
    ("moves", "state"),
    [
        # of 5 rows 3 from the 1st on: upside down the last 3; of 4 columns 1 from the 2nd on
        ("", State((3, 1), top=(0, 0), left=(1, 1))),
        ("v", State((3, 1), flipped=(True, False), top=(2, 2), left=(1, 1))),
        ("h", State((3, 1), top=(0, 0), left=(2, 2))),  # a side of one pixel is the same flipped
        ("t", State((3, 1), True, top=(1, 1), left=(0, 0))),  # of 4 rows and 5 columns
        ("tv", State((3, 1), True, (True, False), top=(1, 1), left=(1, 1))),
        ("th", State((3, 1), True, top=(3, 3), left=(0, 0))),
    ],
)
def test_a_crop_of_a_flipped_image_is_another_window(moves: str, state: State) -> None:
    assert cropped(reoriented(SOURCE, moves), (3, 1), [(0, 0), (1, 1)]) == state


def test_moves_that_undo_each_other_lead_back() -> None:
    for moves in ("", "vv", "hh", "tt", "vhvh", "tvth", "thtv"):
        assert reoriented(SOURCE, moves) == SOURCE
    assert reoriented(SOURCE, "t") == State((4, 5), True)
    assert reoriented(State((1, 1)), "tvh") == State((1, 1))
    assert reoriented(State(None), "tv") == State(None, True, (True, False))


def test_a_step_makes_so_many_pictures_of_each_image() -> None:
    window = State((3, 2), top=(0, 2), left=(1, 2), pictures=5)
    assert redrawn(window, (7, 8), 4, "step") == State(
        (7, 8), origin=(window, "step"), pictures=5 * 3 * 2 * 4
    )
    assert redrawn(SOURCE, (7, 8), MOST_COUNTED, "step").pictures == MOST_COUNTED
    for ways in (MOST_COUNTED + 10**3, math.inf):
        without_bound = State((7, 8), origin="continuous", pictures=math.inf)
        assert redrawn(SOURCE, (7, 8), ways, "step") == without_bound


def test_of_pictures_without_bound_and_of_one_colour_the_size_alone_counts() -> None:
    for state in (
        State((5, 4), origin="continuous", pictures=math.inf),
        State((5, 4), origin=OneColour("0")),
    ):
        assert cropped(state, (3, 2), [(0, 2), (0, 2)]) == state._replace(size=(3, 2))
        assert reoriented(state, "tv") == state._replace(size=(4, 5))
    assert State((5, 4), origin=OneColour("0")).one_colour
    assert not SOURCE.one_colour and FAILED.images == 0
