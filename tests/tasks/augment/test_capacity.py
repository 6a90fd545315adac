"""Capacity against an enumeration: many variants of a tiny image are drawn, and their pixels counted."""

import numpy as np
import pandas as pd
import pytest

from tasks.augment.capacity import capacity, check_capacity
from tasks.augment.params import AugmentParams
from tasks.augment.policy import Policy
from tasks.errors import UserError

DRAWS = 400


def enumerate_images(policy: list, height: int, width: int) -> set[bytes]:
    built = Policy(policy)
    image = np.random.default_rng(0).permutation(height * width * 3).astype(np.uint8).reshape(height, width, 3)
    drawn = (built.apply(image, seed)[0] for seed in range(DRAWS))
    return {str(new.shape).encode() + new.tobytes() for new in drawn}


@pytest.mark.parametrize(
    ("policy", "shape", "count"),
    [
        ([], (3, 3), 1),
        (["HorizontalFlip"], (3, 3), 2),
        ([{"HorizontalFlip": {"p": 1.0}}], (3, 3), 1),
        ([{"HorizontalFlip": {"p": 0.0}}], (3, 3), 1),
        (["HorizontalFlip", "VerticalFlip"], (3, 4), 4),
        (["HorizontalFlip", "VerticalFlip", "Transpose", "RandomRotate90"], (4, 4), 8),
        (["D4", "HorizontalFlip"], (4, 4), 8),
        (["RandomRotate90"], (3, 4), 4),
        (["RandomRotate90", "RandomRotate90"], (3, 4), 4),
        (["HorizontalFlip"], (3, 1), 1),
        (["D4"], (1, 1), 1),
        (["D4"], (1, 4), 4),
        ([{"OneOf": {"transforms": ["HorizontalFlip", "VerticalFlip"], "p": 1.0}}], (3, 3), 2),
        ([{"OneOf": {"transforms": ["HorizontalFlip", "VerticalFlip"], "p": 0.5}}], (3, 3), 3),
        ([{"SomeOf": {"transforms": ["HorizontalFlip", "VerticalFlip"], "n": 2}}], (3, 4), 4),
        ([{"SomeOf": {"transforms": ["HorizontalFlip", "VerticalFlip", "Transpose"], "n": 1, "p": 0.5}}], (3, 4), 4),
        ([{"SomeOf": {"transforms": [{"RandomRotate90": {"p": 1.0}}], "n": 1}}], (3, 3), 4),
        ([{"Sequential": {"transforms": ["HorizontalFlip", "VerticalFlip"], "p": 0.5}}], (3, 3), 4),
    ],
)
def test_exact_capacities_are_what_an_enumeration_finds(policy: list, shape: tuple[int, int], count: int) -> None:
    found = capacity(policy, *shape)
    assert (found.count, found.exact) == (count, True)
    assert len(enumerate_images(policy, *shape)) == count
    assert sum(found.outcomes) == pytest.approx(1)


@pytest.mark.parametrize("policy", [["InvertImg", "HorizontalFlip"], ["ToGray", "InvertImg"], ["Equalize"]])
def test_bounds_are_marked_and_never_exceeded(policy: list) -> None:
    found = capacity(policy, 3, 3)
    assert found.count is not None and not found.exact
    assert len(enumerate_images(policy, 3, 3)) <= found.count


def test_a_continuous_step_has_no_bound_but_may_leave_the_image_untouched() -> None:
    found = capacity([{"Rotate": {"limit": 10, "p": 0.75}}], 8, 8)
    assert (found.count, found.new(), found.untouched) == (None, None, 0.25)
    # 8 draws: the untouched image once with 1 - 0.75^8, and 6 new ones
    assert found.expected_distinct(8) == pytest.approx(1 - 0.75**8 + 6)


def test_expected_distinct_of_a_flip() -> None:
    # two outcomes of one half each: after n draws 2 * (1 - 0.5^n)
    assert capacity(["HorizontalFlip"], 8, 8).expected_distinct(3) == pytest.approx(1.75)


def test_more_distinct_variants_than_there_are_is_an_error_only_where_it_is_certain() -> None:
    rows = pd.DataFrame({"height": [8, 4], "width": [8, 6], "file_name": ["a.png", "b.png"]})

    def check(policy: list, planned: int, distinct: bool = True) -> None:
        params = AugmentParams(policy=policy, variants_per_image=planned, distinct=distinct)
        check_capacity(rows, pd.Series([0, planned]), params)

    check(["HorizontalFlip"], 1)
    check(["HorizontalFlip"], 2, distinct=False)
    check(["InvertImg"], 9)
    with pytest.raises(UserError) as caught:
        check(["HorizontalFlip"], 2)
    assert str(caught.value) == (
        "params.yaml augment.policy: 2 distinct variants are asked for, and it makes 1 of an image of 6 x 4 "
        "(b.png); ask for fewer, widen the policy or set augment.distinct: false"
    )
