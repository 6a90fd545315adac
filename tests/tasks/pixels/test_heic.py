"""HEIC photos: upright, in sRGB and 8 bits.

The files in `heic/` show four quarters: red, green, blue and nearly white. pillow_heif, which can
encode, made `turned.heic` (EXIF orientation 6, which it writes as a rotation, a profile that swaps
red and blue, and a second image) and `transparent.heic` (the first quarter); heif-enc, of libheif,
made `ten-bits.heic`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.pixels.decode import UndecodableError, decode
from tasks.variants.params import Encoding

FOLDER = Path(__file__).parent / "heic"
RED, GREEN, BLUE, LIGHT = [200, 30, 30], [30, 200, 30], [30, 30, 200], [220, 220, 220]


def quarters(pixels: np.ndarray) -> np.ndarray:
    """The colours in the middles of the four quarters, row by row."""
    height, width = pixels.shape[:2]
    return pixels[height // 4 :: height // 2, width // 4 :: width // 2].reshape(4, 3).astype(int)


@pytest.mark.parametrize(
    ("name", "shape", "colours", "note"),
    [
        ("ten-bits", (24, 36, 3), [RED, GREEN, BLUE, LIGHT], None),
        (
            "transparent",
            (24, 36, 3),
            [[255] * 3, GREEN, BLUE, LIGHT],
            "transparency laid on white",
        ),
        (  # a quarter turn clockwise brings blue, which the profile makes red, to the first place
            "turned",
            (36, 24, 3),
            [RED, BLUE, LIGHT, GREEN],
            "first of 2 frames; colour profile Swapped to sRGB",
        ),
    ],
)
def test_photos_are_upright_and_in_srgb(
    name: str, shape: tuple[int, ...], colours: list[list[int]], note: str | None
) -> None:
    decoded = decode((FOLDER / f"{name}.heic").read_bytes(), keep_depth=True)
    assert (decoded.format, decoded.bits, decoded.note) == ("HEIF", 8, note)
    assert decoded.pixels.shape == shape and decoded.pixels.dtype == np.uint8
    assert np.abs(quarters(decoded.pixels) - colours).max() <= 2


def test_a_brand_that_avif_has_too_is_read_by_its_content() -> None:
    data = (FOLDER / "ten-bits.heic").read_bytes()
    decoded = decode(data.replace(b"ftypheic", b"ftypmif1"))
    assert decoded.format == "HEIF" and np.array_equal(decoded.pixels, decode(data).pixels)


def test_variants_of_photos_are_photos() -> None:
    assert [Encoding().format_for(kind) for kind in ("JPEG", "MPO", "HEIF", "PNG")] == [
        "jpeg",
        "jpeg",
        "jpeg",
        "png",
    ]


def sized(data: bytes, width: int, height: int) -> bytes:
    """The file with another size in its header: 36 x 24 pixels is what it has."""
    old, new = (w.to_bytes(4) + h.to_bytes(4) for w, h in ((36, 24), (width, height)))
    assert data.count(b"ispe\0\0\0\0" + old) == 1
    return data.replace(b"ispe\0\0\0\0" + old, b"ispe\0\0\0\0" + new)


@pytest.mark.parametrize(
    ("damage", "reason", "text"),
    [
        (
            lambda data: data[:200],
            "corrupt",
            "its header cannot be read, though it begins as HEIF does",
        ),
        (
            lambda data: data[:-40],
            "corrupt",
            "ValueError: Decoder plugin generated an error: Unspecified",
        ),
        (
            lambda data: sized(data, 36_000, 24_000),
            "too_large",
            "864,000,000 pixels, over 100,000,000",
        ),
    ],
)
def test_a_photo_that_cannot_be_read_says_why(
    damage: Callable[[bytes], bytes], reason: str, text: str
) -> None:
    with pytest.raises(UndecodableError) as caught:
        decode(damage((FOLDER / "ten-bits.heic").read_bytes()))
    assert (caught.value.reason, str(caught.value)) == (reason, text)
