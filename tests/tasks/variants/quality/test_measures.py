"""Measures of variants: by hand, against masks, and the same on every processor."""

import json
import math
import os
import platform
import subprocess
import sys

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from tasks.pixels.encode import encode
from tasks.variants.fused import geometry as geometries
from tasks.variants.fused.geometry import Geometry, moved, resized, untouched
from tasks.variants.quality.measures import MEASURED, Baseline, Measures, encoding_psnr
from tests.conftest import ROOT
from tests.test_reproducible import OLDER_PROCESSORS

PHOTOS = {name: load_sample_image(f"{name}.jpg")[:400, :533] for name in ("china", "flower")}
UNKNOWN = Geometry((400, 533), (400, 533), None, None)


def measured(pixels: np.ndarray, geometry: Geometry, source: np.ndarray) -> dict:
    return Measures(np.ascontiguousarray(pixels), geometry, Baseline(source)).all()


def turn(degrees: float, size: tuple[int, int], zoom: float = 1.0) -> np.ndarray:
    height, width = size
    flat = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    return np.vstack([flat, [0, 0, 1]])


def flip(width: int) -> np.ndarray:
    return np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1.0]])


def shift(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


# --- where pixels come from -------------------------------------------------------------------


def chain(seed: int) -> tuple[Geometry, list[tuple[np.ndarray, tuple[int, int]]]]:
    """Random steps, affine ones and perspectives, each with a size of its own."""
    numbers = np.random.default_rng(seed)
    geometry, steps = untouched((90, 120)), []
    for _ in range(numbers.integers(1, 5)):
        size = tuple(int(side) for side in numbers.integers(60, 150, 2))
        matrix = turn(numbers.uniform(-180, 180), (90, 120), numbers.uniform(0.8, 2.5))
        matrix = shift(*numbers.uniform(-15, 15, 2)) @ matrix
        if numbers.random() < 0.5:
            matrix[2, :2] = numbers.uniform(-0.001, 0.001, 2)
        geometry = moved(geometry, matrix, size)
        steps.append((matrix, size))
    return geometry, steps


def share_outside(geometry: Geometry, steps: list[tuple[np.ndarray, tuple[int, int]]]) -> float:
    """The share of points of a variant that lie outside of an image on their way back."""
    finer = 6
    height, width = geometry.size
    x, y = np.meshgrid(
        (np.arange(width * finer) + 0.5) / finer - 0.5,
        (np.arange(height * finer) + 0.5) / finer - 0.5,
    )
    points, inside = np.stack([x.ravel(), y.ravel(), np.ones(x.size)]), np.ones(x.size, bool)
    sizes = [geometry.source, *(size for _, size in steps)]
    for (matrix, _), (rows, columns) in zip(reversed(steps), sizes[-2::-1], strict=True):
        points = np.linalg.inv(matrix) @ points
        inside &= points[2] > 0
        points = points / points[2]
        inside &= (np.abs(points[0] + 0.5 - columns / 2) <= columns / 2) & (
            np.abs(points[1] + 0.5 - rows / 2) <= rows / 2
        )
    return 1 - inside.mean()


def test_the_border_is_what_a_mask_finds() -> None:
    found = []
    for seed in range(40):
        geometry, steps = chain(seed)
        found.append(geometries.border(geometry))
        assert found[-1] == pytest.approx(share_outside(geometry, steps), abs=0.001), seed
    assert min(found) < 0.1 and max(found) > 0.5


def test_what_is_kept_of_a_source() -> None:
    def kept(geometry: Geometry) -> float | None:
        height, width = geometry.size
        return measured(np.zeros((height, width), np.uint8), geometry, source)["kept"]

    source = np.zeros((20, 40), np.uint8)
    whole = untouched((20, 40))
    assert kept(whole) == kept(moved(whole, flip(40), (20, 40))) == 1
    assert kept(resized((20, 40), (7, 5))) == 1
    quarter = moved(whole, shift(-10, -5), (10, 20))
    assert kept(quarter) == 0.25
    assert kept(moved(quarter, shift(3, 3), (50, 50))) == 0.25  # padded: it shows no more
    assert kept(moved(quarter, shift(10, 0), (10, 20))) == 0.125
    assert kept(moved(whole, shift(100, 0), (20, 40))) == 0
    assert kept(Geometry((20, 40), (20, 40), None, None)) is None


# --- levels -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_what_is_clipped_is_less_that_of_the_source(kind: type, top: int) -> None:
    source = np.full((10, 10), 100, kind)
    source[0] = 0  # a tenth
    source[1, :5] = top
    variant = source.copy()
    variant[2, :2], variant[3] = 0, top
    found = measured(variant, untouched((10, 10)), source)
    assert (found["clipped_low"], found["clipped_high"]) == (0.02, 0.1)
    back = measured(source, untouched((10, 10)), variant)
    assert (back["clipped_low"], back["clipped_high"]) == (0, 0)


def test_contrast_is_that_of_the_grey_levels() -> None:
    source = PHOTOS["china"]
    grey = cv2.cvtColor(source, cv2.COLOR_RGB2GRAY).astype(float)
    darker = source // 2
    after = cv2.cvtColor(darker, cv2.COLOR_RGB2GRAY).astype(float)
    found = measured(darker, untouched((400, 533)), source)["contrast"]
    assert found == pytest.approx(after.std() / grey.std(), abs=0.0001)
    flat = np.full((400, 533, 3), 9, np.uint8)
    assert measured(source, untouched((400, 533)), flat)["contrast"] is None
    assert measured(flat, untouched((400, 533)), source)["contrast"] == 0


# --- sharpness --------------------------------------------------------------------------------


SMOOTHING = {cv2.INTER_LINEAR: 0.35, cv2.INTER_CUBIC: 0.4}


def zoomed(source: np.ndarray, scale: float, interpolation: int) -> tuple[np.ndarray, Geometry]:
    """An image by one interpolation at another scale, smoothed where it shrinks."""
    height, width = source.shape[:2]
    size = round(height * scale), round(width * scale)
    geometry = resized((height, width), size)
    if scale < 0.95:
        source = cv2.GaussianBlur(
            source, (0, 0), SMOOTHING[interpolation] * math.sqrt(1 / scale**2 - 1)
        )
    pixels = cv2.warpAffine(
        source,
        geometry.matrix[:2],
        size[::-1],
        flags=interpolation,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return pixels, geometry


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("scale", [0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.97, 1.1, 1.25, 1.5, 2])
def test_a_zoom_is_no_blur(photo: str, scale: float) -> None:
    """A cubic interpolation hardly blurs; a linear one does, most near a scale of 1."""
    source = PHOTOS[photo]
    for interpolation, least, most in ((cv2.INTER_LINEAR, 0.4, 1.4), (cv2.INTER_CUBIC, 0.7, 2.1)):
        found = measured(*zoomed(source, scale, interpolation), source)
        assert least < found["sharpness"] < most and found["similarity"] > 0.99, found


@pytest.mark.parametrize("photo", PHOTOS)
def test_flips_and_quarter_turns_are_as_sharp_as_their_source(photo: str) -> None:
    source = PHOTOS[photo]
    turned = np.array([[0, 1, 0], [-1, 0, 532], [0, 0, 1.0]])
    for pixels, matrix in ((source[:, ::-1], flip(533)), (np.rot90(source), turned)):
        found = measured(pixels, moved(untouched((400, 533)), matrix, pixels.shape[:2]), source)
        expected = {**dict.fromkeys(MEASURED, 0), "sharpness": 1, "contrast": 1, "kept": 1}
        assert found == {**expected, "similarity": pytest.approx(1, abs=0.01)}


@pytest.mark.parametrize("photo", PHOTOS)
def test_a_crop_is_as_sharp_as_the_part_that_it_shows(photo: str) -> None:
    for x, y in ((0, 0), (200, 100), (433, 300), (100, 250)):
        part = PHOTOS[photo][y : y + 100, x : x + 100]
        geometry = moved(untouched((400, 533)), shift(-x, -y), (100, 100))
        found = measured(part, geometry, PHOTOS[photo])
        assert 0.7 < found["sharpness"] < 1.4 and found["similarity"] > 0.95, (x, y, found)


def test_a_blur_is_not_as_sharp() -> None:
    for source in PHOTOS.values():
        blurred = cv2.GaussianBlur(source, (0, 0), 2)
        assert measured(blurred, untouched((400, 533)), source)["sharpness"] < 0.1
        assert measured(blurred, UNKNOWN, source)["sharpness"] < 0.1
    flat = np.full((400, 533, 3), 9, np.uint8)
    assert measured(flat, untouched((400, 533)), flat)["sharpness"] is None


# --- similarity -------------------------------------------------------------------------------


def test_what_changes_a_picture_makes_it_less_similar() -> None:
    source = PHOTOS["flower"]
    noise = np.random.default_rng(0).normal(0, 300, source.shape)
    hole = source.copy()
    hole[50:300, 100:400] = 0
    changed = {
        "inverted": 255 - source,
        "channels": source[..., ::-1],
        "hole": hole,
        "noise": np.clip(source + noise, 0, 255).astype(np.uint8),
        "blur": cv2.GaussianBlur(source, (0, 0), 40),
    }
    for name, pixels in changed.items():
        for geometry in (untouched((400, 533)), UNKNOWN):
            found = measured(pixels, geometry, source)["similarity"]
            assert found < 0.97, (name, found)
    assert measured(255 - source, UNKNOWN, source)["similarity"] < -0.99


def test_similarity_looks_at_what_shows_the_source_alone() -> None:
    source = PHOTOS["flower"]
    matrix = turn(30, (400, 533))
    geometry = moved(untouched((400, 533)), matrix, (400, 533))
    for fill in (0, 255):
        black = cv2.warpAffine(source, matrix[:2], (533, 400), borderValue=(fill, fill, fill))
        found = measured(black, geometry, source)
        assert found["border"] > 0.15 and found["similarity"] > 0.99
    nothing = moved(untouched((400, 533)), shift(1000, 0), (400, 533))
    assert measured(source, nothing, source)["similarity"] is None


# --- any image --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 3), (3, 200), (70, 65)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_any_image_is_measured(shape: tuple, kind: type, channels: tuple) -> None:
    numbers = np.random.default_rng(0)
    source = numbers.integers(0, np.iinfo(kind).max, (*shape, *channels), kind, endpoint=True)
    for size in (shape, (5, 4), (1, 1), (100, 90)):
        for out in ((), (3,)):
            variant = numbers.integers(0, np.iinfo(kind).max, (*size, *out), kind, endpoint=True)
            geometry = resized(shape, size)
            for known in (geometry, geometry._replace(matrix=None, visible=None)):
                found = measured(variant, known, source)
                assert list(found) == MEASURED
                assert all(value is None or math.isfinite(value) for value in found.values())
    alike = measured(source, untouched(shape), source)
    assert all(alike[name] in (1, None) for name in ("sharpness", "contrast", "kept"))
    assert all(alike[name] == 0 for name in ("border", "clipped_low", "clipped_high"))


def samples() -> list[dict]:
    """The measures of a few variants, through each way that they are computed."""
    found = []
    for source in (
        *PHOTOS.values(),
        PHOTOS["china"][..., 1].copy(),
        PHOTOS["flower"].astype(np.uint16) * 257,
        PHOTOS["flower"][100:128, 200:228],
    ):
        size = source.shape[:2]
        baseline = Baseline(np.ascontiguousarray(source))
        for degrees, zoom in ((0, 1), (17, 1), (-30, 0.7), (45, 2.3), (10, 0.2)):
            geometry = moved(untouched(size), turn(degrees, size, zoom), size)
            nearest = cv2.warpAffine(
                baseline.pixels, geometry.matrix[:2], size[::-1], flags=cv2.INTER_NEAREST
            )
            found.append(Measures(nearest, geometry, baseline).all())
        found.append(Measures(nearest, UNKNOWN, baseline).all())
    jpeg = encode(PHOTOS["china"], "jpeg", 90)
    return [*found, {"encoding_psnr": encoding_psnr(PHOTOS["china"], jpeg)}]


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="measured on x86-64 Linux alone",
)
@pytest.mark.parametrize("processor", OLDER_PROCESSORS)
def test_measures_are_the_same_on_every_processor(processor: str) -> None:
    code = "import json; from tests.tasks.variants.quality.test_measures import samples as s; "
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print(json.dumps(s()))"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **OLDER_PROCESSORS[processor]},
        check=True,
    )
    assert json.loads(done.stdout) == samples()


# --- encoding ---------------------------------------------------------------------------------


def test_the_psnr_of_what_is_stored() -> None:
    source = PHOTOS["china"]
    for format, quality in (("jpeg", 90), ("webp", 50)):
        data = encode(source, format, quality)
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        error = np.square(stored.astype(float) - source).mean()
        expected = 10 * math.log10(255**2 / error)
        assert encoding_psnr(source, data) == pytest.approx(expected, abs=0.0001)
    grey = source[..., 0].copy()
    assert encoding_psnr(grey, encode(grey, "webp", 50)) > 25
    assert encoding_psnr(source, encode(source, "png")) is None
