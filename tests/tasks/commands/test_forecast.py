"""The forecast of a plan: grey and coloured images of a class, and what a sample shows."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.capacity.count import capacity
from tasks.commands.forecast import (
    Sample,
    capacity_range,
    evenly_chosen,
    forecast,
    gates_forecast,
    rejected_samples,
)
from tasks.pixels import hashing
from tasks.pixels.decode import decode
from tasks.pixels.encode import encode
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tasks.variants.sources import policy_inputs

HUE = {"HueSaturationValue": {"val_shift_limit": 0, "p": 1.0}}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")


def validated(**classes: str) -> pd.DataFrame:
    """Rows of images of 8 x 8; of each class a letter for each: g is of one channel, c coloured.

    e has three equal channels.
    """
    rows, random = [], np.random.default_rng(0)
    Path("data/raw").mkdir(parents=True)
    for label, kinds in classes.items():
        for number, kind in enumerate(kinds):
            levels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            pixels = {"c": levels, "g": levels[..., 0], "e": np.repeat(levels[..., :1], 3, 2)}[kind]
            data, name = encode(pixels, "png"), f"{label}{number}.png"
            Path("data/raw", name).write_bytes(data)
            sha256 = hashing.sha256(data)
            rows.append(
                {"source_id": sha256[:16], "sha256": sha256, "file_name": name, "label": label}
                | {"container": None, "offset": None, "bytes": len(data), "format": "PNG"}
                | {"height": 8, "width": 8, "channels": 1 if kind == "g" else 3, "bits": 8}
                | {"grey": kind != "c", "split": "train", "status": "ok"}
                | {"pixel_xxh3": hashing.to_hex(hashing.fast_pixel_hash(pixels))}
            )
    return pd.DataFrame(rows)


def forecasted(rows: pd.DataFrame, policy: list, **params: Any) -> dict[str, Any]:
    augment = AugmentParams(policy=policy, variants_per_image=2, **params)
    return forecast(rows, augment, Recipes.from_params(augment, AS_DECODED))


def test_a_class_is_expected_to_get_what_its_coloured_images_give() -> None:
    found = forecasted(validated(cat="cce", dog="ccccg"), [HUE])
    expected = {name: row["expected_distinct"] for name, row in found["classes"].items()}
    assert expected == {"cat": 2 * 2, "dog": 4 * 2} and found["expected_distinct"] == 12
    assert (found["capacity_per_image"], found["capacity_per_image_most"]) == (1, None)
    assert found["warnings"] == [
        "params.yaml augment.policy[0] HueSaturationValue: moves colour alone, so it does nothing "
        "for 2 of 8 training images, which are grey; set val_shift_limit: 20 for these "
        "(lint: colour_on_grey)",
        "params.yaml augment.policy: 2 training images get more variants than can differ: "
        "at least 4 of 16 variants will be rejected; plan fewer or add a step to the policy "
        "(lint: too_many_variants)",
        "of 8 variants made as a sample, 2 were rejected: 2 not_distinct",
    ]
    assert found["lint"][0] == {
        "rule": "colour_on_grey",
        "place": "params.yaml augment.policy[0] HueSaturationValue",
        "why": "moves colour alone, so it does nothing for 2 of 8 training images, which are grey",
        "instead": "set val_shift_limit: 20 for these",
    }
    assert [each["rule"] for each in found["lint"]] == ["colour_on_grey", "too_many_variants"]


def test_what_cannot_be_written_is_not_expected() -> None:
    hole = {"hole_height_range": [8, 32], "hole_width_range": [8, 32], "p": 1.0}
    found = forecasted(validated(cat="cg"), [{"CoarseDropout": hole}], distinct=False)
    assert found["expected_distinct"] == 0
    assert found["warnings"][0].startswith("params.yaml augment.policy[0] CoarseDropout: its holes")


def test_grey_preprocessing_makes_all_images_grey() -> None:
    rows = validated(cat="cge")
    steps = AS_DECODED.model_validate({"preprocess": ["grey", {"resize": {"longer": 4}}]})
    assert policy_inputs(rows, AS_DECODED)["grey"].tolist() == [0, 1, 3]
    given = policy_inputs(rows, steps)
    assert given[["height", "width", "grey"]].to_numpy().tolist() == [[4, 4, 1]] * 3


def test_rejections_in_the_sample_are_told() -> None:
    sample = Sample(0.0, 0.0, 9, Counter({"not_distinct": 2, "failed: ValueError: small": 3}))
    assert rejected_samples(sample) == [
        "of 9 variants made as a sample, 5 were rejected: 3 failed: ValueError: small, "
        "2 not_distinct"
    ]
    assert rejected_samples(Sample(1.0, 1.0, 9, Counter())) == []
    # a step of which nothing is known beforehand: more segments than the image has pixels
    policy: list = [{"Superpixels": {"n_segments": [99, 99], "p_replace": [1, 1], "p": 1.0}}]
    told = forecasted(validated(cat="c"), policy, max_attempts=1)["warnings"][-1]
    assert told.startswith("of 1 variant made as a sample, 1 was rejected: 1 failed: ")


def test_the_range_of_capacities_has_no_end_where_one_has_no_bound() -> None:
    flip, noise = (capacity([name], 8, 8) for name in ("HorizontalFlip", "GaussNoise"))
    whole = capacity([{"RandomCrop": {"height": 4, "width": 4}}], 8, 8)
    for capacities, least, most in (
        ([flip, whole], 2, 25), ([flip, noise], 2, None), ([noise], None, None), ([], None, None)
    ):  # fmt: skip
        found = capacity_range(capacities)
        assert (found["capacity_per_image"], found["capacity_per_image_most"]) == (least, most)


def test_the_sample_knows_what_other_images_forbid() -> None:
    rows = validated(left="c")
    pixels = decode(Path("data/raw/left0.png").read_bytes()).pixels
    mirrored = hashing.to_hex(hashing.fast_pixel_hash(pixels[:, ::-1]))
    other = rows.assign(label="right", source_id="0" * 16, sha256="0" * 64, pixel_xxh3=mirrored)
    held_out = other.assign(split="test")
    flip: list = [{"HorizontalFlip": {"p": 1.0}}]
    found = forecasted(pd.concat([rows, held_out]), flip, distinct=False)
    told = "of 1 variant made as a sample, 1 was rejected: 1 equals_held_out"
    assert told in found["warnings"]


def test_sources_behind_gates_are_chosen_as_the_variants_are_planned() -> None:
    ids = [f"{number:03}" for number in range(300)]
    rows = pd.DataFrame({"label": ["b"] * 100 + ["a"] * 100 + ["c"] * 100, "source_id": ids})
    counts = rows["label"].map({"a": 3, "b": 1, "c": 0})
    chosen = evenly_chosen(rows, counts)
    assert chosen["label"].value_counts().to_dict() == {"a": 72, "b": 24}
    assert chosen["source_id"].is_unique and chosen["label"].tolist()[:72] == ["a"] * 72
    assert len(evenly_chosen(rows[:9], counts[:9] * 50)) == 9
    assert evenly_chosen(rows, counts * 0).empty and evenly_chosen(rows[:0], counts[:0]).empty


def test_what_gates_refuse_is_estimated_from_a_sample() -> None:
    rows = validated(cat="c" * 24)
    policy: list = [{"Rotate": {"limit": 45, "border_mode": 0, "p": 1.0}}]
    gates: dict = {"border": {"max": 0.1}}
    found = forecasted(rows, policy, gates=gates, max_attempts=2)
    assert (found["gates"]["sampled"], found["variants"]) == (24, 48)  # one of each source
    assert 0 < found["gates"]["rejected"] < found["gates"]["redrawn"] < 48
    rejected = found["gates"]["rejected"] // 2
    told = f"of 24 variants made as a sample, {rejected} were rejected: {rejected} gate border"
    assert found["warnings"][-1] == told
    at_once = {"border": {"max": 0.1, "then": "reject"}}
    found = forecasted(rows, policy, gates=at_once)["gates"]
    assert found["redrawn"] == 0 < found["rejected"]
    warns = {"border": {"max": 0.1, "then": "warn"}}
    assert "gates" not in forecasted(rows, policy, gates=warns)
    sample = Sample(0.0, 0.0, 96, Counter({"gate border": 3, "failed: x": 9}), redrawn=24)
    assert gates_forecast(sample, 960) == {"sampled": 96, "redrawn": 240, "rejected": 30}


def test_policies_that_label_rules_leave_are_told_and_not_warned_of_twice() -> None:
    rules = [
        {"classes": ["6", "9"], "forbid": "VerticalFlip", "bound": {"Rotate": {"limit": 50}}},
        {"classes": ["8"], "forbid": ["HorizontalFlip", "VerticalFlip"]},
    ]
    policy = ["VerticalFlip", "HorizontalFlip", {"Rotate": {"limit": 60}}]
    params = AugmentParams(policy=policy, variants_per_image=2, labels=rules)
    rows = validated(**{"1": "c", "6": "c", "8": "c", "9": "c"})
    found = forecast(rows, params, Recipes.from_params(params, AS_DECODED, ["1", "6", "8", "9"]))
    assert found["policies"] == [
        {
            "classes": ["6", "9"],
            "policy": ["HorizontalFlip", {"Rotate": {"limit": [-50, 50]}}],
            "changes": [
                "policy[0] VerticalFlip: forbidden",
                "policy[2] Rotate.limit: [-50, 50] instead of [-60, 60]",
            ],
        },
        {
            "classes": ["8"],
            "policy": [{"Rotate": {"limit": 60}}],
            "changes": [
                "policy[0] VerticalFlip: forbidden",
                "policy[1] HorizontalFlip: forbidden",
            ],
        },
    ]
    assert [(each["rule"], each["place"]) for each in found["lint"]] == [
        ("flipped_symbols", "params.yaml augment.policy"),
        ("far_rotation", "params.yaml augment.policy[2] Rotate"),
        ("flipped_symbols", "params.yaml augment.labels '6', '9' policy"),
    ]


def test_a_class_of_which_none_is_planned_is_not_in_the_sample() -> None:
    own = {"cat": {"variants_per_image": 0, "policy": "NoOp"}}
    found = forecasted(validated(cat="cc", dog="cc"), ["InvertImg"], per_class=own)
    assert [text for text in found["warnings"] if "sample" in text] == []
