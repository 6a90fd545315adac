"""Features: brightness and contrast make no difference, and the order of originals neither."""

import numpy as np
import pytest

from tasks.studies.audit import features
from tasks.studies.audit.features import Form, Projection, choose_form, extract

PIXELS, HOG = Form("pixels", 8), Form("hog", 64)


def random_pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 160, shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("widths", "heights", "form"),
    [
        ([8], [8], Form("pixels", 8)),
        ([28, 28], [28, 28], Form("pixels", 20)),
        ([12, 10], [5, 12], Form("pixels", 12)),
        ([64], [20], Form("pixels", 20)),
        ([65], [20], Form("hog", 64)),
        ([28, 400, 500], [28, 300, 700], Form("hog", 64)),
        ([28, 30, 500], [28, 30, 700], Form("pixels", 20)),
    ],
)
def test_small_images_are_pixels_and_photos_hog(
    widths: list[int], heights: list[int], form: Form
) -> None:
    assert choose_form(widths, heights) == form


def test_levels_have_mean_0_and_norm_1() -> None:
    # levels 0, 0, 0 and 4: mean 1, so -1, -1, -1 and 3, of norm sqrt(12)
    found = extract(np.array([[0, 0], [0, 4]], np.uint8), Form("pixels", 2))
    assert found.dtype == np.float16
    assert found == pytest.approx([*np.array([-1, -1, -1, 3]) / np.sqrt(12), 0], abs=1e-3)


@pytest.mark.parametrize("form", [PIXELS, HOG])
def test_brightness_and_contrast_make_no_difference(form: Form) -> None:
    pixels = random_pixels(64, 64)
    plain, other = (extract(image, form).astype(float) for image in (pixels, pixels // 2 * 3 - 85))
    own = extract(pixels // 2 * 2, form).astype(float)
    assert np.linalg.norm(other - own) < 0.01 * np.linalg.norm(plain)


@pytest.mark.parametrize("form", [PIXELS, HOG])
def test_16_bits_and_colour_are_what_grey_is(form: Form) -> None:
    pixels = random_pixels(64, 64)
    plain = extract(pixels, form)
    deep = extract(pixels.astype(np.uint16) * 257, form)
    assert np.abs(deep.astype(float) - plain).max() <= 1  # a level of 255 of HOG at most
    assert np.array_equal(extract(np.dstack([pixels] * 3), form), plain)


@pytest.mark.parametrize("form", [PIXELS, HOG])
def test_a_blank_image_is_farther_from_all_than_they_are_from_each_other(form: Form) -> None:
    blank = extract(np.full((30, 40), 200, np.uint8), form).astype(float)
    assert np.array_equal(blank, extract(np.zeros((64, 64), np.uint8), form))
    some = [extract(random_pixels(64, 64, seed=seed), form).astype(float) for seed in range(5)]
    farthest = max(np.linalg.norm(one - some[0]) for one in some)
    assert all(np.linalg.norm(one - blank) > farthest for one in some)


def test_little_contrast_in_16_bits_is_seen() -> None:
    pixels = (20_000 + random_pixels(8, 8).astype(np.uint16) % 7).astype(np.uint16)
    levels = pixels.astype(float) - pixels.mean()
    expected = (levels / np.linalg.norm(levels)).ravel()
    assert extract(pixels, PIXELS)[:-1] == pytest.approx(expected, abs=1e-3)


def test_an_image_is_squeezed_into_a_square() -> None:
    wide = np.repeat(random_pixels(8, 8), 2, axis=1)
    assert np.array_equal(extract(wide, PIXELS), extract(random_pixels(8, 8), PIXELS))


def test_hog_is_kept_in_one_byte_a_number() -> None:
    found = extract(random_pixels(90, 70), HOG)
    assert (found.dtype, found.shape) == (np.uint8, (1764,))


def test_small_pixels_are_compared_as_they_are() -> None:
    rows = np.stack([extract(random_pixels(8, 8, seed=n), PIXELS) for n in range(5)])
    found = Projection.fit(rows).apply(rows)
    assert found.dtype == np.float32
    assert np.array_equal(found, rows.astype(np.float32))


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 dimensions are projected."""
    monkeypatch.setattr(features, "MOST_DIMENSIONS", 99)


def many_dimensions(images: int) -> np.ndarray:
    """Features that differ along two directions, and a little along all."""
    rng = np.random.default_rng(0)
    axes = np.zeros((2, 100))
    axes[0, 3], axes[1, 7] = 50, 20
    rows = 100 + rng.normal(size=(images, 2)) @ axes + rng.normal(0, 0.5, (images, 100))
    return np.rint(rows).astype(np.uint8)


@pytest.mark.usefixtures("few_are_many")
def test_many_dimensions_become_those_in_which_originals_differ_most() -> None:
    rows = many_dimensions(100)
    projection = Projection.fit(rows)
    found = projection.apply(rows)
    assert found.shape == (100, 64)
    assert projection.axes is not None
    assert projection.axes[[3, 7], [0, 1]] == pytest.approx(1, abs=0.01)
    assert found.mean(axis=0) == pytest.approx(0, abs=1e-3)
    deviations = found.std(axis=0)
    assert np.all(np.diff(deviations) < 1e-3)
    assert np.corrcoef(found[:, 0], rows[:, 3])[0, 1] > 0.999


@pytest.mark.usefixtures("few_are_many")
def test_a_projection_does_not_depend_on_the_order_of_originals() -> None:
    rows = many_dimensions(50)
    one, other = Projection.fit(rows), Projection.fit(rows[::-1])
    assert one.apply(rows)[:, :10] == pytest.approx(other.apply(rows)[:, :10], abs=1e-2)


@pytest.mark.usefixtures("few_are_many")
def test_fewer_originals_than_components_are_enough() -> None:
    rows = many_dimensions(10)
    assert Projection.fit(rows).apply(rows).shape == (10, 10)
