"""Pictures of a policy: what they show, in words and in pixels; nothing is written."""

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.augment.contact_sheet import CELL, GAP
from tasks.commands import operation_range, preview
from tasks.commands.drawn_order import ordered_by
from tasks.commands.operation_range import find_step
from tasks.commands.preview import Asked, draw_preview, require_measure
from tasks.common.errors import UserError
from tasks.dataset.captions import WHOLE
from tasks.pixels.encode import encode
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tests.tasks.augment.datasets import Dataset

SHIFT = {"Affine": {"translate_percent": {"x": [0, 0.5], "y": 0}, "border_mode": 0, "p": 0.5}}
POLICY = [{"OneOf": {"transforms": [SHIFT]}}, {"RandomGamma": {"gamma_limit": [50, 200]}}]


@pytest.fixture
def validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Six images of the classes a and b."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")
    dataset = Dataset(random.Random(1))
    labels = {"1": "a", "2": "b", "3": "a", "4": "a", "5": "b", "6": "a"}
    dataset.files = {f"{name}.png": (of, dataset.content()) for name, of in labels.items()}
    return dataset.validated()


def draw(rows: pd.DataFrame, policy: list[Any] = POLICY, **asked: Any) -> tuple[np.ndarray, str]:
    params = AugmentParams(policy=policy, variants_per_image=4, max_attempts=3)
    before = sorted(Path("data").rglob("*"))
    found = draw_preview(rows, params, Recipes.from_params(params, AS_DECODED), Asked(**asked))
    assert sorted(Path("data").rglob("*")) == before
    return found


def columns(sheet: np.ndarray) -> int:
    return (sheet.shape[1] - GAP) // (CELL + GAP)


def test_a_sheet_shows_sources_and_their_variants(validated: pd.DataFrame) -> None:
    sheet, said = draw(validated, sources=3)
    assert said == "3 sources, 12 variants" and columns(sheet) == 1 + 4
    assert draw(validated, variants=0, label="b")[1] == "2 sources, 0 variants"


def test_the_worst_of_many_are_shown(
    validated: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "WORST", 3)
    sheet, said = draw(validated, worst="border")
    assert said.startswith("the worst 3 of 24 variants made of 6 images, border 0.")
    assert columns(sheet) == 2 * 3
    first, last = map(float, re.findall(r"border ([\d.]+) to ([\d.]+)", said)[0])
    assert 0.5 >= first >= last > 0
    assert draw(validated, worst="border")[1] == said
    assert "of 8 variants made of 2 images" in draw(validated, worst="kept", label="b")[1]
    few = draw(validated, worst="kept", sources=2, variants=2)[1]
    assert "of 4 variants made of 2 images" in few
    assert "of 4 variants made of 1 image, " in draw(validated, worst="border", sources=1)[1]


def test_rejected_variants_are_counted_and_not_shown(validated: pd.DataFrame) -> None:
    _, said = draw(validated, ["HorizontalFlip"], worst="similarity")
    assert said.startswith("the worst 6 of 24 variants made of 6 images, similarity ")
    assert said.endswith("; rejected: 18 not_distinct")


def test_a_measure_that_no_variant_has_is_one_line(validated: pd.DataFrame) -> None:
    with pytest.raises(UserError) as caught:
        draw(validated, worst="sharpness", variants=0)
    none = "none of the 0 variants made of 6 images has this measure"
    assert str(caught.value) == f"--worst sharpness: {none}"
    with pytest.raises(UserError) as caught:
        draw(validated, ["HorizontalFlip"], worst="border", operation="Affine")
    none = "none of the 24 variants made of 6 images has this measure; rejected: 24 not_distinct"
    assert str(caught.value) == f"--worst border: {none}"


@pytest.mark.parametrize("asked", [{}, {"worst": "border"}, {"operation": "RandomGamma"}])
def test_without_training_images_nothing_is_drawn(
    asked: dict[str, str], validated: pd.DataFrame
) -> None:
    with pytest.raises(UserError) as caught:
        draw(validated.assign(split="test"), **asked)
    assert str(caught.value) == (
        "data/validated/manifest.parquet: needs training images to draw, found none"
    )


def test_only_known_measures_are_taken() -> None:
    require_measure(None)
    require_measure("border")
    for name in ("sharpnes", "encoding_psnr"):
        with pytest.raises(UserError) as caught:
            require_measure(name)
        known = "border, kept, clipped_low, clipped_high, sharpness, contrast, similarity"
        hint = "is sharpness meant? " if name == "sharpnes" else ""
        assert str(caught.value) == f"--worst {name}: no such measure; {hint}known: {known}"


def test_a_class_that_is_not_there_is_one_line(validated: pd.DataFrame) -> None:
    with pytest.raises(UserError) as caught:
        draw(validated, label="c")
    assert str(caught.value) == "--class 'c': no such class in training; classes: a, b"


# --- one operation across its range -----------------------------------------------------------


def test_one_operation_is_shown_from_one_end_to_the_other(
    validated: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[list[Any]] = []
    monkeypatch.setattr(
        operation_range, "draw_rows", lambda rows: shown.extend(rows) or np.zeros((1, 1, 3))
    )
    _, said = draw(validated, operation="RandomGamma", sources=2, variants=5)
    assert said.startswith("RandomGamma, on 2 images, gamma 0.5")
    assert re.search(r" in 64 draws of each; medians: (.+, )?sharpness [01]\.\d\d", said), said
    assert len(shown) == 2
    for row in shown:
        assert len(row) == 1 + 5
        values = [float(cell.texts[0].split()[1]) for cell in row[1:]]
        assert values == sorted(values) and values[0] < 0.6 and values[-1] > 1.8


def test_with_worst_the_operation_alone_is_applied(validated: pd.DataFrame) -> None:
    _, said = draw(validated, worst="border", operation="RandomGamma")
    assert said.endswith("border 0.00 to 0.00")


def test_an_operation_without_numbers_shows_what_differs(validated: pd.DataFrame) -> None:
    sheet, said = draw(validated, operation="HorizontalFlip")
    default = "HorizontalFlip, which is not in the policy, with its default arguments"
    nothing = "nothing in it varies by a number"
    assert said == f"{default}, on 5 images: {nothing}; medians: similarity 0.96"
    assert columns(sheet) == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Rotat", "unknown transform; is Rotate meant? docs/policies.md lists the known"),
        ("OneOf", "needs a transform, found a composite of several"),
    ],
)
def test_a_name_that_no_policy_can_have_is_one_line(
    validated: pd.DataFrame, name: str, expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        draw(validated, operation=name)
    assert str(caught.value) == f"--operation {name}: {expected}"


def test_an_operation_that_needs_arguments_has_to_be_in_the_policy(validated: pd.DataFrame) -> None:
    with pytest.raises(UserError) as caught:
        draw(validated, operation="Resize")
    expected = "--operation Resize.height: is missing: write the step into augment.policy first"
    assert str(caught.value) == expected


def test_an_operation_that_always_fails_says_why(validated: pd.DataFrame) -> None:
    crop = [{"RandomCrop": {"height": 99, "width": 99}}]
    with pytest.raises(UserError) as caught:
        draw(validated, crop, operation="RandomCrop")
    start = "--operation RandomCrop: none of 64 draws made an image: failed: "
    assert str(caught.value).startswith(start)


def test_a_step_is_found_within_composites_and_in_the_policy_of_a_class() -> None:
    rows = pd.DataFrame({"label": ["a", "b", "a"]})
    own = {"b": {"policy": [{"Rotate": {"limit": 5}}, {"Rotate": {"limit": 9}}]}}
    params = AugmentParams(policy=POLICY, variants_per_image=1, per_class=own)
    step, its = find_step("Affine", rows, params)
    assert step.arguments == SHIFT["Affine"] and step.same_name == 1
    assert step.as_policy() == [{"Affine": {**SHIFT["Affine"], "p": 1}}]
    assert its.index.tolist() == [0, 2]
    step, its = find_step("Rotate", rows, params)
    assert (step.arguments, step.same_name) == ({"limit": 5}, 2) and its.index.tolist() == [1]
    step, its = find_step("Blur", rows, params)
    assert (step.arguments, step.same_name) == ({}, 0) and len(its) == 3


@pytest.mark.parametrize(
    ("draws", "arguments", "expected"),
    [
        ({"rotate": [1, 2], "scale.x": [1, 1.1]}, {"scale": [1, 2], "rotate": [0, 9]}, "scale.x"),
        ({"hue_shift": [1, 2], "a": [0, 9]}, {"p": 1, "hue_shift_limit": 5}, "hue_shift"),
        ({"alpha": [0.9, 1.1], "beta": [-3, 3]}, {"brightness_limit": 0.2}, "beta"),
        ({"kept": [0.5, 0.9], "sharpness": [1.0, 1.9]}, {"scale": [0.5, 1]}, "kept"),
        ({"border": [0, 0.1], "kept": [0.9, 0.9], "sharpness": [1, 2]}, {}, "border"),
        ({"border": [0, 0.2], "kept": [0.8, 0.9], "sharpness": [1, 2]}, {}, "kept"),
        ({"border": [0, 0], "sharpness": [1, 2], "contrast": [1, 1.5]}, {}, "sharpness"),
        ({}, {}, None),
    ],
)
def test_draws_are_put_in_the_order_of_what_varies(
    draws: dict[str, list[float]], arguments: dict[str, Any], expected: str | None
) -> None:
    of_one_source = pd.DataFrame(draws, index=[0, 0] if draws else None)
    assert ordered_by(of_one_source, arguments) == expected


def test_a_crop_is_shown_in_the_order_of_what_it_keeps(validated: pd.DataFrame) -> None:
    crop = [{"RandomResizedCrop": {"size": [8, 8], "scale": [0.2, 1.0]}}]
    _, said = draw(validated, crop, operation="RandomResizedCrop", sources=1)
    assert said.startswith("RandomResizedCrop, on 1 image, kept 0.")


def test_what_differs_from_source_to_source_alone_does_not_vary() -> None:
    draws = pd.DataFrame({"kept": [0.5, 0.5, 0.9, 0.9], "border": [0.0, 0.1, 0.3, 0.3]})
    assert ordered_by(draws.set_axis([0, 0, 1, 1]), {}) == "border"


def test_draws_whose_value_is_not_known_are_left_out() -> None:
    data = encode(np.zeros((2, 2), np.uint8), "png")
    values = (0.9, None, 0.1, 0.5, 0.1)
    rows = [{"operations": '[{"name":"Spatter"}]', "kept": value} for value in values]
    shown = list(operation_range._cells([(row, data) for row in rows], "kept", 8))
    texts = [cell.texts[0].replace(WHOLE, " ") for cell in shown]
    assert texts == ["kept 0.1", "kept 0.5", "kept 0.9"]


def test_an_operation_is_that_of_the_policy_that_label_rules_leave() -> None:
    rows = pd.DataFrame({"label": ["6", "8", "9"]})
    rules = [
        {"classes": ["6", "9"], "forbid": "VerticalFlip", "bound": {"Rotate": {"limit": 30}}},
        {"classes": ["9"], "forbid": "Rotate"},
    ]
    policy = ["VerticalFlip", {"Rotate": {"limit": 60}}, "D4"]
    params = AugmentParams(variants_per_image=1, policy=policy, labels=rules)

    def found(name: str, labels: list[str]) -> tuple[dict[str, Any], int, list[str]]:
        step, its = find_step(name, rows[rows["label"].isin(labels)], params)
        return step.arguments, step.same_name, list(its["label"])

    assert found("Rotate", ["6", "8", "9"]) == ({"limit": 60}, 1, ["8"])
    assert found("Rotate", ["6", "9"]) == ({"limit": [-30, 30]}, 1, ["6"])
    assert found("Rotate", ["9"]) == ({}, 0, ["9"])
    assert "v" not in found("D4", ["9"])[0]["elements"]
