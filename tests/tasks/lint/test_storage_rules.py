"""What is lost in storing: exact findings for each kind of source and encoding."""

import pandas as pd
import pytest

from tasks.lint.storage_rules import (
    constants_on_16_bits,
    depth_lost,
    lossy_encoding,
    lossy_format,
    low_quality,
)
from tasks.variants.params import Encoding
from tasks.variants.policy import build_transforms

POLICY = "params.yaml augment.policy"
ROWS = pd.DataFrame(
    {
        "format": ["PNG", "TIFF", "JPEG", "HEIF"],
        "bits": [16, 8, 8, 8],
        "highest": [4000] + [255] * 3,
    }
)
AUTO = Encoding()


def test_lossy_copies_of_sources_without_loss() -> None:
    text = (
        "params.yaml augment.encoding: 2 of 4 training images are compressed without loss, and "
        "their variants will be {} of quality {}: a network can tell the two apart; set "
        "format: auto (lint: lossy_encoding)"
    )
    [jpeg] = lossy_encoding(ROWS, Encoding(format="jpeg", quality=80))
    assert jpeg.text == text.format("JPEG", 80)
    [webp] = lossy_encoding(ROWS, Encoding(format="webp"))
    assert webp.text == text.format("lossy WebP", 95)
    lossless = Encoding(format="webp", lossless=True)
    for encoding in (AUTO, Encoding(format="png"), lossless):
        assert lossy_encoding(ROWS, encoding) == []
    assert lossy_encoding(ROWS[2:], Encoding(format="jpeg")) == []


def test_the_lossy_format_of_some_variants() -> None:
    assert lossy_format(ROWS["format"], AUTO) == "JPEG"
    assert lossy_format(ROWS["format"][:2], AUTO) is None
    assert lossy_format(ROWS["format"], Encoding(format="webp", lossless=True)) is None
    assert lossy_format(ROWS["format"], Encoding(format="png")) is None


def test_jpeg_of_jpeg_at_a_low_quality() -> None:
    [finding] = low_quality(ROWS, Encoding(quality=89))
    assert finding.text == (
        "params.yaml augment.encoding: 2 of 4 training images are JPEG files, and their variants "
        "are compressed again at quality 89; set quality: 95 (lint: jpeg_over_jpeg)"
    )
    assert (
        low_quality(ROWS, Encoding(quality=90)) == low_quality(ROWS[:2], Encoding(quality=9)) == []
    )
    assert low_quality(ROWS, Encoding(format="png", quality=9)) == []


def depth(policy: list, encoding: Encoding = AUTO, rows: pd.DataFrame = ROWS) -> list[str]:
    found = depth_lost(rows, build_transforms(policy), encoding, POLICY)
    return [finding.text for finding in found]


def test_16_bits_that_become_8() -> None:
    assert depth(["InvertImg", "RandomGamma", {"OneOf": {"transforms": ["CLAHE"]}}]) == [
        f"{POLICY}: RandomGamma, CLAHE: 1 of 4 training images have 16 bits, and their variants "
        "will have 8; use steps that take 16 bits, such as RandomBrightnessContrast "
        "(docs/policies.md) (lint: depth_lost)"
    ]
    assert depth([{"CoarseDropout": {"fill": "inpaint_ns"}}])[0].startswith(
        f"{POLICY}: CoarseDropo"
    )
    assert depth(["InvertImg"], Encoding(format="webp")) == [
        "params.yaml augment.encoding: 1 of 4 training images have 16 bits, and their variants "
        "will have 8; set format: png (lint: depth_lost)"
    ]
    assert depth(["InvertImg", {"RandomGamma": {"p": 0}}]) == depth(["CLAHE"], rows=ROWS[1:]) == []


def constants(policy: list, highest: int = 4000) -> list[str]:
    rows = ROWS.assign(highest=[highest, 255, 255, 255])
    found = constants_on_16_bits(rows, build_transforms(policy), AUTO, POLICY)
    return [finding.text for finding in found]


@pytest.mark.parametrize(
    ("step", "constant"),
    [
        ("RandomBrightnessContrast", "brightness_limit is up to 13,107"),
        ("InvertImg", "white is up to 65,535"),
        ({"Erasing": {"fill": 200}}, "fill is up to 51,400"),
        ({"Pad": {"padding": 3, "fill": [0, 128, 0]}}, "fill is up to 32,896"),
    ],
)
def test_constants_of_16_bits_for_images_that_use_12(step: object, constant: str) -> None:
    [name] = [step] if isinstance(step, str) else step  # type: ignore[misc]
    assert constants([step]) == [
        f"{POLICY}[0] {name}: {constant} of 65,535, and 1 of 4 training images have 16 bits and "
        "reach 4,000 at most; set ingest.range: [0, 4095] (lint: constants_on_16_bits)"
    ]
    assert constants([step], highest=20_000) == []


def test_constants_that_are_no_matter() -> None:
    relative = {"RandomBrightnessContrast": {"brightness_by_max": False}}
    assert constants([relative, "CoarseDropout", {"Erasing": {"fill": "random"}}]) == []
    assert constants(["InvertImg", "RandomGamma"]) == []  # of 8 bits then: see depth_lost
