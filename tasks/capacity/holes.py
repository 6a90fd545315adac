"""Count what CoarseDropout and XYMasking make: holes, of sizes that depend on the image's.

Example: one hole of [4, 32] x [4, 32] pixels in an image of 8 x 8. Albumentations limits the sizes
to 4 to 8, so it covers all of the image in one of 25 draws; else it is one of (5 + 4 + 3 + 2 + 1)
x (5 + 4 + 3 + 2 + 1) - 1 windows. In an image of 3 x 3 no such hole has room, and the step fails.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tasks.capacity.states import FAILED, OneColour, Size, State, redrawn

LEAST = 1e-12  # a probability below it comes from rounding
Sides = dict[int, float]  # the lengths that a side of a hole can have, with their probabilities


class Holes(NamedTuple):
    """What holes can do to an image: three probabilities, and how many images they can make else.

    `fails`: a hole is larger than the image. `covers`: nothing of the image is left. `nothing`: all
    holes have a side of 0 pixels.
    """

    fails: float
    covers: float
    nothing: float
    others: int


def after_holes(transform: Any, state: State) -> list[tuple[float, State]]:
    """The states after CoarseDropout or XYMasking, with their probabilities."""
    if state.size is None:
        return [(1.0, redrawn(state, None, math.inf, None))]
    found = holes_in(transform, state.size)
    rest = 1 - found.fails - found.covers - found.nothing
    others: float = found.others
    covered = State(state.size, origin=OneColour(repr(transform.fill)))
    if isinstance(transform.fill, str):
        # inpainting changes nothing where there is nothing to inpaint from
        covered = (
            state
            if transform.fill.startswith("inpaint")
            else redrawn(state, state.size, math.inf, None)
        )
        others = others if transform.fill.startswith("inpaint") else math.inf
    weighed = [(found.fails, FAILED), (found.nothing, state), (found.covers, covered)]
    if others:
        weighed.append((rest, redrawn(state, state.size, others, id(transform))))
    return [(p, new) for p, new in weighed if p > LEAST]


@lru_cache(maxsize=1024)
def holes_in(transform: Any, size: Size) -> Holes:
    """What the holes of a transform do to an image of (height, width)."""
    height, width = size
    if type(transform).__name__ == "CoarseDropout":
        sides = _dropout_sides(transform, height, width)
        return _several(transform.num_holes_range, size, *sides)
    ranges = transform.mask_x_length, transform.mask_y_length
    if ranges[0][1] > width or ranges[1][1] > height:
        return Holes(1.0, 0.0, 0.0, 0)
    columns = _several(transform.num_masks_x, size, {height: 1.0}, _even(*ranges[0]))
    rows = _several(transform.num_masks_y, size, _even(*ranges[1]), {width: 1.0})
    return Holes(
        fails=0.0,
        covers=1 - (1 - columns.covers) * (1 - rows.covers),
        nothing=columns.nothing * rows.nothing,
        others=(1 + columns.others) * (1 + rows.others) - 1,
    )


def _several(numbers: tuple[int, int], size: Size, heights: Sides, widths: Sides) -> Holes:
    """What holes of such sides do; each number of them from the first to the last is as likely."""
    one = _one(size, heights, widths)
    counts = range(numbers[0], numbers[1] + 1)
    kept = [(1 - one.fails) ** n for n in counts]  # the probability that none fails
    uncovered = [(1 - one.fails - one.covers) ** n for n in counts]
    return Holes(
        fails=1 - sum(kept) / len(counts),
        covers=(sum(kept) - sum(uncovered)) / len(counts),
        nothing=sum(one.nothing**n for n in counts) / len(counts),
        # one place or several: holes of 0 pixels do not count, nor two in one place, nor the order
        others=sum(math.comb(one.others, n) for n in range(1, numbers[1] + 1)),
    )


def _one(size: Size, heights: Sides, widths: Sides) -> Holes:
    """What one hole does."""
    fits = _between(heights, 0, size[0]) * _between(widths, 0, size[1])
    seen = _between(heights, 1, size[0]) * _between(widths, 1, size[1])
    covers = heights.get(size[0], 0.0) * widths.get(size[1], 0.0)
    windows = _positions(heights, size[0]) * _positions(widths, size[1])
    return Holes(fails=1 - fits, covers=covers, nothing=fits - seen, others=windows - (covers > 0))


def _between(sides: Sides, low: int, high: int) -> float:
    """The probability of a side from `low` to `high` pixels."""
    return sum(p for side, p in sides.items() if low <= side <= high)


def _positions(sides: Sides, room: int) -> int:
    """Of all sides together: at how many positions of a side of the image one can lie."""
    return sum(room - side + 1 for side in sides if 0 < side <= room)


def _dropout_sides(transform: Any, height: int, width: int) -> tuple[Sides, Sides]:
    """The heights and widths of the holes of CoarseDropout.

    As in Albumentations, both are pixels if heights go up to 1 or more, and else shares.
    """
    heights, widths = transform.hole_height_range, transform.hole_width_range
    if heights[1] < 1:
        return _scaled(heights, height), _scaled(widths, width)
    return (
        _even(int(heights[0]), int(min(heights[1], height) + 1) - 1),
        _even(int(widths[0]), int(min(widths[1], width) + 1) - 1),
    )


def _even(low: int, high: int) -> Sides:
    """From `low` to `high`, all equally likely; a side that has no room where there are none."""
    if low > high:
        return {low: 1.0}
    return dict.fromkeys(range(low, high + 1), 1 / (high - low + 1))


def _scaled(shares: tuple[float, float], length: int) -> Sides:
    """Of `shares` of a length, from the first to the last, rounded down."""
    low, high = shares
    first, last = int(low * length), int(high * length)
    if first == last:
        return {first: 1.0}
    edges = np.clip(np.arange(first, last + 2) / length, low, high)
    probabilities = np.diff(edges) / (high - low)
    return {first + place: float(p) for place, p in enumerate(probabilities) if p > 0}
