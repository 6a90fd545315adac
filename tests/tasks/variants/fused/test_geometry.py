"""Where pixels come from: polygons moved by matrices and cut by images, by hand and by masks."""

import numpy as np
import pytest

from tasks.variants.fused.geometry import (
    border,
    clipped,
    moved,
    rectangle,
    transformed,
    untouched,
)
from tasks.variants.policy import Policy


def test_a_shift_moves_the_source_and_the_image_cuts_it() -> None:
    shift = np.array([[1.0, 0, 2], [0, 1, -1], [0, 0, 1]])
    geometry = moved(untouched((4, 6)), shift, (4, 6))
    assert np.array_equal(geometry.matrix, shift)
    corners = {tuple(corner) for corner in geometry.visible.tolist()}
    assert corners == {(1.5, -0.5), (5.5, -0.5), (5.5, 2.5), (1.5, 2.5)}
    assert (geometry.source, geometry.size) == ((4, 6), (4, 6))


def test_nothing_is_left_of_what_left_the_image() -> None:
    away = np.array([[1.0, 0, 50], [0, 1, 0], [0, 0, 1]])
    gone = moved(untouched((4, 6)), away, (4, 6))
    assert gone.visible.shape == (0, 2)
    assert moved(gone, np.linalg.inv(away), (4, 6)).visible.shape == (0, 2)


def test_a_step_without_a_matrix_leaves_no_geometry_for_good() -> None:
    unknown = moved(untouched((4, 6)), None, (5, 7))
    assert unknown == ((4, 6), (5, 7), None, None)
    assert moved(unknown, np.eye(3), (3, 3)) == ((4, 6), (3, 3), None, None)


def test_a_perspective_shows_nothing_from_behind_the_viewer() -> None:
    tilted = np.array([[1.0, 0, 0], [0, 1, 0], [-0.2, 0, 1]])  # w is 0 at x = 5
    seen = transformed(rectangle((10, 10)), tilted)
    assert np.isfinite(seen).all() and seen[:, 0].min() > -1
    assert clipped(seen, (10, 10))[:, 0].max() == 9.5


def test_a_source_that_is_turned_over_behind_the_viewer_is_visible() -> None:
    """A homography is the same with all its signs turned, and OpenCV's warp does not look."""
    front = np.array([[1.0, 0, 0], [0, 1, 0], [0.01, 0, 1]])
    geometry = moved(untouched((10, 10)), front, (10, 10))
    turned = moved(untouched((10, 10)), -front, (10, 10))
    assert np.array_equal(turned.visible, geometry.visible)
    assert np.array_equal(turned.matrix, geometry.matrix)


@pytest.mark.parametrize("fuse", [True, False])
def test_a_perspective_of_crossed_corners_shows_its_source(fuse: bool) -> None:
    """Seeds of which the matrix puts three corners of the source behind the viewer."""
    policy = [{"Perspective": {"scale": [0.3, 0.5], "fill": 0, "interpolation": 0, "p": 1.0}}]
    for seed in (249, 439, 771):
        applied = Policy(policy, fuse=fuse).apply(np.full((120, 90), 255, np.uint8), seed)
        assert (applied.pixels == 255).all()
        assert border(applied.geometry) == 0
