"""Sets of images that a policy can make, with what they share: size, orientation, window.

Two ways that lead to the same images lead to the same state, so that these are counted once:
HorizontalFlip twice gives the state of the source. Flips and quarter turns change a state's
orientation. A crop makes it a window, with the range of positions where the window may lie: a
RandomCrop of 8 x 8 pixels to 6 x 6 is one state of 3 x 3 images. Any other step begins a new
picture, and the state remembers what it was made of.
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeAlias

Size: TypeAlias = tuple[int, int]  # height, width
MOST_COUNTED = 10**18  # more counts as having no bound


class OneColour(NamedTuple):
    """The origin of images of which a step has left nothing; they are filled with one colour."""

    fill: str


class State(NamedTuple):
    """A set of `images` images, all equally likely.

    Attributes:
        size: None where it is not known, or can be several.
        transposed: whether rows and columns are exchanged; then `flipped` applies.
        flipped: vertically and horizontally.
        top: the first and the last top of the window in the picture, before it was reoriented.
        left: the same for its left.
        origin: None for the source, else what the picture was made of.
        pictures: how many pictures there can be at most: infinite after a continuous step, 0 where
            a step cannot be applied.
        grey: of how many equal channels the images are, 1 or 3; 0 where they may have colours.
    """

    size: Size | None
    transposed: bool = False
    flipped: tuple[bool, bool] = (False, False)
    top: tuple[int, int] = (0, 0)
    left: tuple[int, int] = (0, 0)
    origin: Hashable = None
    pictures: float = 1
    grey: int = 0

    @property
    def images(self) -> float:
        """How many images there are at most: of each picture, each position of the window."""
        return self.pictures * (self.top[1] - self.top[0] + 1) * (self.left[1] - self.left[0] + 1)

    @property
    def one_colour(self) -> bool:
        """Whether it is one image of one colour, which a flip or a crop of it has too."""
        return isinstance(self.origin, OneColour)

    def same_pixels(self, other: "State") -> bool:
        """Whether it is the same image: one grey channel and three equal ones are."""
        return self._replace(grey=min(self.grey, 1)) == other._replace(grey=min(other.grey, 1))


FAILED = State(None, origin="failed", pictures=0)


def reoriented(state: State, moves: str) -> State:
    """After `moves`, in order: t transposes, v and h flip vertically and horizontally."""
    height, width = state.size or (2, 2)
    transposed = state.transposed
    vertical, horizontal = state.flipped
    for move in moves:
        if move == "t":
            height, width = width, height
            transposed = not transposed
            vertical, horizontal = horizontal, vertical
        elif move == "v":
            vertical = not vertical
        else:
            horizontal = not horizontal
    size = state.size and (height, width)
    if math.isinf(state.pictures) or state.one_colour:
        return state._replace(size=size)
    return state._replace(
        size=size,
        # one pixel is the same transposed, and a side of one pixel is the same flipped
        transposed=transposed and (height, width) != (1, 1),
        flipped=(vertical and height > 1, horizontal and width > 1),
    )


def cropped(state: State, size: Size, positions: Sequence[tuple[int, int]]) -> State:
    """A window of `size`, which fits; `positions`: its first and last top, first and last left."""
    assert state.size is not None
    if math.isinf(state.pictures) or state.one_colour:
        return state._replace(size=size)
    room = state.size[0] - size[0], state.size[1] - size[1]
    in_picture = [
        (free - last, free - first) if flipped else (first, last)
        for (first, last), free, flipped in zip(positions, room, state.flipped, strict=True)
    ]
    down, right = reversed(in_picture) if state.transposed else in_picture
    top = state.top[0] + down[0], state.top[1] + down[1]
    left = state.left[0] + right[0], state.left[1] + right[1]
    return reoriented(state._replace(size=size, top=top, left=left), "")


def redrawn(state: State, size: Size | None, ways: float, step: Hashable) -> State:
    """After a `step` that makes new pixels, in `ways` ways at most, of each image of the state."""
    pictures = state.images * ways
    if pictures > MOST_COUNTED:
        return State(size, origin="continuous", pictures=math.inf)
    return State(size, origin=(state, step), pictures=pictures)
