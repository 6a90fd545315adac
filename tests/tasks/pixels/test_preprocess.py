"""Preprocessing: what each step makes of pixels and sizes, what is black and white."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from tasks.common.params import key_and_problem
from tasks.ingest.params import IngestParams
from tasks.pixels.preprocess import AS_DECODED, Preprocessing

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)


def done(pixels: np.ndarray, *steps: object, **settings: object) -> list:
    return Preprocessing(preprocess=list(steps), **settings).apply(pixels).tolist()


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def test_each_step_by_hand() -> None:
    assert done(IMAGE, {"crop": {"width": 2, "height": 1}}) == [[5, 6]]
    assert done(IMAGE, {"crop": {"width": 9, "height": 1}}) == [[4, 5, 6, 7]]  # a short side stays
    assert done(IMAGE[:1, :2], {"pad": {"width": 4, "height": 2, "fill": 9}}) == [
        [9, 0, 1, 9],
        [9, 9, 9, 9],
    ]
    assert done(IMAGE, {"pad": {"width": 2, "height": 3}}) == IMAGE.tolist()
    halved = done(np.array([[0, 10], [20, 30]], np.uint8), {"resize": {"width": 1, "height": 1}})
    assert halved == [[15]]
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7]]], np.uint8)
    assert done(colours, "grey") == [[76, 150, 29, 7]]  # 0.299, 0.587, 0.114
    assert done(IMAGE, "grey") == IMAGE.tolist()


def test_steps_come_in_their_order() -> None:
    crop, pad = {"crop": {"width": 2, "height": 2}}, {"pad": {"width": 4, "height": 3}}
    assert done(IMAGE, crop, pad) == [[0, 1, 2, 0], [0, 5, 6, 0], [0, 0, 0, 0]]
    assert done(IMAGE, pad, crop) == [[1, 2], [5, 6]]


@pytest.mark.parametrize(
    ("step", "size"),
    [
        ({"resize": {"shorter": 30}}, (30, 40)),
        ({"resize": {"longer": 30}}, (23, 30)),  # 22.5, rounded up
        ({"resize": {"width": 5, "height": 7}}, (7, 5)),
        ({"resize": {"longer": 1}}, (1, 1)),
    ],
)
def test_a_resize_gives_the_side_that_was_asked_for(step: dict, size: tuple[int, int]) -> None:
    assert np.shape(done(IMAGE, step)) == size


STEPS = st.sampled_from(
    [
        {"resize": {"shorter": 9}},
        {"resize": {"longer": 14}},
        {"resize": {"width": 6, "height": 11}},
        {"crop": {"width": 7, "height": 10}},
        {"pad": {"width": 12, "height": 5, "fill": 200}},
        "grey",
    ]
)


@given(st.lists(STEPS, max_size=4), st.integers(1, 40), st.integers(1, 40))
def test_sizes_are_known_before_pixels_are_touched(steps: list, height: int, width: int) -> None:
    preprocessing = Preprocessing(preprocess=steps)
    made = preprocessing.apply(np.zeros((height, width, 3), np.uint8)).shape[:2]
    assert preprocessing.size_of(height, width) == made
    of_many = preprocessing.size_of(np.array([height, 5]), np.array([width, 5]))
    assert (of_many.height[0], of_many.width[0]) == made


@given(st.lists(STEPS, max_size=3))
def test_8_bits_and_16_bits_are_one_image(steps: list) -> None:
    preprocessing = Preprocessing(preprocess=steps)
    coarse = preprocessing.apply(IMAGE)
    fine = preprocessing.apply(IMAGE.astype(np.uint16) * 257)
    assert fine.dtype == np.uint16
    assert np.abs(fine / 257 - coarse).max() <= max(1, len(steps))  # each may round


def test_the_range_says_what_is_black_and_white() -> None:
    samples = np.array([[0, 100, 2048, 4095, 5000]], np.uint16)
    assert done(samples) == samples.tolist()
    assert done(samples, range=[0, 4095]) == [[0, 1600, 32776, 65535, 65535]]
    assert done(samples, range=[100, 4095]) == [[0, 0, 31955, 65535, 65535]]
    assert done(samples[:, 1:4], range="image") == [[0, 31955, 65535]]
    assert done(np.full((1, 2), 300, np.uint16), range="image") == [[0, 0]]


def test_the_range_is_none_of_8_bits() -> None:
    for chosen in ("image", [0, 4095]):
        assert done(IMAGE, range=chosen) == IMAGE.tolist()


def test_a_file_of_12_bits_keeps_its_grey_levels_in_8() -> None:
    data = png(np.arange(4096, dtype=np.uint16).reshape(64, 64))
    assert len(np.unique(AS_DECODED.read(data))) == 16
    stretched = Preprocessing(range=[0, 4095])
    assert len(np.unique(stretched.read(data))) == 256
    assert len(np.unique(stretched.read(data, keep_depth=True))) == 4096


def test_nothing_is_done_unless_asked_for() -> None:
    file = io.BytesIO()
    Image.fromarray(IMAGE).save(file, "PNG")
    assert AS_DECODED.read(file.getvalue()).tolist() == IMAGE.tolist()
    assert IngestParams().preprocessing == AS_DECODED


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (
            {"preprocess": ["blur"]},
            "preprocess[0]: needs one step, `resize`, `crop` or `pad` with its sides, or `grey`, "
            "found 'blur'",
        ),
        (
            {"preprocess": ["grey", {"resize": {"shorter": 8, "width": 3}}]},
            "preprocess[1].resize: needs shorter, or longer, or width and height, found shorter "
            "and width",
        ),
        ({"preprocess": [{"crop": {"width": 3}}]}, "preprocess[0].crop.height: is missing"),
        (
            {"range": [4095, 0]},
            "range: needs depth, image, or two numbers [black, white] from 0 to 65535, "
            "found [4095, 0]",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(block: dict, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        IngestParams.model_validate(block)
    assert key_and_problem(caught.value, "ingest", IngestParams) == f"ingest.{problem}"
