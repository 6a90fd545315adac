"""A policy followed over all its draws: the chances of a composite's choices, and mixtures."""

import pytest

from tasks.variants.fused.walk import Walk, _chances


@pytest.mark.parametrize(
    ("left", "steps", "replace", "chances"),
    [
        (0, 3, False, [1]),
        (1, 3, False, [2 / 3, 1 / 3]),
        (3, 3, False, [0, 1]),
        (0, 3, True, [1]),
        (2, 4, True, [9 / 16, 6 / 16, 1 / 16]),
    ],
)
def test_how_often_the_first_step_is_chosen(
    left: int, steps: int, replace: bool, chances: list[float]
) -> None:
    assert _chances(left, steps, replace) == pytest.approx(chances)


def test_a_mixture_leaves_out_what_cannot_be() -> None:
    mixed = Walk[str]().mixed([(0.5, {"a": 0.5, "b": 0.5}), (0.5, {"a": 1}), (0, {"c": 1})])
    assert mixed == {"a": 0.75, "b": 0.25}
