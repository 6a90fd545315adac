"""Images as the network takes them: squares in which every pixel of the source has its weight."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tasks.evaluate.__main__ import predict_array
from tasks.model.image_array import COLUMNS, decoded_images
from tasks.model.images import InputForm, as_input
from tasks.model.params import Fit
from tasks.pixels.convert import resize
from tasks.pixels.encode import encode
from tasks.pixels.hashing import sha256

FITS: list[Fit] = ["squeeze", "pad", "crop"]
SIDES = st.integers(1, 90)


def noise(height: int, width: int) -> np.ndarray:
    draw = np.random.default_rng(height * 100 + width)
    return draw.integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES)
def test_where_both_sides_shrink_or_both_grow_one_call_of_opencv_gives_the_same(
    height: int, width: int, to_height: int, to_width: int
) -> None:
    pixels = noise(height, width)
    if to_height <= height and to_width <= width:
        method = cv2.INTER_AREA
    elif to_height >= height and to_width >= width:
        method = cv2.INTER_LINEAR
    else:
        return
    once = cv2.resize(pixels, (to_width, to_height), interpolation=method)
    assert np.array_equal(resize(pixels, to_height, to_width), once)


@pytest.mark.parametrize(
    ("height", "width"), [(32, 800), (30, 2000), (40, 640), (64, 800), (800, 32), (1, 3000)]
)
def test_every_line_of_pixels_has_its_share_where_one_side_shrinks_and_the_other_grows(
    height: int, width: int
) -> None:
    """The mean along the shrinking side stays what it is, for any lines of white on black."""
    white = np.random.default_rng(0).integers(0, 2, max(height, width), np.uint8) * 255
    lines = white[None] if width > height else white[:, None]
    pixels = np.broadcast_to(lines, (height, width)).copy()
    small = resize(pixels, 64, 64)
    blocks = np.add.reduceat(white.astype(float), np.arange(64) * len(white) // 64)
    line = small[0] if width > height else small[:, 0]
    assert abs(line.mean() - white.mean()) < 1
    if len(white) % 64 == 0:
        assert np.abs(line - blocks / (len(white) // 64)).max() <= 0.5


@settings(max_examples=30, deadline=None)
@given(SIDES, st.integers(1, 64))
def test_a_square_is_the_same_however_it_is_made_to_fit(side: int, size: int) -> None:
    pixels = noise(side, side)
    squeezed = as_input(pixels, size)
    assert squeezed.shape == (3, size, size) and squeezed.dtype == np.uint8
    assert all(np.array_equal(as_input(pixels, size, fit), squeezed) for fit in FITS)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(1, 64), st.sampled_from(FITS))
def test_any_image_becomes_a_square(height: int, width: int, size: int, fit: Fit) -> None:
    assert as_input(noise(height, width), size, fit).shape == (3, size, size)
    assert as_input(noise(height, width)[:, :, 0], size, fit).shape == (3, size, size)


def test_squeezed_padded_and_cropped() -> None:
    lying = np.repeat(np.array([[10, 20, 30, 40]], np.uint8), 2, axis=0)  # 2 x 4 pixels
    assert as_input(lying, 4)[0].tolist() == [[10, 20, 30, 40]] * 4
    padded = [[0] * 4, [10, 20, 30, 40], [10, 20, 30, 40], [0] * 4]
    assert as_input(lying, 4, "pad")[0].tolist() == padded
    assert as_input(lying.T, 4, "pad")[0].T.tolist() == padded
    assert as_input(lying, 2, "crop")[0].tolist() == [[20, 30]] * 2
    assert as_input(lying.T, 2, "crop")[0].T.tolist() == [[20, 30]] * 2


def test_an_image_that_cannot_be_written_to_gives_one_that_can() -> None:
    pixels = noise(8, 8)
    pixels.setflags(write=False)
    assert as_input(pixels, 8).flags.writeable


def test_only_padding_keeps_all_of_an_image_in_its_shape() -> None:
    """A standing and a lying picture of one thing are equal once they are squeezed."""
    standing = np.full((640, 120), 230, np.uint8)
    cv2.ellipse(standing, (60, 320), (50, 267), 0, 0, 360, 30, -1)
    lying = standing.T

    def difference(fit: Fit) -> float:
        seen, other = as_input(standing, 64, fit), as_input(lying, 64, fit)
        return float(np.abs(seen.astype(int) - other).mean())

    assert difference("squeeze") < 5
    assert difference("pad") > 20


class Seen(nn.Module):
    """A network that keeps what it is shown."""

    def forward(self, images: Tensor) -> Tensor:
        self.images = images.numpy()
        return torch.zeros(len(images), 2)


@pytest.mark.starts  # a worker process, which decodes
@pytest.mark.parametrize("fit", FITS)
def test_evaluation_shows_images_as_the_card_says(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    monkeypatch.setenv("VARIEGATE_DEVICE", "cpu")
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path))
    pixels = noise(20, 50)
    data = encode(pixels, "png")
    (tmp_path / "photo.png").write_bytes(data)
    row = ["0", 0, "cat", "cat", str(tmp_path / "photo.png"), None, len(data), sha256(data)]
    network = Seen()
    card = {"image_size": 16, "fit": fit, "preprocessing": {"preprocess": ["grey"]}}
    form = InputForm.from_card(card)
    assert form.to_card() == {
        **card,
        "preprocessing": {"range": "depth", "preprocess": [{"grey": {}}]},
    }
    files = pd.DataFrame([row], columns=COLUMNS)
    with decoded_images(files, form, "decoding") as array:
        predict_array(array, network)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    assert np.array_equal(network.images[0], as_input(grey, 16, fit))
