"""Odd image files: decode() gives for each what a table of Pillow's results asks for."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tasks.pixels.convert import resize
from tasks.pixels.decode import UndecodableError, decode

FOLDER = Path(__file__).parents[4] / "shared/data/odd-images"
ROWS = (
    list(csv.DictReader((FOLDER / "table.csv").open(encoding="utf-8"))) if FOLDER.is_dir() else []
)
LAYERED = {"pillow/hopper.psd"}  # its "frames" are the layers of one picture

# Where the outcome is rightly another than the table's rule (see expected_reason) gives.
DIFFERENT: dict[str, tuple[str | None, str]] = {
    "pillow/png_decompression_dos.png": (None, "its texts are too large, not its one pixel"),
    "pillow/unknown_compression_method.png": (None, "of its profile, not of its pixels"),
    "made-here/header-only.png": ("corrupt", "it is a PNG file by its signature"),
    "pillow/negative_size.ppm": (
        "not_an_image",
        "the two letters that PPM begins with are no signature",
    ),
    "pillow/10ct_32bit_128.tiff": (
        "corrupt",
        "floats from -3 to 3: what would be black is anybody's guess",
    ),
    "pillow/l2rgb_read.bmp": (
        "too_large",
        "it claims 152 megapixels, over a bound that is tighter than Pillow's",
    ),
    "pillow/broken_data_stream.png": (
        "corrupt",
        "Pillow's load() fails too: only a second call gives the pixels",
    ),
    "pillow/truncated_end_chunk.png": (
        "corrupt",
        "Pillow's load() fails too: only a second call gives the pixels",
    ),
    "pillow/apng/chunk_no_fctl.png": (
        "corrupt",
        "Pillow's load() fails too: only a second call gives the pixels",
    ),
}

pytestmark = pytest.mark.skipif(not ROWS, reason="the odd images are not on this machine")


def expected_reason(row: dict[str, str]) -> str | None:
    """The table's rule: what Pillow loads is an image, a bomb is too large; else see below."""
    if row["path"] in DIFFERENT:
        return DIFFERENT[row["path"]][0]
    if row["loads_in_pillow_13.0.0"] == "yes":
        return None
    error = row["error_or_warning"].split(":")[0]
    if error == "DecompressionBombError":
        return "too_large"
    return (
        "not_an_image"
        if (row["category"], error) == ("made-here", "UnidentifiedImageError")
        else "corrupt"
    )


@pytest.mark.parametrize("keep_depth", [False, True], ids=["8 bits", "as deep as it is"])
@pytest.mark.parametrize("row", ROWS, ids=[row["path"] for row in ROWS])
def test_each_file_is_an_image_or_set_aside_as_the_table_says(
    row: dict[str, str], keep_depth: bool
) -> None:
    data = (FOLDER / row["path"]).read_bytes()
    reason = expected_reason(row)
    if reason is not None:
        with pytest.raises(UndecodableError) as caught:
            decode(data, keep_depth)
        assert caught.value.reason == reason
        assert (
            row["category"] != "bomb" or reason == "too_large" or "too large" in str(caught.value)
        )
        return
    decoded = decode(data, keep_depth)
    if row["loads_in_pillow_13.0.0"] == "no":
        assert "metadata ignored: damaged or too large" in (decoded.note or "")
        return
    height, width = decoded.pixels.shape[:2]
    assert decoded.format == row["format"]
    assert sorted((width, height)) == sorted(map(int, row["size"].split("x")))
    frames = 1 if row["path"] in LAYERED else int(row["frames"])
    assert (decoded.note or "").startswith(f"first of {frames} frames") == (frames > 1)


def test_the_table_has_a_row_for_each_exception() -> None:
    assert set(DIFFERENT) | LAYERED <= {row["path"] for row in ROWS}


@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
def test_photos_of_every_orientation_show_one_picture(name: str) -> None:
    photos = [
        decode((FOLDER / f"exif-orientation-examples/{name}_{digit}.jpg").read_bytes()).pixels
        for digit in range(9)
    ]
    small = [resize(photo, 60, 60).astype(int) for photo in photos]
    assert {photo.shape for photo in photos} == {photos[1].shape}
    assert (
        max(np.abs(other - small[1]).mean() for other in small) < 12
    )  # each has its own digit painted on it


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("hopper.iccprofile.tif", None),  # sRGB
        ("icc_profile.png", None),
        ("icc_profile_big.jpg", "colour profile TIFF RGB to sRGB"),
        ("frame_size.mpo", "first of 2 frames; colour profile Display P3 to sRGB"),
        ("icc-after-SOF.jpg", "colour profile ignored: unreadable"),
        ("iss634.gif", "first of 42 frames"),
        ("transparent.gif", "transparency laid on white"),
        ("dispose_bgnd_transparency.gif", "first of 10 frames; transparency laid on white"),
        ("hopper.ico", None),  # its alpha hides nothing
    ],
)
def test_what_a_user_should_know_is_told(name: str, note: str | None) -> None:
    assert decode((FOLDER / "pillow" / name).read_bytes()).note == note
