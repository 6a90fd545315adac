"""How one transform changes the set of images that a policy can make.

Examples: RandomRotate90 gives four states, each with probability 1/4. RandomCrop gives one, with a
window that can lie at several positions. Posterize to 4 to 6 bits gives one, of three pictures.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from tasks.capacity.draws import count_draws
from tasks.capacity.states import FAILED, Size, State, cropped, redrawn, reoriented
from tasks.variants.published_policies import PUBLISHED, operation_sequences

# Transforms that only reorient: what they may do, all equally likely (see reoriented()).
QUARTER_TURNS = ("", "tv", "vh", "th")
SYMMETRIES = (*QUARTER_TURNS, "h", "v", "t", "tvh")
MOVES = {
    "NoOp": ("",),
    "HorizontalFlip": ("h",),
    "VerticalFlip": ("v",),
    "Transpose": ("t",),
    "RandomRotate90": QUARTER_TURNS,
    "D4": SYMMETRIES,
    "SquareSymmetry": SYMMETRIES,
}
CROPS = ("CenterCrop", "Crop", "RandomCrop")
RESIZED_CROPS = ("RandomResizedCrop", "RandomSizedCrop")
# Transforms to a size: they return an image unchanged that already has it.
TO_SIZE = ("LongestMaxSize", "Pad", "PadIfNeeded", "RandomScale", "Resize", "SmallestMaxSize")
# What these make depends on the image's size, not only on whether a side is one pixel.
SIZED = frozenset(
    (*CROPS, *RESIZED_CROPS, *TO_SIZE, "RandomCropFromBorders", "RandomGridShuffle", *PUBLISHED)
) - {"Pad"}


def states_after(transform: Any, state: State) -> list[tuple[float, State]]:
    """The states after the transform, with their probabilities."""
    name = type(transform).__name__
    if state.pictures == 0:
        return [(1.0, state)]
    if name in MOVES:
        return [(1 / len(MOVES[name]), reoriented(state, moves)) for moves in MOVES[name]]
    if name in CROPS:
        return [(1.0, _crop(transform, state))]
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
    untouched, groups = _groups(transform, *state.size)
    rest = 1 - untouched - sum(p for p, _ in groups)
    followed = [(untouched, state)]
    followed += [(p, redrawn(state, state.size, len(group), group)) for p, group in groups]
    if rest > 1e-9:
        followed.append((rest, redrawn(state, state.size, math.inf, None)))
    return followed


@lru_cache(maxsize=1024)
def _groups(transform: Any, height: int, width: int) -> tuple[float, list[tuple[float, frozenset]]]:
    """The combinations of operations that a published policy can apply, grouped by probability.

    Returns:
        The probability that nothing changes; and each group with the probability of all of it.
    """
    combinations = operation_sequences(transform, height, width)
    untouched = combinations.pop((), 0.0)
    groups: dict[float, list[Any]] = {}
    totals: dict[float, float] = {}
    for applied, p in combinations.items():
        key = round(p, 12)
        groups.setdefault(key, []).append(applied)
        totals[key] = totals.get(key, 0) + p
    return untouched, [(totals[key], frozenset(group)) for key, group in groups.items()]


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
