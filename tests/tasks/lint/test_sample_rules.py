"""What a few variants look like: shares and means over them, against bounds."""

from typing import Any

import numpy as np
import pytest

from tasks.lint.sample_rules import blurred, clipped, jpeg_over_jpeg, low_similarity
from tasks.lint.samples import Sampled, clipped_share
from tasks.pixels.preprocess import AS_DECODED
from tasks.variants.params import AugmentParams, Encoding
from tasks.variants.quality.measures import Baseline, Measures
from tasks.variants.recipe import ClassPolicy, Recipes

POLICY = ClassPolicy(
    ["Solarize", {"Blur": {"p": 0}}, "InvertImg"], "params.yaml augment.policy", None
)


def test_variants_that_look_like_other_images() -> None:
    samples = [Sampled(0.5, None), Sampled(0.3, None), Sampled(None, None)]
    [finding] = low_similarity(POLICY, samples)
    assert finding.text == (
        "params.yaml augment.policy: Solarize, InvertImg: of 2 variants made as a sample, the mean "
        "similarity to their sources is 0.40, where 1 is equal and 0 another image; weaken the "
        "strongest of them, or put them into one OneOf: {transforms: [...]} (lint: low_similarity)"
    )
    assert low_similarity(POLICY, [Sampled(0.6, None), Sampled(0.4, None)]) == []
    assert low_similarity(POLICY, [Sampled(-1.0, None), Sampled(-0.9, None)]) == []  # inverted
    assert low_similarity(POLICY, [Sampled(None, None)]) == low_similarity(POLICY, []) == []


def test_a_published_policy_is_as_strong_as_it_is_meant_to_be() -> None:
    samples = [Sampled(0.3, None)]
    published = POLICY._replace(steps=["autoaugment"])
    assert low_similarity(published, samples) == []
    more = POLICY._replace(steps=["autoaugment", "Solarize"])
    assert len(low_similarity(more, samples)) == 1


def test_jpeg_of_jpeg_with_what_it_leaves() -> None:
    text = (
        "params.yaml augment.encoding: variants of JPEG files are compressed again at quality {}, "
        "which leaves {} dB (mean PSNR of 2 made as a sample); set {} (lint: jpeg_over_jpeg)"
    )
    good, bad = [Sampled(1, 40.0), Sampled(1, 42.0)], [Sampled(1, 30.0), Sampled(1, 31.0)]
    for samples, quality, shown, instead in (
        (bad, 80, "30.5", "quality: 95"), (good, 89, "41.0", "quality: 95"),
        (bad, 96, "30.5", "format: png"),
    ):  # fmt: skip
        [finding] = jpeg_over_jpeg(samples, Encoding(quality=quality))
        assert finding.text == text.format(quality, shown, instead)
    assert jpeg_over_jpeg(good, Encoding(quality=90)) == []
    assert jpeg_over_jpeg([Sampled(1, None)], Encoding(quality=9)) == []


def clip(*shares: float | None, steps: tuple[str, ...] = ("Solarize",)) -> list[Sampled]:
    """Variants of which such shares are clipped."""
    return [Sampled(1, None, share, steps=steps) for share in shares]


def sharp(*values: float | None, share: float = 0.0) -> list[Sampled]:
    """Variants that are so sharp."""
    return [Sampled(1, None, share, value, ("GaussianBlur",)) for value in values]


def test_what_is_clipped_in_a_tenth_of_variants() -> None:
    [finding] = clipped(POLICY, clip(0.31, 0.9, *[0.3] * 18, None))
    assert finding.text == (
        "params.yaml augment.policy: Solarize: of 20 variants made as a sample, 2 have become "
        "black or white in more than 30% of what they show, and its detail is lost; weaken the "
        "strongest of them, or draw such variants again, augment.gates: {clipped_low: {max: 0.3}, "
        "clipped_high: {max: 0.3}} (lint: clipped)"
    )
    assert clipped(POLICY, clip(0.31, 0.9, *[0.3] * 19)) == clipped(POLICY, clip(1.0)) == []
    assert clipped(POLICY, clip(None)) == clipped(POLICY, []) == []


def test_what_is_blurred_in_a_third_of_variants() -> None:
    [finding] = blurred(POLICY, sharp(0.09, 0.01, 0.1, 1, 2, 3, None))
    assert finding.text == (
        "params.yaml augment.policy: GaussianBlur: of 6 variants made as a sample, 2 have less "
        "than 10% of the sharpness of their sources; set sigma_limit: [0.5, 1.0], or draw such "
        "variants again, augment.gates: {sharpness: {min: 0.1}} (lint: blurred)"
    )
    assert blurred(POLICY, sharp(0.09, 0.01, *[1] * 5)) == blurred(POLICY, sharp(0)) == []
    assert blurred(POLICY, sharp(0, 0, share=0.4)) == []  # see clipped()
    assert blurred(POLICY, sharp(None)) == blurred(POLICY, []) == []


def test_the_steps_that_did_it_are_those_that_all_have() -> None:
    bright, shot, flip = "RandomBrightnessContrast", "ShotNoise", ("autoaugment",)
    samples = [*clip(1.0, steps=(shot, bright)), *clip(1.0, steps=(bright,))]
    [finding] = clipped(POLICY, samples)
    assert finding.why.startswith(f"{bright}: of 2 variants")
    assert finding.instead.startswith("set brightness_limit: 0.2 and contrast_limit: 0.2, or draw")
    [finding] = clipped(POLICY, [*clip(1.0, steps=(shot,)), *clip(1.0, steps=(bright,))])
    assert finding.why.startswith(f"{shot}, {bright}: of 2 variants")
    assert finding.instead.startswith("weaken the strongest of them, or draw")
    [finding] = clipped(POLICY, clip(1.0, 1.0, steps=()))
    assert finding.why.startswith("of 2 variants")
    assert clipped(POLICY, clip(1.0, 1.0, steps=flip)) == []  # strong on purpose


def share(pixels: np.ndarray, **step: Any) -> float | None:
    """How much of a variant is clipped by a step that is always applied."""
    [[name, arguments]] = step.items()
    params = AugmentParams(variants_per_image=1, policy=[{name: {**arguments, "p": 1}}])
    applied = Recipes.from_params(params, AS_DECODED).general.build_policy().apply(pixels, 0)
    source = Baseline(pixels)
    return clipped_share(applied, Measures(applied.pixels, applied.geometry, source), source)


DIGIT = np.pad(np.full((12, 4), 255, np.uint8), ((8, 8), (12, 12)))  # white on black, (28, 28)
GREY = np.full((40, 40), 100, np.uint8)


def test_an_inversion_of_digits_clips_nothing() -> None:
    assert share(DIGIT, InvertImg={}) == share(255 - DIGIT, InvertImg={}) == 0


@pytest.mark.parametrize(("limit", "expected"), [(0.9, 1.0), (-0.9, 1.0), (0.1, 0.0)])
def test_brightness_clips(limit: float, expected: float) -> None:
    limits = {"brightness_limit": [limit, limit], "contrast_limit": 0}
    assert share(GREY, RandomBrightnessContrast=limits) == expected


def test_what_fills_clips_nothing() -> None:
    turn = {"rotate": [40, 40], "border_mode": 0}
    assert share(GREY, Affine=turn) == pytest.approx(0, abs=0.02)
    size = {"hole_height_range": [0.8, 0.8], "hole_width_range": [0.8, 0.8]}
    assert share(GREY, CoarseDropout=size) == pytest.approx(0, abs=1e-9)
    assert share(GREY, GridDropout={"ratio": 0.7, "unit_size_range": [2, 3]}) is None


def test_a_crop_to_a_white_background_clips_nothing() -> None:
    half = GREY.copy()
    half[:20] = 255
    crop = {"x_max": 40, "y_max": 16}
    assert share(half, Crop=crop) == pytest.approx(0, abs=1e-9)
