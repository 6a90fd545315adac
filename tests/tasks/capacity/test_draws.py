"""The generator that counts: by hand, how many values each draw can have."""

import math

import numpy as np
import pytest

from tasks.capacity.draws import ContinuousError, CountingGenerator, count_draws
from tasks.variants.policy import build_transforms


@pytest.mark.parametrize(
    ("draw", "value", "ways"),
    [
        (lambda random: random.uniform(2.5, 2.5), 2.5, 1),
        (lambda random: random.uniform(2.5, 2.5, 3).tolist(), [2.5, 2.5, 2.5], 1),
        (lambda random: random.normal(4, 0), 4, 1),
        (lambda random: random.normal(4, 0, 2).tolist(), [4, 4], 1),
        (lambda random: random.randint(4, 6), 6, 3),
        (lambda random: random.randrange(5), 4, 5),
        (lambda random: random.randrange(3, 9, 2), 7, 3),
        (lambda random: random.choice([3, 9, 5]), 9, 3),
        (lambda random: random.choice(["b", "c", "a", "d"]), "b", 4),
        (lambda random: random.choice([(0, 1), (2, 0)]), (0, 1), 2),
        (lambda random: random.sample(range(5), 2), [0, 1], 10),
        (lambda random: random.shuffle([1, 2, 3]), None, 6),
        (lambda random: random.shuffle(np.array([1, 2, 1, 1])), None, 4),
        (lambda random: random.integers(0, 9), 0, 1),
        (lambda random: (random.randint(1, 2), random.choice([1, 2, 3])), (2, 3), 6),
    ],
)
def test_each_draw_has_so_many_values(draw, value, ways: int) -> None:
    random = CountingGenerator()
    assert (draw(random), random.ways) == (value, ways)


@pytest.mark.parametrize(
    "draw",
    [
        lambda random: random.uniform(2, 3),
        lambda random: random.uniform([1, 2], [1, 3]),
        lambda random: random.normal(),
        lambda random: random.normal(4, 0.5),
        lambda random: random.random(),
        lambda random: random.gauss(0, 1),
    ],
)
def test_what_is_not_counted_is_continuous(draw) -> None:
    with pytest.raises(ContinuousError):
        draw(CountingGenerator())


def test_a_transform_draws_from_its_own_generators_afterwards() -> None:
    [posterize] = build_transforms([{"Posterize": {"num_bits": [4, 6], "p": 1.0}}])
    generators = posterize.random_generator, posterize.py_random
    assert count_draws(posterize, (5, 4))[0] == 3
    assert (posterize.random_generator, posterize.py_random) == generators
    [noise] = build_transforms(["GaussNoise"])
    assert count_draws(noise, (5, 4)) == (math.inf, {})
    [rotate] = build_transforms(["Rotate"])
    assert count_draws(rotate, (5, 4)) == (math.inf, {})
