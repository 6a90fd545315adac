"""States: which images are the same, whatever the way to them.

Flips and quarter turns give an orientation. Crops give a window of the picture and the places where it may lie. Any
other step begins a new picture that remembers what it was made of.
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeAlias

Size: TypeAlias = tuple[int, int]  # height, width
MOST_COUNTED = 10**18  # more counts as having no bound


class State(NamedTuple):
    """The images that can result by one way of drawing: `images` of them.

    `size`: None where it is not known, or can be several. `transposed`, then `flipped` (vertically, horizontally): how
    the picture lies. `top`, `left`: the first and the last place of the window in it, before it was moved. `origin`:
    None for the source, else what the picture was made of. `pictures`: how many there are of it at most: infinite
    after a continuous step, 0 where a step cannot be applied.
    """

    size: Size | None
    transposed: bool = False
    flipped: tuple[bool, bool] = (False, False)
    top: tuple[int, int] = (0, 0)
    left: tuple[int, int] = (0, 0)
    origin: Hashable = None
    pictures: float = 1

    @property
    def images(self) -> float:
        return self.pictures * (self.top[1] - self.top[0] + 1) * (self.left[1] - self.left[0] + 1)


FAILED = State(None, origin="failed", pictures=0)


def moved(state: State, moves: str) -> State:
    """After `moves`, in order: t transposes, v and h flip vertically and horizontally."""
    (height, width), transposed, (vertical, horizontal) = (
        state.size or (2, 2),
        state.transposed,
        state.flipped,
    )
    for move in moves:
        if move == "t":
            height, width, transposed, vertical, horizontal = (
                width,
                height,
                not transposed,
                horizontal,
                vertical,
            )
        elif move == "v":
            vertical = not vertical
        else:
            horizontal = not horizontal
    size = state.size and (height, width)
    if math.isinf(state.pictures):
        return state._replace(size=size)
    # a side of one pixel does not show a flip, and one pixel shows nothing
    flipped = vertical and height > 1, horizontal and width > 1
    return state._replace(
        size=size, transposed=transposed and (height, width) != (1, 1), flipped=flipped
    )


def cut(state: State, size: Size, places: Sequence[tuple[int, int]]) -> State:
    """A window of `size`, which fits; `places`: its first and last top, and its first and last left."""
    assert state.size is not None
    if math.isinf(state.pictures):
        return state._replace(size=size)
    in_picture = [
        (room - last, room - first) if flipped else (first, last)
        for (first, last), room, flipped in zip(
            places, _room(state.size, size), state.flipped, strict=True
        )
    ]
    down, right = reversed(in_picture) if state.transposed else in_picture
    top = state.top[0] + down[0], state.top[1] + down[1]
    left = state.left[0] + right[0], state.left[1] + right[1]
    return moved(state._replace(size=size, top=top, left=left), "")


def redrawn(state: State, size: Size | None, ways: float, step: Hashable) -> State:
    """After a step whose effect on pixels is not followed, and which has `ways` results at most."""
    pictures = state.images * ways
    if pictures > MOST_COUNTED:
        return State(size, origin="continuous", pictures=math.inf)
    return State(size, origin=(state, step), pictures=pictures)


def _room(outer: Size, inner: Size) -> Size:
    return outer[0] - inner[0], outer[1] - inner[1]
