"""The nearest training image is the one with the likest features, whatever the batches."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from tasks.evaluate import nearest
from tasks.evaluate.nearest import find_nearest, sample_of_training
from tasks.model.images import InputForm
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED

FORM = InputForm(4, "squeeze", AS_DECODED)


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[pd.DataFrame, np.ndarray]:
    """Nine images on disk, see image_array.split_files(), and their pixels (9, 3, 4, 4)."""
    monkeypatch.setenv("VARIEGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), np.uint8)
    rows = []
    for number, image in enumerate(pixels):
        path = tmp_path / f"{number}.png"
        Image.fromarray(image).save(path)
        data = path.read_bytes()
        row = {"source_id": f"{9 - number}", "variant_index": 0, "label": "x", "path": str(path)}
        rows.append({**row, "offset": None, "length": len(data), "sha256": sha256(data)})
    return pd.DataFrame(rows), pixels.transpose(0, 3, 1, 2)


class Flat(nn.Module):
    """The pixels are the features."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(48, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images.float().flatten(1))


@pytest.mark.parametrize("at_once", [2, 512])
def test_an_image_is_nearest_to_itself(
    training: tuple[pd.DataFrame, np.ndarray], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(nearest, "BATCH_SIZE", at_once)
    files, pixels = training
    found = find_nearest(Flat(), pixels[[7, 0, 4]], files, FORM)
    assert found is not None and found.rows.tolist() == [7, 0, 4]
    assert found.cosines == pytest.approx(1, abs=1e-5)
    darker = (pixels[[2]] * 0.5).astype(np.uint8)  # the same direction
    again = find_nearest(Flat(), darker, files, FORM)
    assert again is not None and again.rows.tolist() == [2]


def test_of_no_images_there_is_no_nearest(
    training: tuple[pd.DataFrame, np.ndarray],
) -> None:
    files, pixels = training
    assert find_nearest(Flat(), pixels[:0], files, FORM) is None
    assert find_nearest(Flat(), pixels, files[:0], FORM) is None


def test_of_too_many_training_images_those_with_the_lowest_hashes_are_compared(
    training: tuple[pd.DataFrame, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    files, _ = training
    assert sample_of_training(files) is files
    monkeypatch.setattr(nearest, "MOST_COMPARED", 3)
    assert sample_of_training(files)["source_id"].tolist() == ["3", "2", "1"]
