"""What one transform, applied for certain, can make of the images of a state."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from tasks.capacity.draws import ways_of
from tasks.capacity.states import FAILED, Size, State, cut, moved, redrawn
from tasks.variants.published_policies import PUBLISHED, outcomes

# Transforms that only move pixels: what they may do, all equally likely (see `moved`).
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
# These return their input where its size is right already.
TO_SIZE = ("LongestMaxSize", "Pad", "PadIfNeeded", "RandomScale", "Resize", "SmallestMaxSize")
# What these make depends on more of an image's size than whether a side is one pixel.
SIZED = frozenset(
    (*CROPS, *RESIZED_CROPS, *TO_SIZE, "RandomCropFromBorders", "RandomGridShuffle", *PUBLISHED)
) - {"Pad"}


def results(transform: Any, state: State) -> list[tuple[float, State]]:
    """The states after the transform, with their probabilities."""
    name = type(transform).__name__
    if state.pictures == 0:
        return [(1.0, state)]
    if name in MOVES:
        return [(1 / len(MOVES[name]), moved(state, moves)) for moves in MOVES[name]]
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
    """The operations are bounded by their number; those of one probability are taken together."""
    if state.size is None:
        return [(1.0, redrawn(state, None, math.inf, None))]
    untouched, groups = _groups(transform, *state.size)
    rest = 1 - untouched - sum(p for p, _ in groups)
    told = [(p, redrawn(state, state.size, len(group), group)) for p, group in groups]
    beyond = [(rest, redrawn(state, state.size, math.inf, None))] if rest > 1e-9 else []
    return [(untouched, state), *told, *beyond]


@lru_cache(maxsize=1024)
def _groups(transform: Any, height: int, width: int) -> tuple[float, list[tuple[float, frozenset]]]:
    """The probability that nothing changes, and what else may be done, by its probability: with that of all."""
    walked = outcomes(transform, height, width)
    untouched = walked.pop((), 0.0)
    groups: dict[float, list[Any]] = {}
    for applied, p in walked.items():
        groups.setdefault(round(p, 12), []).append(applied)
    return untouched, [
        (sum(walked[one] for one in group), frozenset(group)) for group in groups.values()
    ]


def _crop(transform: Any, state: State) -> State:
    size, places = crop_size(transform), [(0, 0), (0, 0)]
    if state.size is None:
        return redrawn(state, size, math.inf, None)
    room = [have - need for have, need in zip(state.size, needed_size(transform), strict=True)]
    match type(transform).__name__:
        case "Crop":
            places = [(transform.y_min, transform.y_min), (transform.x_min, transform.x_min)]
        case "CenterCrop":
            places = [(side // 2, side // 2) for side in room]
        case "RandomCrop":
            places = [(0, max(side, 0)) for side in room]
    if min(room) >= 0:
        return cut(state, size, places)
    if not transform.pad_if_needed:
        return FAILED
    pads = (
        math.prod(1 + max(-side, 0) for side in room) if transform.pad_position == "random" else 1
    )
    return redrawn(
        state, size, pads * math.prod(last - first + 1 for first, last in places), id(transform)
    )


def crop_size(transform: Any) -> Size:
    """The size of what CenterCrop, Crop and RandomCrop make."""
    if type(transform).__name__ == "Crop":
        return transform.y_max - transform.y_min, transform.x_max - transform.x_min
    return transform.height, transform.width


def needed_size(transform: Any) -> Size:
    """The size that an image needs for CenterCrop, Crop and RandomCrop, unless they pad."""
    return (
        (transform.y_max, transform.x_max)
        if type(transform).__name__ == "Crop"
        else crop_size(transform)
    )


def _windows(transform: Any, height: int, width: int) -> int:
    """How many windows a transform may cut out, at most."""
    match type(transform).__name__:
        case "RandomSizedCrop":
            low, high = transform.min_max_height
            windows = [(side, int(side * transform.w2h_ratio)) for side in range(low, high + 1)]
            return sum(
                (height - min(h, height) + 1) * (width - min(w, width) + 1) for h, w in windows
            )
        case "RandomCropFromBorders":
            rows = _spans(height, transform.crop_top, transform.crop_bottom)
            return rows * _spans(width, transform.crop_left, transform.crop_right)
    return math.comb(height + 1, 2) * math.comb(width + 1, 2)  # all there are


def _spans(side: int, before: float, after: float) -> int:
    """How many spans of a side RandomCropFromBorders may keep."""
    firsts = range(min(int(before * side), side - 1) + 1)
    return sum(side - max(first + 1, int((1 - after) * side)) + 1 for first in firsts)


def _other(transform: Any, state: State) -> State:
    """After a transform whose effect on pixels is not followed."""
    name, resizes = type(transform).__name__, may_resize(transform)
    if name == "Resize":
        ways, size = 1.0, (transform.height, transform.width)
    elif state.size is None and (resizes or name in SIZED):
        ways, size = math.inf, None
    else:
        # a small image says as much, where the size does not matter
        ways, params = ways_of(
            transform, state.size if state.size and (resizes or name in SIZED) else (2, 2)
        )
        try:
            size = (
                _size_after(transform, state.size, ways, params) if resizes else _kept(state.size)
            )
        except Exception:  # as it will for the image: nothing is left of it, for one
            return FAILED
    if name in TO_SIZE and size == state.size and ways == 1:
        return state
    return redrawn(state, size, ways, id(transform))


def _kept(size: Size | None) -> Size | None:
    """The size after a transform that keeps it; some, as ToGray, make a column of a single row."""
    return None if size is None or 1 in size else size


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
    """The size after a transform that may change it; None where it can be several."""
    name = type(transform).__name__
    if size is None or math.isinf(ways) or (ways > 1 and name != "PadIfNeeded"):
        return None
    if name in ("LongestMaxSize", "SmallestMaxSize"):
        return max(1, round(size[0] * params["scale"])), max(1, round(size[1] * params["scale"]))
    height, width = transform.apply(np.zeros(size, np.uint8), **params).shape[:2]
    return height, width
