"""Test-time augmentation: which policy an image of unknown class gets, and what its mean is."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from tasks.common.errors import UserError
from tasks.evaluate.augmented_predictions import mean_over_variants, recipe_for_any_class
from tasks.model.images import InputForm
from tasks.pixels.hashing import sha256
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.params import AugmentParams

FORM = InputForm(8, "squeeze", AS_DECODED)


def augment(**parameters: object) -> AugmentParams:
    return AugmentParams.model_validate({"variants_per_image": 1, **parameters})


def test_what_is_forbidden_or_bounded_for_one_class_is_so_for_all() -> None:
    params = augment(
        policy=[{"HorizontalFlip": {"p": 1.0}}, {"Rotate": {"limit": [-30, 30], "p": 1.0}}],
        labels=[
            {"classes": ["p"], "forbid": ["HorizontalFlip"]},
            {"classes": ["6"], "bound": {"Rotate": {"limit": [-10, 10]}}},
        ],
    )
    policy = recipe_for_any_class(params, AS_DECODED).policy
    assert policy == '[{"Rotate":{"limit":[-10,10],"p":1.0}}]'


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            augment(
                policy=[{"HorizontalFlip": {}}],
                labels=[{"classes": ["b"], "relabel": {"HorizontalFlip": {"b": "d"}}}],
            ),
            "needs variants that keep their class, whichever it is; "
            "augment.labels[0] relabels some; write `test_time_augmentation: 0`",
        ),
        (
            augment(
                policy=[{"HorizontalFlip": {}}],
                labels=[{"classes": ["b"], "forbid": ["HorizontalFlip"]}],
            ),
            "needs a step that is allowed for all classes; augment.labels leaves none; "
            "write `test_time_augmentation: 0`",
        ),
        (
            augment(policy=[]),
            "needs a step that is allowed for all classes; augment.policy has none; "
            "write `test_time_augmentation: 0`",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(params: AugmentParams, message: str) -> None:
    with pytest.raises(UserError) as raised:
        recipe_for_any_class(params, AS_DECODED)
    assert str(raised.value) == f"params.yaml evaluate.test_time_augmentation: {message}"


class LeftIsBright(nn.Module):
    """Class 1 where the left half is brighter than the right one."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        halves = images.float().mean(dim=(1, 2))
        brighter = (halves[:, :4].mean(1) - halves[:, 4:].mean(1)).sign() * 100
        return torch.stack([-brighter, brighter], 1)


@pytest.fixture
def one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The manifest's row of an image whose left half is bright."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, :4] = 200
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    data = encoded.getvalue()
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/a.png").write_bytes(data)
    row = {
        "file_name": "a.png",
        "container": None,
        "offset": None,
        "bytes": len(data),
        "source_id": sha256(data)[:16],
        "sha256": sha256(data),
        "label": "x",
        "format": "PNG",
        "width": 8,
        "height": 8,
        "channels": 1,
        "bits": 8,
    }
    return pd.DataFrame([row])


@pytest.mark.parametrize(("variants", "share"), [(1, 0.5), (3, 0.25)])
def test_the_image_itself_counts_as_one(
    one_image: pd.DataFrame, variants: int, share: float
) -> None:
    params = augment(policy=[{"HorizontalFlip": {"p": 1.0}}], distinct=False)
    recipe = recipe_for_any_class(params, AS_DECODED)
    plain = np.array([[0.0, 1.0]], np.float32)
    found = mean_over_variants(LeftIsBright(), one_image, plain, variants, recipe, FORM, 1.0)
    assert found.left_out == 0
    assert found.probabilities == pytest.approx(np.array([[1 - share, share]]))


def test_a_variant_that_is_rejected_is_left_out_of_the_mean(one_image: pd.DataFrame) -> None:
    params = augment(policy=[{"RandomCrop": {"height": 99, "width": 99, "p": 1.0}}])
    recipe = recipe_for_any_class(params, AS_DECODED)
    plain = np.array([[0.25, 0.75]], np.float32)
    found = mean_over_variants(LeftIsBright(), one_image, plain, 2, recipe, FORM, 1.0)
    assert found.left_out == 2
    assert found.probabilities.tolist() == [[0.25, 0.75]]
