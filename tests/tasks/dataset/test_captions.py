"""Captions say what was drawn, of any transform, in words that a picture has room for."""

import json

import numpy as np
import pytest

from tasks.dataset.captions import WHOLE, measures_in_words, operations_in_words
from tasks.variants.policy import Policy
from tests.tasks.variants.test_policy import NEEDED, STEPS

TURN = [[0.866025404, 0.5, 0.0], [-0.5, 0.866025404, 0.0], [0.0, 0.0, 1.0]]
MOVE = [[1.0, 0.0, 4.0], [0.0, 1.0, -2.5], [0.0, 0.0, 1.0]]
CROP = {"name": "RandomCrop", "shape": [64, 80, 3], "crop_coords": [24, 26, 40, 42]}


def words(operation: dict) -> str:
    [text] = operations_in_words([operation])
    return text.replace(WHOLE, " ")


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"name": "HorizontalFlip", "shape": [64, 80, 3]}, "HorizontalFlip"),
        ({"name": "Rotate", "shape": [1, 1], "matrix": TURN}, "Rotate angle 30"),
        (
            {
                "name": "Affine",
                "shape": [64, 80, 3],
                "output_shape": [64, 80],
                "rotate": 0.0,
                "scale": {"x": 1.0, "y": 0.98765},
                "matrix": MOVE,
                "bbox_matrix": MOVE,
            },
            "Affine scale (1, 0.988), shift (4, -2.5)",
        ),
        (CROP, "RandomCrop crop_coords 24 26 40 42"),
        ({"name": "RandomBrightnessContrast", "alpha": 1.0177, "beta": -13.264}, None),
        ({"name": "D4", "group_element": "r90"}, "D4 group_element r90"),
        ({"name": "CoarseDropout", "holes": [[1, 2, 3, 4]], "seed": 7}, "CoarseDropout holes 1"),
        ({"name": "GridDropout", "holes": {"shape": [100, 4]}}, "GridDropout holes 100"),
        ({"name": "MotionBlur", "kernel": [[0.0] * 7] * 7}, "MotionBlur kernel 7"),
        ({"name": "Blur", "kernel": 5}, "Blur kernel 5"),
        (
            {"name": "randaugment", "operations": [{"name": "Invert"}, {"name": "X", "by": 0.5}]},
            "randaugment Invert, X by 0.5",
        ),
    ],
)
def test_what_was_drawn_is_said_in_short(operation: dict, expected: str | None) -> None:
    assert words(operation) == (expected or "RandomBrightnessContrast alpha 1.02, beta -13.3")


def test_a_variant_to_which_nothing_was_done_is_unchanged() -> None:
    assert operations_in_words([]) == ["unchanged"]


@pytest.mark.parametrize("name", STEPS)
def test_every_transform_has_a_caption(name: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 56, 3), dtype=np.uint8)
    operations = Policy([{name: {**NEEDED.get(name, {}), "p": 1}}]).apply(image, 3).operations
    [text] = operations_in_words(json.loads(json.dumps(operations)))
    assert text.startswith(name) and len(text) < 200


def test_measures_are_told_where_they_differ_from_an_untouched_image() -> None:
    row = {"border": 0.1249, "kept": 1.0, "clipped_low": 0.004, "sharpness": 0.81, "contrast": None}
    assert measures_in_words({**row, "similarity": float("nan"), "encoding_psnr": 38.5}).replace(
        WHOLE, " "
    ) == ("border 0.12, sharpness 0.81, encoding_psnr 38.50")
    assert measures_in_words({"kept": 1.0, "border": 0.0}) == ""
