"""What may come before what when a policy is applied, and how often an image is resampled."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tasks.variants.fused.motions import border_of
from tasks.variants.policy import COMPOSITES, LOCATION

# Steps whose pixels lie between those of the image, and which are one warp with those beside them.
MATRICES = (
    "Affine", "CropAndPad", "LongestMaxSize", "Perspective", "RandomResizedCrop", "RandomScale",
    "RandomSizedCrop", "Resize", "Rotate", "SafeRotate", "ShiftScaleRotate", "SmallestMaxSize",
)  # fmt: skip
# Steps that move each pixel by itself, and are never one warp with others.
MAPS = (
    "ElasticTransform", "GridDistortion", "GridElasticDeform", "OpticalDistortion",
    "PiecewiseAffine", "ThinPlateSpline",
)  # fmt: skip
# Steps that move whole pixels: they belong to any warp beside them and resample nothing.
WHOLE_PIXELS = (
    "CenterCrop", "Crop", "D4", "HorizontalFlip", "NoOp", "Pad", "PadIfNeeded", "RandomCrop",
    "RandomCropFromBorders", "RandomRotate90", "SquareSymmetry", "Transpose", "VerticalFlip",
)  # fmt: skip
CONSTANT = 0  # OpenCV's number of a border of one colour
Warp = tuple[Any, Any]  # its interpolation and its border; None where a step has none
Resampled = dict[Warp | None, int]  # how often, by the warp that is still to be done


class Placed(NamedTuple):
    """A transform that may be applied, with its place and those that may be before it."""

    place: str
    leaf: Any
    before: list["Placed"]

    @property
    def name(self) -> str:
        """Of its class."""
        return type(self.leaf).__name__


def placed_leaves(
    transforms: list[Any], location: str = LOCATION, before: list[Placed] | None = None
) -> Iterator[Placed]:
    """The transforms that have a probability, in order, with their places.

    Those of a OneOf are not before one another.
    """
    earlier = list(before or [])
    for i, transform in enumerate(transforms):
        found = list(_placed(transform, f"{location}[{i}]", earlier))
        yield from found
        earlier += found


def _placed(transform: Any, place: str, before: list[Placed]) -> Iterator[Placed]:
    name = type(transform).__name__
    if getattr(transform, "p", 1) == 0:
        return
    if name == "OneOf":
        for i, step in enumerate(transform.transforms):
            yield from _placed(step, f"{place}.transforms[{i}]", before)
    elif name in COMPOSITES:
        yield from placed_leaves(transform.transforms, f"{place}.transforms", before)
    else:
        yield Placed(f"{place} {name}", transform, list(before))


def resamplings(transforms: list[Any], fuse: bool) -> int:
    """How often an image is resampled at most.

    `fuse`: whether a run of steps that have matrices is one warp.
    """
    return max(_after(transforms, {None: 0}, fuse).values())


def _after(transforms: list[Any], before: Resampled, fuse: bool) -> Resampled:
    """How often an image is resampled after steps, each applied or not."""
    for transform in transforms:
        p = getattr(transform, "p", 1)
        if p > 0:
            applied = _after_step(transform, before, fuse)
            before = applied if p == 1 else _worse([before, applied])
    return before


def _after_step(transform: Any, before: Resampled, fuse: bool) -> Resampled:
    """The same after a step that is applied."""
    name = type(transform).__name__
    match name:
        case "Sequential":
            return _after(transform.transforms, before, fuse)
        case "OneOf":
            inner = [step for step in transform.transforms if step.p > 0]
            return _worse([_after_step(step, before, fuse) for step in inner])
        case "SomeOf":
            return _after_some_of(transform, before, fuse)
    if name in WHOLE_PIXELS:
        return before
    if name in MATRICES:
        warp = _warp(transform)
        after = [_after_warp(warp, last if fuse else None, times) for last, times in before.items()]
        return _worse(after)
    return {None: max(before.values()) + (name in MAPS)}


def _after_some_of(transform: Any, before: Resampled, fuse: bool) -> Resampled:
    """Of SomeOf without replacement any n steps, in their order; with it, the worst n times."""
    if transform.replace:
        for _ in range(transform.n):
            before = _worse([_after([step], before, fuse) for step in transform.transforms])
        return before
    by_chosen: dict[int, Resampled] = {0: before}
    for step in transform.transforms:
        for chosen in sorted(by_chosen, reverse=True):
            if chosen < transform.n:
                applied = _after([step], by_chosen[chosen], fuse)
                last = by_chosen.get(chosen + 1)
                by_chosen[chosen + 1] = applied if last is None else _worse([last, applied])
    return by_chosen[transform.n]


def _warp(transform: Any) -> Warp:
    """What the steps of one warp have in common, as tasks/variants/fused/canvas.py joins them."""
    border = getattr(transform, "border_mode", None)
    filled = None if border is None else border_of(border, transform.fill, (1, 1, 3))
    return getattr(transform, "interpolation", None), filled


def _after_warp(warp: Warp, last: Warp | None, times: int) -> Resampled:
    """A warp after `last`, which is the same where neither asks for another thing."""
    if last is None:
        return {warp: times + 1}
    pairs = list(zip(last, warp, strict=True))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return {warp: times + 1}
    interpolation, border = (old if new is None else new for old, new in pairs)
    return {(interpolation, border): times}


def _worse(several: list[Resampled]) -> Resampled:
    """Of several, the most of each."""
    worst: Resampled = {}
    for each in several:
        for warp, times in each.items():
            worst[warp] = max(times, worst.get(warp, 0))
    return worst
