"""A policy followed step by step, by hand: what its transforms do, and how states are merged."""

import math
from typing import Any

import pytest

from tasks.capacity.follow import Distribution, Effect, Follower, _merge
from tasks.capacity.states import OneColour, State
from tasks.variants.policy import build_transforms

SOURCE = State((5, 4))
MIRROR = State((5, 4), flipped=(False, True))
CROP = {"RandomCrop": {"height": 6, "width": 2, "p": 0.25}}  # 5 rows are too few
HUE = {"HueSaturationValue": {"val_shift_limit": 0, "p": 0.8}}
HOLE = {"CoarseDropout": {"hole_height_range": [5, 9], "hole_width_range": [4, 9], "p": 0.5}}
ONE_FLIP = {"SomeOf": {"transforms": [{"HorizontalFlip": {"p": 1.0}}], "n": 1, "p": 0.25}}


def followed(policy: list[Any], start: State) -> tuple[Distribution, list[Effect]]:
    follower = Follower(build_transforms(policy))
    return follower.follow(start), follower.effects


@pytest.mark.parametrize(
    ("policy", "start", "effects"),
    [
        ([], SOURCE, []),
        (["HorizontalFlip"], SOURCE, [Effect(1)]),
        ([{"HorizontalFlip": {"p": 0}}], SOURCE, [Effect(0)]),
        ([HUE], State((5, 4), grey=3), [Effect(1, unchanged=1)]),
        # a quarter of the shorter side is enough for a blur, half of it for a shift
        ([{"Blur": {"blur_limit": [3, 5]}}], State((30, 19)), [Effect(1, beyond=1)]),
        ([{"Blur": {"blur_limit": [3, 5]}}], State((30, 20)), [Effect(1)]),
        ([{"Affine": {"translate_px": 3}}], State((9, 5)), [Effect(1, beyond=1)]),
        ([{"Affine": {"translate_px": 3}}], State((9, 6)), [Effect(1)]),
        ([{"Pad": {"padding": 5}}], SOURCE, [Effect(1, beyond=1)]),
        ([{"Pad": {"padding": 5}}], State((5, 5)), [Effect(1)]),
        # what failed reaches no other step
        ([CROP, "HorizontalFlip"], SOURCE, [Effect(1, failing=1), Effect(0.75)]),
        # what is of one colour already is left as it is by a flip
        ([HOLE, "VerticalFlip"], SOURCE, [Effect(1, covered=1), Effect(1, unchanged=0.5)]),
        (
            [{"OneOf": {"transforms": [HUE, CROP]}}, "VerticalFlip"],
            State((5, 4), grey=1),
            [Effect(1, unchanged=1), Effect(1, failing=1), Effect(1 - 0.5 * 0.25 / (0.8 + 0.25))],
        ),
        (
            [{"SomeOf": {"transforms": [HOLE, HOLE], "n": 2}}],
            SOURCE,
            # half of what reaches the second is of one colour already
            [Effect(1, covered=1), Effect(1, covered=0.5, unchanged=0.5)],
        ),
    ],
)
def test_what_each_transform_does_where_it_is_applied(
    policy: list[Any], start: State, effects: list[Effect]
) -> None:
    found = followed(policy, start)[1]
    assert found == [pytest.approx(effect) for effect in effects]


@pytest.mark.parametrize(
    ("policy", "mirrored"),
    [
        ([{"HorizontalFlip": {"p": 0.25}}], 0.25),
        ([{"HorizontalFlip": {"p": 0.25}}] * 2, 2 * 0.25 * 0.75),
        ([{"Sequential": {"transforms": ["HorizontalFlip"], "p": 0.5}}], 0.25),
        # SomeOf asks its own p even where OneOf chose it
        ([{"OneOf": {"transforms": [ONE_FLIP], "p": 1.0}}], 0.25),
        # OneOf applies what it chose whatever its p, which weighs its choice
        (
            [
                {
                    "OneOf": {
                        "transforms": [
                            {"HorizontalFlip": {"p": 0.1}},
                            {"NoOp": {"p": 0.3}},
                        ],
                        "p": 1.0,
                    }
                }
            ],
            0.25,
        ),
        (
            [{"SomeOf": {"transforms": ["HorizontalFlip", "NoOp"], "n": 1, "p": 1.0}}],
            0.25,
        ),
    ],
)
def test_the_probabilities_of_two_states(policy: list[Any], mirrored: float) -> None:
    assert followed(policy, SOURCE)[0] == pytest.approx({SOURCE: 1 - mirrored, MIRROR: mirrored})


def test_pictures_of_a_size_are_merged_and_others_are_not() -> None:
    kept = {
        SOURCE: 0.1,
        MIRROR: 0.1,
        State((5, 4), origin="continuous", pictures=math.inf): 0.1,
        State(None, origin="failed", pictures=0): 0.1,
    }
    pictures = {
        State((5, 4), origin="a", pictures=3): 0.1,
        State((5, 4), origin="b", pictures=4, top=(0, 1)): 0.2,
        State((5, 4), origin="b", pictures=4, grey=3): 0.1,
        State((4, 4), origin="b", pictures=10**18): 0.1,
        State((4, 4), origin=OneColour("0")): 0.1,
    }
    merged = _merge({**kept, **pictures})
    assert {state: p for state, p in merged.items() if state in kept} == kept
    others = {
        (state.size, state.grey): (state.pictures, p)
        for state, p in merged.items()
        if state not in kept
    }
    assert len(merged) == len(kept) + len(others)
    assert others == {
        ((5, 4), 0): (3 + 4 * 2, pytest.approx(0.3)),
        ((5, 4), 3): (4, 0.1),
        ((4, 4), 0): (math.inf, pytest.approx(0.2)),
    }
