"""Policies that are bad on purpose, with all that the rules find in each, and good ones with none.

Each is for images that are made here: photos as JPEG and as PNG files, scans of 16 bits, symbols.
"""

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from tasks.capacity.count import checked_capacities
from tasks.common.errors import UserError
from tasks.lint import sample_rules
from tasks.lint.count_rules import Planned
from tasks.lint.findings import Finding
from tasks.lint.lint import lint
from tasks.pixels import hashing
from tasks.pixels.encode import EXTENSIONS, encode
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tasks.variants.sources import policy_inputs
from tests.conftest import ROOT

IMAGES = 8
POLICY = "params.yaml augment.policy"
ENCODING = "params.yaml augment.encoding"


class Kind(NamedTuple):
    """A kind of images: `deep` of 16 bits, with a highest level; `labels`, each in turn."""

    size: tuple[int, int]
    format: str
    labels: tuple[str, ...]
    channels: int = 3
    highest: int = 255


PHOTOS = Kind((96, 128), "JPEG", ("cat", "dog"))
PAINTINGS = Kind((96, 128), "PNG", ("cat", "dog"))
SCANS = Kind((96, 96), "PNG", ("cat", "dog"), 1, 65_535)
DETECTOR = Kind((96, 96), "PNG", ("cat", "dog"), 1, 4000)
SYMBOLS = Kind((28, 28), "PNG", ("0", "1", "2", "3"), 1)


def picture(kind: Kind, seed: int) -> np.ndarray:
    """Blots of all sizes, as photos have them: (height, width) or (height, width, 3)."""
    random = np.random.default_rng(seed)
    height, width = kind.size
    total = np.zeros((height, width, 3))
    for cells in (3, 6, 12, 24):
        blots = random.normal(size=(cells, cells, 3)) / cells
        total += cv2.resize(blots, (width, height), interpolation=cv2.INTER_CUBIC)
    total -= total.min()
    levels = np.round(total / total.max() * kind.highest)
    pixels = levels.astype(np.uint16 if kind.highest > 255 else np.uint8)
    return pixels if kind.channels == 3 else np.ascontiguousarray(pixels[:, :, 0])


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Rows of the validated manifest, by kind, and where their files lie."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "data/raw").mkdir(parents=True)
    return folder, {
        kind: pd.DataFrame([row(folder, kind, number) for number in range(IMAGES)])
        for kind in (PHOTOS, PAINTINGS, SCANS, DETECTOR, SYMBOLS)
    }


def row(folder: Path, kind: Kind, number: int) -> dict[str, Any]:
    """One of them, stored."""
    pixels = picture(kind, number)
    data = encode(pixels, kind.format.lower(), 95)  # type: ignore[arg-type]
    name = f"{kind.highest}_{kind.size[1]}_{number}.{EXTENSIONS[kind.format.lower()]}"  # type: ignore
    (folder / "data/raw" / name).write_bytes(data)
    sha256 = hashing.sha256(data)
    return {
        "source_id": sha256[:16],
        "sha256": sha256,
        "file_name": name,
        "label": kind.labels[number % len(kind.labels)],
        "container": None,
        "offset": None,
        "bytes": len(data),
        "format": kind.format,
        "highest": int(pixels.max()),
        "height": kind.size[0],
        "width": kind.size[1],
        "channels": kind.channels,
        "bits": pixels.dtype.itemsize * 8,
        "grey": kind.channels == 1,
        "split": "train",
        "status": "ok",
    }


@pytest.fixture
def found(rows: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the rules find, those that look at a few variants among them."""
    folder, by_kind = rows
    monkeypatch.chdir(folder)

    def find(kind: Kind, policy: Any, sampled: bool = True, **block: Any) -> list[Finding]:
        params = AugmentParams(**{"variants_per_image": 2, "policy": policy} | block)
        recipes = Recipes.from_params(params, AS_DECODED)
        inputs = policy_inputs(by_kind[kind], AS_DECODED)
        counts = pd.Series(params.variants_per_image, inputs.index)
        capacities = checked_capacities(inputs, counts, params)
        return lint(params, recipes, Planned(inputs, counts, *capacities), sampled)

    return find


BLACK = {"Rotate": {"limit": 25, "border_mode": 0, "p": 1.0}}
BAD: dict[str, tuple[Kind, Any, dict[str, Any], list[tuple[str, str]]]] = {
    "black corners after a change of brightness": (
        PHOTOS, ["RandomBrightnessContrast", BLACK], {},
        [("tone_before_border", f"{POLICY}[1] Rotate"),
         ("constant_border", f"{POLICY}[1] Rotate")],
    ),
    "turned symbols": (
        SYMBOLS, ["VerticalFlip", {"Rotate": {"limit": 180}}, "Sharpen"], {},
        [("flipped_symbols", POLICY), ("far_rotation", f"{POLICY}[1] Rotate")],
    ),
    "noise between warps, and an elastic one": (
        PHOTOS,
        [{"Affine": {"rotate": [-9, 9], "p": 1.0}}, "GaussNoise", "Perspective",
         "ElasticTransform"], {},
        [("repeated_resampling", POLICY)],
    ),
    "paintings stored as poor JPEG files": (
        PAINTINGS, [{"Affine": {"rotate": [-9, 9], "p": 1.0}}],
        {"encoding": {"format": "jpeg", "quality": 60}},
        [("lossy_encoding", ENCODING)],
    ),
    "photos compressed three times": (
        PHOTOS, [{"Affine": {"rotate": [-9, 9], "p": 1.0}}, "ImageCompression"],
        {"encoding": {"quality": 50}},
        [("compressed_twice", f"{POLICY}[1] ImageCompression"), ("jpeg_over_jpeg", ENCODING)],
    ),
    "what is left of a crop": (
        PHOTOS,
        [{"OneOf": {"transforms": [{"RandomResizedCrop": {"size": [64, 64]}},
                                   {"RandomCrop": {"height": 32, "width": 32}}], "p": 1.0}}], {},
        [("small_crop", f"{POLICY}[0].transforms[0] RandomResizedCrop"),
         ("small_crop", f"{POLICY}[0].transforms[1] RandomCrop")],
    ),
    "copies": (
        PAINTINGS, [{"HorizontalFlip": {"p": 0.2}}, {"Blur": {"p": 0.1}}], {"distinct": False},
        [("mostly_untouched", POLICY)],
    ),
    "pixels of photos for symbols": (
        SYMBOLS,
        [{"Affine": {"translate_px": [-20, 20], "p": 1.0}}, {"MotionBlur": {"blur_limit": 15}},
         {"CoarseDropout": {"hole_height_range": [20, 60], "hole_width_range": [20, 60]}}], {},
        [("large_holes", f"{POLICY}[2] CoarseDropout"),
         ("pixels_of_larger_images", f"{POLICY}[0] Affine"),
         ("pixels_of_larger_images", f"{POLICY}[1] MotionBlur")],
    ),
    "colours of grey images": (
        SYMBOLS, ["ChannelShuffle", {"ColorJitter": {"brightness": 0, "contrast": [1, 1]}},
                  {"Affine": {"rotate": [-9, 9], "p": 1.0}}], {},
        [("colour_on_grey", f"{POLICY}[0] ChannelShuffle"),
         ("colour_on_grey", f"{POLICY}[1] ColorJitter")],
    ),
    "strong steps stacked": (
        PHOTOS,
        [{"Solarize": {"p": 1.0}}, {"Posterize": {"num_bits": 1, "p": 1.0}},
         {"GaussNoise": {"std_range": [0.5, 0.9], "p": 1.0}}, {"ChannelShuffle": {"p": 1.0}}], {},
        [("clipped", POLICY), ("low_similarity", POLICY)],
    ),
    "far too bright and jagged": (
        PHOTOS,
        [{"RandomBrightnessContrast": {"brightness_limit": [0.5, 0.9], "p": 1.0}},
         {"Affine": {"rotate": [-9, 9], "interpolation": 0}}], {},
        [("nearest_interpolation", f"{POLICY}[1] Affine"), ("clipped", POLICY)],
    ),
    "blurred": (
        SYMBOLS, [{"GaussianBlur": {"blur_limit": 0, "sigma_limit": [2, 3]}}], {},
        [("blurred", POLICY)],
    ),
    "depth that no step keeps": (
        SCANS, [{"Affine": {"rotate": [-9, 9], "p": 1.0}}, "RandomGamma"], {},
        [("depth_lost", POLICY)],
    ),
    "constants of 16 bits for 12": (
        DETECTOR, ["RandomBrightnessContrast", {"CoarseDropout": {"fill": 128, "p": 0.9}}], {},
        [("constants_on_16_bits", f"{POLICY}[0] RandomBrightnessContrast"),
         ("constants_on_16_bits", f"{POLICY}[1] CoarseDropout"),
         ("low_similarity", POLICY)],
    ),
}  # fmt: skip
OWN = YAML(typ="safe").load(ROOT / "params.yaml")["augment"]
GOOD: dict[str, tuple[Kind, Any, dict[str, Any]]] = {
    "photos": (
        PHOTOS,
        ["HorizontalFlip", {"Affine": {"rotate": [-15, 15], "scale": [0.9, 1.1]}},
         {"RandomResizedCrop": {"size": [64, 64], "scale": [0.5, 1.0], "p": 1.0}},
         "ColorJitter", {"GaussNoise": {"std_range": [0.02, 0.05]}}, "CoarseDropout"], {},
    ),
    "the project's own": (SYMBOLS, OWN.pop("policy"), OWN),
    "scans": (
        SCANS,
        ["HorizontalFlip", {"Affine": {"rotate": [-10, 10], "translate_percent": [-0.05, 0.05]}},
         {"RandomBrightnessContrast": {"brightness_limit": 0.1, "contrast_limit": 0.1, "p": 0.9}},
         {"GaussianBlur": {"p": 0.2}}], {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_policies(name: str, found: Any) -> None:
    kind, policy, block, expected = BAD[name]
    assert [(each.rule, each.place) for each in found(kind, policy, **block)] == expected


@pytest.mark.parametrize("name", GOOD)
def test_good_policies(name: str, found: Any) -> None:
    kind, policy, block = GOOD[name]
    assert found(kind, policy, **block) == []


def test_rules_that_look_at_images_are_for_the_plan_or_where_they_fail(
    found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, policy, block, _ = BAD["strong steps stacked"]
    off = dict.fromkeys(sample_rules.RULES, "off")
    with monkeypatch.context() as patched:
        patched.setattr(sample_rules, "sample", None)  # no image is read
        assert found(kind, policy, sampled=False, **block) == []
        assert found(kind, policy, lint=off, **block) == []
        quality = {"encoding": {"quality": 50}}
        [finding] = found(kind, policy, sampled=False, **quality)
        assert finding.why.endswith("are compressed again at quality 50")
    with pytest.raises(UserError, match="mean similarity to their sources is"):
        found(kind, policy, sampled=False, lint={"low_similarity": "fail"}, **block)
    with pytest.raises(
        UserError, match=r" dB \(mean PSNR of 8 made as a sample\); set quality: 95"
    ):
        found(kind, policy, sampled=False, lint={"jpeg_over_jpeg": "fail"}, **quality)


def test_variants_that_a_gate_draws_again_are_no_finding(found: Any) -> None:
    for name, gates in (
        ("blurred", {"sharpness": {"min": 0.1}}),
        ("far too bright and jagged", {"clipped_high": {"max": 0.3}}),
    ):
        kind, policy, block, _ = BAD[name]
        assert len(found(kind, policy[:1], **block)) == 1
        assert found(kind, policy[:1], gates=gates, **block) == []


def test_a_rule_that_fails_ends_the_plan_before_a_variant_is_made(
    found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_rules, "sample", None)
    with pytest.raises(UserError) as error:
        found(PHOTOS, [{"Rotate": {"limit": 90, "p": 1.0}}], lint={"far_rotation": "fail"})
    assert str(error.value) == (
        f"{POLICY}[0] Rotate: turns by up to 90 degrees; if images have an upside, "
        "set limit: [-30, 30] (lint: far_rotation)"
    )


def test_what_is_written_instead_is_found_good(found: Any) -> None:
    """Of all policies that are bad for their geometry."""
    border = {"Rotate": {"limit": 25, "border_mode": 4, "p": 1.0}}
    crop = {"RandomResizedCrop": {"size": [64, 64], "scale": [0.35, 1.0], "p": 1.0}}
    run = [{"Affine": {"rotate": [-9, 9], "p": 1.0}}, "Perspective", "GaussNoise"]
    assert found(PHOTOS, ["RandomBrightnessContrast", border]) == []
    assert found(PHOTOS, [crop]) == found(PHOTOS, run) == []
