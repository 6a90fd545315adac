"""What stands at the edges of images, and the rule on constant borders that asks for it."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.lint.area_rules import constant_borders
from tasks.lint.backgrounds import edge_share, have_background
from tasks.pixels.encode import encode
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.policy import build_transforms

LOCATION = "params.yaml augment.policy"


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Two images with noise on black around a bright middle, and one with a bright edge."""
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)
    random = np.random.default_rng(0)
    return pd.DataFrame([_stored(random, number, bright=number == 2) for number in range(3)])


def _stored(random: np.random.Generator, number: int, bright: bool) -> dict[str, object]:
    pixels = random.integers(0, 10, (20, 30), dtype=np.uint8)
    pixels[5:15, 10:20] += 200
    pixels[:] += np.uint8(40 * bright)
    data = encode(pixels, "png")
    sha256 = hashlib.sha256(data).hexdigest()
    Path(f"data/raw/{number}.png").write_bytes(data)
    located = {"file_name": f"{number}.png", "container": None, "offset": None, "bytes": len(data)}
    facts = {"source_id": sha256[:16], "sha256": sha256, "label": "a", "format": "PNG"}
    return {**located, **facts, "width": 30, "height": 20, "channels": 1, "bits": 8}


def test_the_share_of_an_edge_is_counted_by_hand() -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    assert edge_share(pixels, 0) == 1 and edge_share(pixels, 255) == 0
    pixels[0] = (0, 0, 11)  # one channel is too far: 6 pixels of the top, and 1 of each side
    assert edge_share(pixels, 0.0) == pytest.approx(12 / 20)
    assert edge_share(pixels, (0, 0, 21)) == pytest.approx(8 / 20)


def test_a_border_of_the_colour_of_the_background_is_no_matter(rows: pd.DataFrame) -> None:
    def found(**border: object) -> int:
        step = {"Rotate": {"limit": 25, "border_mode": 0, "p": 1.0, **border}}
        transforms = build_transforms([step])
        return len(
            constant_borders(
                transforms, rows, LOCATION, lambda leaf: have_background(leaf, rows, AS_DECODED)
            )
        )

    assert found() == found(fill=0) == found(fill=[0, 5, 9]) == 0
    assert found(fill=128) == found(fill=[0, 0, 255]) == 1


def test_nothing_is_known_of_no_image(rows: pd.DataFrame) -> None:
    [step] = build_transforms([{"Rotate": {"border_mode": 0}}])
    assert not have_background(step, rows[:0], AS_DECODED)
