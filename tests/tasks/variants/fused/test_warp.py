"""One warp: whole pixels exactly, prefilters by hand, and the same bytes on every processor."""

import os
import platform
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tasks.variants.fused.warp import EDGES, needs_prefilter, scales, warp
from tests.conftest import ROOT
from tests.tasks.variants.fused.made import made
from tests.tasks.variants.fused.test_motions import photo
from tests.test_reproducible import OLDER_PROCESSORS


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="measured on x86-64 Linux alone",
)
def test_fused_steps_make_the_same_bytes_on_every_processor() -> None:
    command = [sys.executable, "-m", "tests.tasks.variants.fused.made"]
    running = [
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **older}, stdout=subprocess.PIPE)
        for older in OLDER_PROCESSORS.values()
    ]
    expected = made()
    for process in running:
        found, _ = process.communicate()
        assert found.decode().split() == expected


def test_scales_are_those_of_the_axes_of_the_input() -> None:
    turned = np.array([[0, -0.5, 9], [2, 0, 0], [0, 0, 1.0]])  # x becomes y, twice as long
    assert scales(turned, (10, 10)) == (2, 0.5)
    assert scales(4 * turned, (10, 10)) == (2, 0.5)
    tilted = np.array([[1, 0, 0], [0, 1, 0], [0.01, 0, 1]])
    x, y = scales(tilted, (101, 101))
    step = 1e-6
    centre = np.linalg.solve(tilted, [50, 50, 1])
    centre = centre / centre[2]
    for scale, axis in ((x, 0), (y, 1)):
        beside = centre.copy()
        beside[axis] += step
        near = tilted @ beside
        assert scale == pytest.approx(np.hypot(*(near[:2] / near[2] - 50)) / step, rel=1e-4)


def test_what_is_whole_is_moved_by_slices_and_a_faint_perspective_is_none() -> None:
    image = photo((300, 400))
    turned = np.array([[0, 1, 0], [-1, 0, 399], [0, 0, 1.0]]) + 1e-9
    turned[2] = 0, 0, 1
    assert np.array_equal(warp(image, turned, (400, 300), None, EDGES), np.rot90(image))
    black = (cv2.BORDER_CONSTANT, (0.0, 0.0, 0.0))
    beside = warp(image, np.array([[1.0, 0, 500], [0, 1, 0], [0, 0, 1]]), (300, 400), None, black)
    assert not beside.any()
    faint = np.array([[1, 0, 0], [0, 1, 0], [9e-7, 0, 1]])
    new = warp(image, faint, (300, 400), cv2.INTER_LINEAR, EDGES)
    assert not np.array_equal(new, image)


def test_only_what_shrinks_and_is_interpolated_is_prefiltered() -> None:
    half = np.diag([0.5, 1, 1])
    assert needs_prefilter(half, (9, 9), cv2.INTER_LINEAR)
    assert not needs_prefilter(half, (9, 9), cv2.INTER_NEAREST)
    assert not needs_prefilter(np.diag([0.95, 1.5, 1]), (9, 9), cv2.INTER_CUBIC)


@pytest.mark.parametrize("kind", [cv2.INTER_LINEAR, cv2.INTER_CUBIC])
@pytest.mark.parametrize(
    "border", [EDGES, (cv2.BORDER_REFLECT_101, ()), (cv2.BORDER_CONSTANT, (9.0,))]
)
def test_a_prefilter_reads_the_part_that_the_warp_shows(kind: int, border: tuple) -> None:
    image = photo((300, 400), channels=1)
    for x, y in ((-40, -30), (-180, -140), (20, 10)):
        matrix = np.array([[0.5, 0, x], [0, 0.5, y], [0, 0, 1.0]])
        new = warp(image, matrix, (60, 70), kind, border)
        deviation = {cv2.INTER_LINEAR: 0.54, cv2.INTER_CUBIC: 0.64}[kind]
        blurred = cv2.GaussianBlur(image, (5, 5), deviation)
        by_hand = cv2.warpAffine(
            blurred, matrix[:2], (70, 60), flags=kind, borderMode=border[0], borderValue=9.0
        )
        assert np.abs(new.astype(int) - by_hand).max() <= 1


def test_what_a_perspective_shows_from_behind_the_viewer_is_read_too() -> None:
    """Left of its column 50 the result shows the source's right side, right of it the left one."""
    back = np.array([[2, 0, -180], [0, 2, -80], [0.02, 0, -1]])
    white, black = np.full((300, 400), 255, np.uint8), (cv2.BORDER_CONSTANT, (0.0,))
    matrix = np.linalg.inv(back)
    assert needs_prefilter(matrix, (150, 200), cv2.INTER_LINEAR)
    new = warp(white, matrix, (150, 200), cv2.INTER_LINEAR, black)
    assert new[20, 10] == new[100, 150] == 255


def test_large_images_are_halved_before_where_they_shrink_a_lot() -> None:
    """A twentieth of noise around 100 is 100 everywhere, and a ramp stays where it is."""
    noise = np.random.default_rng(1).integers(40, 161, (1300, 1300)).astype(np.uint8)
    small = np.array([[0.05, 0, 0.05 / 2 - 0.5], [0, 0.05, 0.05 / 2 - 0.5], [0, 0, 1]])
    for kind in (cv2.INTER_LINEAR, cv2.INTER_CUBIC):
        new = warp(noise, small, (65, 65), kind, EDGES)
        assert np.abs(new.astype(int) - 100).max() < 12
    ramp = np.tile(np.arange(0, 65000, 50, dtype=np.uint16), (1300, 1))
    new = warp(ramp, small, (65, 65), cv2.INTER_LINEAR, EDGES)
    assert np.abs(new[5:60, 5:60] - (np.arange(5, 60) * 20 + 9.5) * 50).max() <= 2


def test_an_image_that_shrinks_to_almost_nothing_is_still_one() -> None:
    for size in ((8, 8), (3, 500), (1, 1)):
        for scale in (0.3, 0.01, 1e-4):
            matrix = np.diag([scale, scale, 1.0])
            new = warp(np.full(size, 77, np.uint8), matrix, (4, 4), cv2.INTER_LINEAR, EDGES)
            assert np.array_equal(new, np.full((4, 4), 77))
