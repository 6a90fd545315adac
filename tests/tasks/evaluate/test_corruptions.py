"""Corruptions: stronger with each severity, decided by the image alone, at home at any size."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import nn

from tasks.evaluate.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from tasks.evaluate.robustness import (
    Robustness,
    choose_images,
    curves,
    judge_corrupted,
    summarise_robustness,
    trained_corruptions,
)
from tasks.model.images import as_input
from tasks.variants.params import AugmentParams

each_corruption = pytest.mark.parametrize("name", CORRUPTIONS)


def photo(size: int) -> np.ndarray:
    """A real photo as the network takes it, uint8 (1, 3, size, size)."""
    return as_input(load_sample_images().images[0], size)[None]


def changes(size: int, name: str) -> Iterator[float]:
    """The mean change of a pixel, in grey levels, at each severity."""
    image = photo(size)
    for severity in range(1, SEVERITIES + 1):
        made = corrupt(image, name, severity)
        assert made.shape == image.shape and made.dtype == np.uint8
        yield float(np.abs(made.astype(float) - image).mean())


@each_corruption
@pytest.mark.parametrize("size", [32, 64])
def test_a_higher_severity_changes_more(name: str, size: int) -> None:
    found = list(changes(size, name))
    # JPEG's tables are no steady function of quality, and blocks of pixels do not fit evenly
    least = 0.7 if name in ("jpeg_compression", "pixelate") else 1
    assert all(later > least * before for before, later in pairwise(found))
    assert found[0] > 0 and found[-1] > 1.15 * found[0]


@each_corruption
def test_images_of_8_pixels_are_not_erased(name: str) -> None:
    image = photo(8)
    made = corrupt(image, name, SEVERITIES)
    assert np.corrcoef(image.ravel(), made.ravel())[0, 1] > 0.8


@each_corruption
def test_an_image_is_the_same_alone_and_among_others(name: str) -> None:
    image = photo(16)
    others = np.concatenate([255 - image, image, image])
    made = corrupt(others, name, 3)
    assert (made[1] == corrupt(image, name, 3)[0]).all()
    assert (made[2] == made[1]).all()


def test_strengths_are_the_published_ones_at_their_sizes_and_lengths_follow_the_size() -> None:
    noise, blur = CORRUPTIONS["gaussian_noise"], CORRUPTIONS["defocus_blur"]
    assert [noise.strength(5, size) for size in (8, 32, 224, 500)] == pytest.approx(
        [0.10, 0.10, 0.38, 0.38]
    )
    assert [blur.strength(5, size) for size in (8, 32, 224, 448)] == pytest.approx(
        [0.375, 1.5, 10, 20]
    )
    middle = np.sqrt(32 * 224)  # half way, by the logarithm
    assert noise.strength(1, middle) == pytest.approx(np.sqrt(0.04 * 0.08))


def test_brightness_and_contrast_by_hand() -> None:
    grey = np.full((1, 3, 32, 32), 100, np.uint8)
    assert (corrupt(grey, "brightness", 4) == 100 + 0.2 * 255).all()
    assert (corrupt(grey, "contrast", 5) == 100).all()
    halves = grey.copy()
    halves[..., 16:] = 200
    assert np.unique(corrupt(halves, "contrast", 3)).tolist() == [130, 170]


def test_a_corruption_that_the_policy_makes_is_not_held_out() -> None:
    def trained(*policy: object) -> tuple[str, ...]:
        return trained_corruptions(AugmentParams(variants_per_image=1, policy=list(policy)))

    assert trained("HorizontalFlip") == ()
    assert trained({"GaussianBlur": {}}) == ("defocus_blur",)
    within = {"OneOf": {"transforms": [{"MotionBlur": {}}, {"ImageCompression": {}}]}}
    assert trained(within) == ("motion_blur", "jpeg_compression")
    assert trained("trivialaugment") == ("brightness", "contrast")


class Threshold(nn.Module):
    """Class 1 where the mean is above 100."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = images.float().mean(dim=(1, 2, 3)) - 100
        return torch.stack([-bright, bright], 1)


def test_a_network_that_knows_only_light_fails_under_brightness_alone() -> None:
    images = np.concatenate([np.full((4, 3, 32, 32), 90), np.full((4, 3, 32, 32), 200)])
    targets = np.repeat([0, 1], 4)
    clean, corrupted = judge_corrupted(Threshold(), images.astype(np.uint8), targets)
    assert clean.all()
    found = Robustness(clean, corrupted, ("contrast",), np.arange(8))
    numbers = summarise_robustness(found)
    assert numbers["by_corruption"]["brightness"] == 0.5
    assert numbers["by_corruption"]["gaussian_noise"] == 1.0
    assert (numbers["images"], numbers["corruptions"], numbers["clean_accuracy"]) == (8, 8, 1.0)
    assert numbers["accuracy"] == round(1 - 0.5 / 8, 6)
    rows = curves(found, 1.0)
    assert rows["severity"].tolist() == [0, 1, 2, 3, 4, 5]
    assert rows["brightness"].tolist() == [1, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert rows["mean"].tolist() == [1, *[round(1 - 0.5 / 8, 6)] * 5]


def test_corrupted_images_that_all_fare_alike_have_the_interval_of_so_many_images() -> None:
    right = np.ones(30, bool)
    found = Robustness(right, np.ones((9, 5, 30), bool), (), np.arange(30))
    numbers = summarise_robustness(found)
    assert (numbers["accuracy_low"], numbers["accuracy_high"]) == (0.886487, 1.0)  # not 1 to 1
    one_class = np.broadcast_to(np.arange(30) < 6, (9, 5, 30))  # whatever is done with the images
    numbers = summarise_robustness(Robustness(right, one_class, (), np.arange(30)))
    assert (numbers["accuracy_low"], numbers["accuracy_high"]) == (0.095051, 0.373057)


def test_the_interval_under_corruptions_holds_the_truth() -> None:
    generator, holds = np.random.default_rng(0), 0
    for _ in range(200):
        ease = generator.beta(4, 1, 100)  # of images; their mean is 0.8
        corrupted = generator.random((9, 5, 100)) < ease
        found = summarise_robustness(Robustness(ease > 0, corrupted, (), np.arange(100)))
        holds += found["accuracy_low"] <= 0.8 <= found["accuracy_high"]
    assert 0.92 <= holds / 200 <= 0.99


def test_without_corruptions_the_curve_is_the_clean_accuracy() -> None:
    rows = curves(None, 0.75)
    assert rows["severity"].tolist() == [0] and rows["mean"].tolist() == [0.75]


def test_the_images_are_those_with_the_lowest_hashes_whatever_their_order() -> None:
    test = pd.DataFrame({"source_id": ["c", "a", "d", "b"]})
    assert choose_images(test, 2).tolist() == [1, 3]
    assert choose_images(test, 9).tolist() == [0, 1, 2, 3]
    assert choose_images(test, 0).tolist() == []
