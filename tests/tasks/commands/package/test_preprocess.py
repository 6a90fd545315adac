"""preprocess.py, with Pillow and NumPy alone, makes what the project makes with OpenCV."""

import ast
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tasks.commands.package import preprocess
from tasks.commands.package.agreement import grey_levels
from tasks.model.images import as_input
from tasks.pixels import convert
from tasks.pixels.preprocess import Preprocessing

RANGES: tuple[Any, ...] = ("depth", "image", [100, 30_000])
STEPS: tuple[list[Any], ...] = (
    [],
    [{"resize": {"shorter": 31}}, {"crop": {"width": 29, "height": 40}}],
    ["grey", {"pad": {"width": 70, "height": 50, "fill": 9}}, {"resize": {"longer": 44}}],
    [{"resize": {"width": 90, "height": 12}}],
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def files() -> dict[str, bytes]:
    """An image of each kind that is decoded in a way of its own."""
    colours = Image.fromarray(noise(37, 53, 3))
    palette = colours.quantize(16)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    deep = (noise(30, 41).astype(np.uint16) << 8) + noise(30, 41, seed=1)
    alpha = Image.fromarray(noise(37, 53, 4))
    found = {
        "grey": encoded(colours.convert("L"), "PNG"),
        "colour": encoded(colours, "PNG"),
        "black and white": encoded(colours.convert("1"), "PNG"),
        "palette": encoded(palette, "PNG"),
        "palette, transparent": encoded(palette, "PNG", transparency=3),
        "alpha": encoded(alpha, "PNG"),
        "grey and alpha": encoded(alpha.convert("LA"), "PNG"),
        "colour, transparent": encoded(colours, "PNG", transparency=(0, 0, 0)),
        "inks": encoded(colours.convert("CMYK"), "JPEG", quality=95),
        "16 bits": encoded(Image.fromarray(deep), "PNG"),
        "16 bits in TIFF": encoded(Image.fromarray(deep), "TIFF"),
        "32 bits": encoded(Image.fromarray(deep.astype(np.int32)), "TIFF"),
        "floats": encoded(Image.fromarray(noise(9, 9).astype(np.float32) / 255), "TIFF"),
        "frames": encoded(palette, "GIF", save_all=True, append_images=[palette]),
        "another profile": encoded(colours, "PNG", icc_profile=profile),
    }
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        found[f"orientation {orientation}"] = encoded(colours, "PNG", exif=exif)
    return found


FILES = files()


def difference(data: bytes, size: int, fit: Any, preprocessing: Preprocessing) -> int:
    card = {"image_size": size, "fit": fit, "preprocessing": preprocessing.to_json()}
    found = preprocess.as_input(data, card)
    expected = as_input(preprocessing.read(data), size, fit)
    assert (found.dtype, found.shape) == (np.uint8, (3, size, size))
    return int(np.abs(found.astype(int) - expected).max())


@pytest.mark.parametrize("fit", ["squeeze", "pad", "crop"])
@pytest.mark.parametrize("size", [8, 64])
@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_is_within_a_grey_level(name: str, size: int, fit: str) -> None:
    assert difference(FILES[name], size, fit, Preprocessing()) <= 1


@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("range", RANGES, ids=str)
def test_every_range_and_step_is_within_a_grey_level(range: Any, steps: list[Any]) -> None:
    preprocessing = Preprocessing(range=range, preprocess=steps)
    allowed = grey_levels({"preprocessing": preprocessing.to_json()})
    for name, data in FILES.items():
        assert difference(data, 33, "pad", preprocessing) <= allowed, name


@settings(max_examples=80)
@given(*[st.integers(1, 70)] * 4, st.booleans())
def test_any_size_becomes_any_other(
    height: int, width: int, to_height: int, to_width: int, deep: bool
) -> None:
    pixels = noise(height, width, 3)
    if deep:
        pixels = pixels.astype(np.uint16) * 257
    found = preprocess.resize(pixels, to_height, to_width)
    expected = convert.resize(pixels, to_height, to_width)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= (257 if deep else 1)


def test_weights_by_hand() -> None:
    (first, second) = preprocess.area_weights(5, 2)  # of 2.5 pixels each
    assert (first.first, first.shares.tolist()) == (0, pytest.approx([0.4, 0.4, 0.2]))
    assert (second.first, second.shares.tolist()) == (2, pytest.approx([0.2, 0.4, 0.4]))
    centres = preprocess.linear_weights(2, 4)  # at -0.25, 0.25, 0.75, 1.25, cut to 0..1
    assert [each.shares.tolist() for each in centres] == [
        [1, 0],
        [0.75, 0.25],
        [0.25, 0.75],
        [0, 1],
    ]


def test_colours_of_16_bits_are_refused_where_their_range_counts() -> None:
    from tasks.pixels.encode import encode

    data = encode(noise(8, 8, 3).astype(np.uint16) * 257, "png")
    card = {"image_size": 8, "fit": "pad", "preprocessing": Preprocessing(range="image").to_json()}
    with pytest.raises(ValueError) as caught:
        preprocess.as_input(data, card)
    assert str(caught.value) == (
        "a colour image of 16 bits, which Pillow reads as 8; write it as 8 bits first"
    )
    assert difference(data, 8, "pad", Preprocessing()) <= 1


def test_it_imports_pillow_and_numpy_alone() -> None:
    tree = ast.parse(Path(preprocess.__file__).read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    for node in ast.walk(tree):
        names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
    standard = {"io", "json", "warnings", "collections.abc", "functools", "pathlib", "typing"}
    assert names - standard == {"numpy", "PIL"}
