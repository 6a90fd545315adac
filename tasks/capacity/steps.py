"""How one transform changes the set of images that a policy can make.

Examples: RandomRotate90 gives four states, each with probability 1/4. RandomCrop gives one, with a
window that can lie at several positions. Posterize to 4 to 6 bits gives one, of three pictures.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tasks.capacity import pixel_arguments
from tasks.capacity.draws import count_draws
from tasks.capacity.grey_images import grey_after, leaves_as_it_is
from tasks.capacity.holes import after_holes
from tasks.capacity.states import FAILED, OneColour, Size, State, cropped, redrawn, reoriented
from tasks.variants.published_policies import PUBLISHED, Effect, operation_sequences
from tasks.variants.transforms import OF_ELEMENTS

# Transforms that only reorient: what they may do, all equally likely (see reoriented()).
QUARTER_TURNS = ("", "tv", "vh", "th")
MOVES = {
    "NoOp": ("",),
    "HorizontalFlip": ("h",),
    "VerticalFlip": ("v",),
    "Transpose": ("t",),
    "RandomRotate90": QUARTER_TURNS,
}
# What D4 and SquareSymmetry do, by Albumentations' names of the elements.
SYMMETRIES = {
    "e": "", "r90": "tv", "r180": "vh", "r270": "th", "v": "v", "hvt": "tvh", "h": "h", "t": "t",
}  # fmt: skip
CROPS = ("CenterCrop", "Crop", "RandomCrop")
RESIZED_CROPS = ("RandomResizedCrop", "RandomSizedCrop")
HOLES = ("CoarseDropout", "XYMasking")
# Transforms to a size: they return an image unchanged that already has it.
TO_SIZE = ("LongestMaxSize", "Pad", "PadIfNeeded", "RandomScale", "Resize", "SmallestMaxSize")
# What these make depends on the image's size, not only on whether a side is one pixel.
SIZED = frozenset(
    (*CROPS, *RESIZED_CROPS, *TO_SIZE, *HOLES, "RandomCropFromBorders", "RandomGridShuffle",
     *PUBLISHED)
) - {"Pad"}  # fmt: skip


def states_after(transform: Any, state: State) -> list[tuple[float, State]]:
    """The states after the transform, with their probabilities."""
    if state.pictures == 0:
        return [(1.0, state)]
    grey = grey_after(transform, state.grey)
    if leaves_as_it_is(transform, state.grey):
        return [(1.0, state if grey == state.grey else state._replace(grey=grey))]
    if state.size and _too_small(state.size, pixel_arguments.needed_size(transform)):
        return [(1.0, FAILED)]
    return [
        (p, new._replace(grey=grey) if new.pictures else new)
        for p, new in _followed(transform, state)
    ]


def _too_small(size: Size, needed: Size) -> bool:
    return size[0] < needed[0] or size[1] < needed[1]


def _followed(transform: Any, state: State) -> list[tuple[float, State]]:
    """The states after the transform, whose `grey` is still to be set."""
    name = type(transform).__name__
    moves = MOVES.get(name, ())
    if name in OF_ELEMENTS:
        moves = tuple(SYMMETRIES[element] for element in transform.elements)
    if moves:
        return [(1 / len(moves), reoriented(state, move)) for move in moves]
    if name in CROPS:
        return [(1.0, _crop(transform, state))]
    if name in HOLES:
        return after_holes(transform, state)
    if name in (*RESIZED_CROPS, "RandomCropFromBorders"):
        size = None if name == "RandomCropFromBorders" else tuple(transform.size)
        ways = _windows(transform, *state.size) if state.size else math.inf
        return [(1.0, redrawn(state, size, ways, id(transform)))]
    if name in PUBLISHED:
        return _published(transform, state)
    return [(1.0, _other(transform, state))]


def _published(transform: Any, state: State) -> list[tuple[float, State]]:
    """After a published policy; combinations of operations with equal probabilities are one state.

    Each combination counts as one picture. Where there are too many to enumerate, all but the
    unchanged image count as continuous.
    """
    if state.size is None:
        return [(1.0, redrawn(state, None, math.inf, None))]
    found = _combinations(transform, *state.size, state.grey > 0)
    rest = 1 - found.unchanged - found.moved_out - sum(p for p, _ in found.groups)
    followed = [(p, redrawn(state, state.size, len(group), group)) for p, group in found.groups]
    if found.unchanged:
        followed.append((found.unchanged, state))
    if found.moved_out:
        followed.append((found.moved_out, State(state.size, origin=OneColour(repr(0.0)))))
    if rest > 1e-9:
        followed.append((rest, redrawn(state, state.size, math.inf, None)))
    return followed


class Combinations(NamedTuple):
    """What a published policy can apply to an image.

    `unchanged`: the probability that nothing changes. `moved_out`: that one shift alone moves all
    pixels out of the image. `groups`: the other combinations of operations, those that are equally
    likely together, with the probability of all of them.
    """

    unchanged: float
    moved_out: float
    groups: list[tuple[float, frozenset]]


@lru_cache(maxsize=1024)
def _combinations(transform: Any, height: int, width: int, grey: bool) -> Combinations:
    """What a published policy can apply to an image of (height, width)."""
    unchanged = moved_out = 0.0
    groups: dict[float, list[Any]] = {}
    totals: dict[float, float] = {}
    reach = {"TranslateX": width, "TranslateY": height}
    for applied, p in _changing(transform, height, width, grey).items():
        if not applied:
            unchanged = p
        elif len(applied) == 1 and abs(applied[0][1] or 0) >= reach.get(applied[0][0], math.inf):
            moved_out += p
        else:
            key = round(p, 12)
            groups.setdefault(key, []).append(applied)
            totals[key] = totals.get(key, 0) + p
    together = [(totals[key], frozenset(group)) for key, group in groups.items()]
    return Combinations(unchanged, moved_out, together)


def _changing(
    transform: Any, height: int, width: int, grey: bool
) -> dict[tuple[Effect, ...], float]:
    """The sequences of operations that have an effect: on a grey image Color has none."""
    found: dict[tuple[Effect, ...], float] = {}
    for applied, p in operation_sequences(transform, height, width).items():
        kept = tuple(effect for effect in applied if not (grey and effect[0] == "Color"))
        found[kept] = found.get(kept, 0.0) + p
    return found


def _crop(transform: Any, state: State) -> State:
    """After CenterCrop, Crop or RandomCrop."""
    size, positions = crop_size(transform), [(0, 0), (0, 0)]
    if state.size is None:
        return redrawn(state, size, math.inf, None)
    room = [have - need for have, need in zip(state.size, needed_size(transform), strict=True)]
    match type(transform).__name__:
        case "Crop":
            positions = [(transform.y_min, transform.y_min), (transform.x_min, transform.x_min)]
        case "CenterCrop":
            positions = [(side // 2, side // 2) for side in room]
        case "RandomCrop":
            positions = [(0, max(side, 0)) for side in room]
    if min(room) >= 0:
        return cropped(state, size, positions)
    if not transform.pad_if_needed:
        return FAILED
    ways = math.prod(last - first + 1 for first, last in positions)
    if transform.pad_position == "random":
        ways *= math.prod(1 + max(-side, 0) for side in room)
    return redrawn(state, size, ways, id(transform))


def crop_size(transform: Any) -> Size:
    """The size of what CenterCrop, Crop and RandomCrop make."""
    if type(transform).__name__ == "Crop":
        return transform.y_max - transform.y_min, transform.x_max - transform.x_min
    return transform.height, transform.width


def needed_size(transform: Any) -> Size:
    """The size that an image needs for CenterCrop, Crop and RandomCrop, unless they pad."""
    if type(transform).__name__ == "Crop":
        return transform.y_max, transform.x_max
    return crop_size(transform)


def _windows(transform: Any, height: int, width: int) -> int:
    """How many windows one of RESIZED_CROPS or RandomCropFromBorders may cut out, at most."""
    match type(transform).__name__:
        case "RandomSizedCrop":
            low, high = transform.min_max_height
            sizes = [(side, int(side * transform.w2h_ratio)) for side in range(low, high + 1)]
            return sum(
                (height - min(h, height) + 1) * (width - min(w, width) + 1) for h, w in sizes
            )
        case "RandomCropFromBorders":
            rows = _spans(height, transform.crop_top, transform.crop_bottom)
            return rows * _spans(width, transform.crop_left, transform.crop_right)
    return math.comb(height + 1, 2) * math.comb(width + 1, 2)  # every window


def _spans(side: int, before: float, after: float) -> int:
    """How many ranges of rows or columns RandomCropFromBorders may keep."""
    firsts = range(min(int(before * side), side - 1) + 1)
    return sum(side - max(first + 1, int((1 - after) * side)) + 1 for first in firsts)


def _other(transform: Any, state: State) -> State:
    """After a transform whose effect on pixels is not followed: its draws are counted."""
    name = type(transform).__name__
    depends_on_size = may_resize(transform) or name in SIZED
    if name == "Resize":
        ways, size = 1.0, (transform.height, transform.width)
    elif state.size is None and depends_on_size:
        ways, size = math.inf, None
    else:
        # where the size has no influence, a small image will do
        example = state.size if state.size and depends_on_size else (2, 2)
        ways, params = count_draws(transform, example)
        try:
            size = _size_after(transform, state.size, ways, params)
        except Exception:  # it will fail on the image as well: nothing is left of it, for one
            return FAILED
    if name in TO_SIZE and size == state.size and ways == 1:
        return state
    return redrawn(state, size, ways, id(transform))


def may_resize(transform: Any) -> bool:
    """Whether an image can come out in another size."""
    name = type(transform).__name__
    if name in ("CropAndPad", "Perspective"):
        return not transform.keep_size
    return (
        name in TO_SIZE
        or (name == "Affine" and transform.fit_output)
        or getattr(transform, "crop_border", False)
    )


def _size_after(
    transform: Any, size: Size | None, ways: float, params: dict[str, Any]
) -> Size | None:
    """The size after a transform; None where it is not known, or can be several.

    `ways`, `params`: see count_draws().
    """
    name = type(transform).__name__
    if not may_resize(transform):
        # some that keep the size, as ToGray, make a column of a single row
        return None if size is None or 1 in size else size
    if size is None or math.isinf(ways) or (ways > 1 and name != "PadIfNeeded"):
        return None
    if name in ("LongestMaxSize", "SmallestMaxSize"):
        return max(1, round(size[0] * params["scale"])), max(1, round(size[1] * params["scale"]))
    height, width = transform.apply(np.zeros(size, np.uint8), **params).shape[:2]
    return height, width
