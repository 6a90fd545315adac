"""The published policies against torchvision's implementation on PIL images."""

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from torchvision.transforms import (
    AutoAugment,
    AutoAugmentPolicy,
    InterpolationMode,
    RandAugment,
    TrivialAugmentWide,
)
from torchvision.transforms.autoaugment import _apply_op

from tasks.capacity.count import capacity
from tasks.variants.policy import Policy, build_step, to_json_value
from tasks.variants.published_policies import (
    GRADED,
    OPERATIONS,
    PERFORM,
    SIGNED,
    SIGNS,
    SUB_POLICIES,
    WIDE,
    matrix_of,
    operation_at,
    operation_sequences,
    scaled_magnitudes,
    standard_magnitudes,
)
from tasks.variants.published_policies import sub_policies as pairs_of
from tests.imports import ROOT

PHOTO = Image.fromarray(load_sample_image("china.jpg")[100:197, 200:331])  # 131 x 97
GREY = PHOTO.convert("L")
SIZES = ((32, 32), (97, 131), (224, 224), (331, 662), (480, 640))


@pytest.mark.parametrize("image", [PHOTO, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("name", PERFORM)
def test_an_operation_gives_torchvisions_pixels(name: str, image: Image.Image) -> None:
    steps = [(WIDE, level, 31) for level in range(31)] + [
        (standard_magnitudes(97, 131), level, 10) for level in range(10)
    ]
    done = [operation_at(name, *step, negative) for step in steps for negative in (False, True)]
    for one in {str(one): one for one in done}.values():
        magnitude = one.get("magnitude", 0.0)
        theirs = _apply_op(image, name, magnitude, InterpolationMode.NEAREST, None)
        assert np.array_equal(PERFORM[name](image, magnitude), theirs), one


def check_space(
    theirs: dict[str, Any], strongest: dict[str, float], bins: int, but: tuple[tuple[str, int], ...]
) -> None:
    assert {name for name, (_, signed) in theirs.items() if signed} == set(SIGNED)
    for name in GRADED:
        for level in range(bins):
            value = float(theirs[name][0][level])
            expected = (
                int(value) if name.startswith("Translate") and (name, level) not in but else value
            )
            assert operation_at(name, strongest, level, bins, False)["magnitude"] == pytest.approx(
                expected, abs=2e-5
            )


def test_magnitudes_are_torchvisions() -> None:
    wide = TrivialAugmentWide()._augmentation_space(31)
    # Half of 32 pixels is 16; torchvision's single precision makes 15.999999 of it, and 15 pixels.
    check_space(wide, WIDE, 31, but=(("TranslateX", 15), ("TranslateY", 15)))
    assert tuple(wide) == OPERATIONS
    for size in SIZES:
        check_space(
            RandAugment()._augmentation_space(31, size), standard_magnitudes(*size), 31, but=()
        )
        check_space(
            AutoAugment()._augmentation_space(10, size), standard_magnitudes(*size), 10, but=()
        )
    assert tuple(RandAugment()._augmentation_space(31, (32, 32))) == OPERATIONS


@pytest.mark.parametrize("policy", SUB_POLICIES)
def test_sub_policies_are_torchvisions(policy: str) -> None:
    theirs = AutoAugment(AutoAugmentPolicy(policy)).policies
    assert pairs_of(policy) == [
        [(name, p, level or 0) for name, p, level in pair] for pair in theirs
    ]


def drawn(step: Any, seeds: int = 2800) -> list[list[dict[str, Any]]]:
    policy, image = Policy([step]), np.zeros((64, 64), np.uint8)
    return [policy.apply(image, 2**40 + seed)[1][0]["operations"] for seed in range(seeds)]


def test_trivialaugment_draws_one_of_all_evenly() -> None:
    counts = Counter(one["name"] for (one,) in drawn("trivialaugment"))
    assert set(counts) == set(OPERATIONS)
    assert all(
        120 < count < 290 for count in counts.values()
    )  # 200 each; 6 standard deviations are 82
    signs = Counter(
        one["magnitude"] > 0 for (one,) in drawn("trivialaugment") if one["name"] == "Rotate"
    )
    assert 0.3 < signs[True] / signs.total() < 0.7


def test_scaled_translations_by_hand() -> None:
    """By up to 10 pixels of 32, by 70 of 224, cut to whole ones; all else as the Wide space."""

    def shifts(name: str, size: tuple[int, int], *levels: int) -> list[int]:
        strongest = scaled_magnitudes(*size)
        return [operation_at(name, strongest, n, 31, True)["magnitude"] for n in levels]

    assert shifts("TranslateX", (32, 32), 0, 3, 15, 30) == [0, -1, -5, -10]
    assert shifts("TranslateY", (224, 224), 3, 15, 30) == [-7, -35, -70]
    assert shifts("TranslateX", (28, 28), 15, 30) == [-4, -8]  # 4.375 and 8.75
    assert shifts("TranslateX", (64, 32), 30) == [-10]
    assert shifts("TranslateY", (64, 32), 30) == [-20]
    others = set(GRADED) - {"TranslateX", "TranslateY"}
    assert {name: scaled_magnitudes(28, 28)[name] for name in others} == {
        name: WIDE[name] for name in others
    }


def test_scaled_trivialaugment_empties_no_image_of_28_pixels() -> None:
    """Of each operation that it can draw something of the image is left."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8))
    step = build_step({"trivialaugment": {"scaled": True}}, "policy")
    every = [one for (one,) in filter(None, operation_sequences(step, 28, 28))]
    assert {name for name, _ in every} == set(OPERATIONS) - {"Identity"}
    for name, magnitude in every:
        made = np.array(PERFORM[name](image, magnitude))
        assert made.min() < made.max(), (name, magnitude)
    shifted = [magnitude for name, magnitude in every if name.startswith("Translate")]
    assert (min(shifted), max(shifted)) == (-8, 8)
    plain = operation_sequences(build_step("trivialaugment", "policy"), 28, 28)
    assert max(m for ((name, m),) in filter(None, plain) if name == "TranslateX") == 32


def test_scaled_trivialaugment_draws_in_the_same_order() -> None:
    """Operation, magnitude, sign: where no pixel is moved, the pixels are the published ones."""
    image = np.array(PHOTO)
    for seed in range(30):
        pixels, (applied,), _ = Policy([{"trivialaugment": {"scaled": True}}]).apply(image, seed)
        published, (their,), _ = Policy(["trivialaugment"]).apply(image, seed)
        (one,), (other,) = applied["operations"], their["operations"]
        assert one["name"] == other["name"]
        if not one["name"].startswith("Translate"):
            assert one == other
            assert np.array_equal(pixels, published)


def test_randaugment_draws_n_of_magnitude_m() -> None:
    found = drawn({"randaugment": {"n": 3, "m": 10}}, 700)
    assert all(len(operations) == 3 for operations in found)
    rotations = {
        one["magnitude"] for operations in found for one in operations if one["name"] == "Rotate"
    }
    assert rotations == {-10.0, 10.0}
    assert {one["name"] for operations in found for one in operations} == set(OPERATIONS)


def test_autoaugment_draws_pairs_with_their_probabilities() -> None:
    found = [tuple(one["name"] for one in operations) for operations in drawn("autoaugment")]
    pairs = pairs_of("imagenet")
    expected = Counter()
    for (first, p, _), (second, q, _) in pairs:
        expected[first, second] += p * q
        expected[first,] += p * (1 - q)
        expected[second,] += (1 - p) * q
        expected[()] += (1 - p) * (1 - q)
    for names, weight in expected.items():
        share = weight / len(pairs)
        assert found.count(names) / len(found) == pytest.approx(
            share, abs=6 * (share / len(found)) ** 0.5
        ), names
    assert set(found) <= {names for names, weight in expected.items() if weight}


LIMITED = {
    "trivialaugment": 579,
    "randaugment": 506,
    **{
        f"autoaugment {policy}": most
        for policy, most in zip(SUB_POLICIES, (54, 107, 82), strict=True)
    },
}


@pytest.mark.parametrize("text", LIMITED)
def test_they_draw_from_as_few_possibilities_as_the_docs_say(text: str) -> None:
    name, _, policy = text.partition(" ")
    step = {name: {"policy": policy}} if policy else name
    walked = operation_sequences(build_step(step, "policy"), 64, 64)
    known = {
        tuple((name, to_json_value(magnitude)) for name, magnitude in applied): p
        for applied, p in walked.items()
    }
    assert len(known.keys() - {()}) == capacity([step], 64, 64).new() == LIMITED[text]
    assert sum(known.values()) == pytest.approx(1)
    found = Counter(tuple(filter(None, map(effect, operations))) for operations in drawn(step))
    assert set(found) <= set(known)
    assert len(found) > 0.6 * len(known)
    for applied, p in known.items():
        assert abs(found[applied] - 2800 * p) < 6 * (2800 * p) ** 0.5 + 5, applied
    assert f"{LIMITED[text]}" in (ROOT / "docs/policies.md").read_text(encoding="utf-8")


def effect(one: dict[str, Any]) -> tuple[str, Any] | None:
    """An operation as `outcomes` has it, if it has any effect."""
    name, magnitude = one["name"], one.get("magnitude")
    neutral = {"Identity": None, "Posterize": 8, "Solarize": 256}.get(name, 0)
    return None if magnitude == neutral else (name, magnitude)


@pytest.mark.parametrize(
    "step",
    [
        "trivialaugment",
        {"trivialaugment": {"scaled": True}},
        {"randaugment": {"n": 1, "m": 12}},
        "autoaugment",
    ],
)
def test_no_published_policy_makes_more_than_its_capacity(step: Any) -> None:
    image = np.random.default_rng(0).permutation(256)[:60].astype(np.uint8).reshape(4, 5, 3)
    for policy in (
        [step],
        [step, "HorizontalFlip"],
        [{"OneOf": {"transforms": [step, step], "p": 0.5}}],
    ):
        found, built = capacity(policy, 4, 5), Policy(policy)
        images = [built.apply(image, seed)[0].tobytes() for seed in range(1500)]
        assert not found.exact
        assert 1 < len(set(images)) <= found.count
        assert sum(p for p, _ in found.outcomes) == pytest.approx(1)
        untouched = images.count(image.tobytes()) / len(
            images
        )  # or an operation has no effect on this image
        assert untouched > found.untouched - 6 * (found.untouched / len(images)) ** 0.5


def test_too_many_combinations_have_no_bound_but_may_leave_the_image_untouched() -> None:
    found = capacity([{"randaugment": {"n": 14, "m": 9, "p": 0.75}}], 8, 8)
    assert (found.count, found.exact) == (None, True)
    # of 14 operations Identity alone does nothing: a shift by 150/331 x 8 x 9/30 is one pixel
    assert found.untouched == pytest.approx(0.25 + 0.75 / 14**14)
    # Identity, and the nine signed ones at magnitude 0; Posterize leaves 8 bits
    assert capacity([{"randaugment": {"n": 14, "m": 0}}], 8, 8).untouched == pytest.approx(
        (11 / 14) ** 14
    )


@pytest.mark.parametrize(
    "step",
    ["trivialaugment", {"trivialaugment": {"scaled": True}}, "randaugment", "autoaugment"],
)
def test_what_the_ledger_shows_is_what_was_done(step: Any) -> None:
    for seed in range(20):
        pixels, (applied,), _ = Policy([step]).apply(np.array(PHOTO), seed)
        image = PHOTO
        for one in applied["operations"]:
            image = _apply_op(
                image, one["name"], one.get("magnitude", 0.0), InterpolationMode.NEAREST, None
            )
        assert np.array_equal(pixels, image)


def test_by_hand() -> None:
    image = Image.fromarray(np.array([[10, 20], [30, 40]], np.uint8))
    assert np.array(PERFORM["TranslateX"](image, 1)).tolist() == [[0, 10], [0, 30]]
    assert np.array(PERFORM["TranslateY"](image, -1)).tolist() == [[30, 40], [0, 0]]
    assert np.array(PERFORM["Solarize"](image, 30.0)).tolist() == [[10, 20], [225, 215]]
    assert np.array(PERFORM["Posterize"](image, 4)).tolist() == [[0, 16], [16, 32]]
    assert np.array(PERFORM["Brightness"](image, -0.5)).tolist() == [[5, 10], [15, 20]]


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("size", [(40, 60), (41, 57)])
def test_the_matrix_of_an_operation_is_the_one_by_which_pillow_moves_pixels(
    name: str, size: tuple[int, int]
) -> None:
    """By nearest interpolation each pixel comes from at most half a pixel beside its origin."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.uint8)
    for level, negative in product(range(0, 31, 5), SIGNS):
        one = operation_at(name, standard_magnitudes(*size), level, 31, negative)
        matrix = matrix_of(one, *size)
        if matrix is None:
            assert not name.startswith(("Shear", "Translate", "Rotate"))
            continue
        across, down = (
            np.array(PERFORM[name](Image.fromarray(ramp + 1), one["magnitude"]), np.int64) - 1
            for ramp in (columns, rows)
        )
        y, x = np.nonzero(down >= 0)
        back = (np.linalg.inv(matrix) @ np.stack([x, y, np.ones(len(x))]))[:2]
        assert np.abs(back - np.stack([across[y, x], down[y, x]])).max() < 0.501
        assert len(x) > size[0] * size[1] / 5


def test_published_policies_know_where_their_pixels_come_from() -> None:
    image = np.array(PHOTO)
    found = [Policy([{"randaugment": {"n": 3}}]).apply(image, seed) for seed in range(9)]
    assert all(one.geometry.visible is not None for one in found)
    moved = [one for one in found if not np.array_equal(one.geometry.matrix, np.eye(3))]
    assert moved
    shown = [one.geometry.visible.max(axis=0) - one.geometry.visible.min(axis=0) for one in moved]
    assert all((size <= np.array(image.shape[1::-1])).all() for size in shown)
