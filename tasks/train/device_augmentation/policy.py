"""Which steps of a policy device augmentation has, and with which arguments. No torch.

Names and arguments are Albumentations', and mean what they mean there. Whatever else a policy has
is refused before any work.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from tasks.common.errors import UserError
from tasks.variants.params import AugmentParams
from tasks.variants.policy import COMPOSITES, build_step, parse_step
from tasks.variants.published_policies import PUBLISHED
from tasks.variants.recipe import policies
from tasks.variants.step_ranges import Span, written_range
from tasks.variants.transforms import ELEMENTS, OF_ELEMENTS

BORDERS = {0: "zeros", 1: "border", 2: "reflection", 4: "reflection"}  # of OpenCV; of grid_sample()
MIRRORED_EDGE = 2  # of OpenCV's borders: the outermost pixels are repeated in the reflection


class Border(NamedTuple):
    """What lies beyond the image: OpenCV's number of it, and the constant, as red, green, blue."""

    mode: int
    fill: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Symmetry(NamedTuple):
    """One of some symmetries of the square, all equally likely; see ELEMENTS."""

    name: str
    p: float
    elements: tuple[str, ...]


class Warp(NamedTuple):
    """An affine map about the middle: scale, rotate (degrees), shear (degrees), shift.

    `shift_x`, `shift_y`: in pixels, else (`in_pixels` false) in shares of the side.
    """

    name: str
    p: float
    scale_x: Span
    scale_y: Span
    keep_ratio: bool
    rotate: Span
    shear_x: Span
    shear_y: Span
    shift_x: Span
    shift_y: Span
    in_pixels: bool
    border: Border


class ResizedCrop(NamedTuple):
    """A window of some share of the area and some ratio of width to height, scaled to the image."""

    name: str
    p: float
    scale: Span
    ratio: Span


class Tone(NamedTuple):
    """Contrast is 1 more than is drawn, brightness a share of white, or of the image's mean."""

    name: str
    p: float
    brightness: Span
    contrast: Span
    by_max: bool


class Jitter(NamedTuple):
    """Factors of brightness, contrast and saturation, applied in an order that is drawn."""

    name: str
    p: float
    brightness: Span
    contrast: Span
    saturation: Span


class Holes(NamedTuple):
    """Rectangles of one colour; their sides are in pixels where `height` reaches 1, else shares."""

    name: str
    p: float
    number: Span
    height: Span
    width: Span
    fill: tuple[float, float, float]


class ErasedArea(NamedTuple):
    """A rectangle of one colour, of some share of the area and some ratio of width to height."""

    name: str
    p: float
    scale: Span
    ratio: Span
    fill: tuple[float, float, float]


Step: TypeAlias = Symmetry | Warp | ResizedCrop | Tone | Jitter | Holes | ErasedArea
GEOMETRY = (Symmetry, Warp, ResizedCrop)

SYMMETRIES: dict[str, tuple[str, ...]] = {
    "HorizontalFlip": ("h",),
    "VerticalFlip": ("v",),
    "Transpose": ("t",),
    "RandomRotate90": ("e", "r90", "r180", "r270"),
}
# Arguments of which one value alone is there.
ONLY: dict[str, dict[str, Any]] = {
    "Affine": {"interpolation": 1, "fit_output": False, "balanced_scale": False},
    "ColorJitter": {"hue": (0, 0)},
    "RandomBrightnessContrast": {"ensure_safe_range": False},
    "RandomResizedCrop": {"interpolation": 1, "area_for_downscale": None},
    "Rotate": {"interpolation": 1, "crop_border": False},
    "ShiftScaleRotate": {"interpolation": 1},
}


def check_device_policies(params: AugmentParams) -> None:
    """Check that device augmentation has all steps of all policies in params.yaml.

    Those too that label rules forbid for some classes.

    Raises:
        UserError: the first step or argument that it has not, with its place in params.yaml.
    """
    for policy in policies(params.model_copy(update={"labels": []})):
        device_steps(policy.steps, policy.location)


def has_policies(params: AugmentParams) -> bool:
    """Whether device augmentation has all steps of all policies."""
    try:
        check_device_policies(params)
    except UserError:
        return False
    return True


def device_steps(steps: list[Any], location: str) -> tuple[Step, ...]:
    """The steps of a policy as params.yaml has them; NoOp is none.

    Raises:
        UserError: for what there is not, with its place.
    """
    made = (_step(step, f"{location}[{i}]") for i, step in enumerate(steps))
    return tuple(step for step in made if step is not None)


def _step(step: Any, location: str) -> Step | None:
    name, _ = parse_step(step, location)
    if name == "NoOp":
        return None
    if name in COMPOSITES or name in PUBLISHED or name not in _MAKERS:
        known = ", ".join(sorted(_MAKERS))
        raise UserError(f"{location} {name}: device augmentation has no such step; it has {known}")
    built, place = build_step(step, location), f"{location} {name}"
    for argument, value in ONLY.get(name, {}).items():
        found = getattr(built, argument)
        if found != value:
            _refuse(f"{place}.{argument}", f"{_written(value)} alone", found)
    return _MAKERS[name](built, name, place)


def _refuse(place: str, has: str, found: Any) -> None:
    raise UserError(f"{place}: device augmentation has {has}, found {_written(found)}")


def _written(value: Any) -> Any:
    """A value as people write it in params.yaml."""
    if isinstance(value, tuple):
        written = written_range(value)
        return 0 if written == [0, 0] else written
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return value


def _symmetry(built: Any, name: str, place: str) -> Step:
    elements = tuple(built.elements) if name in OF_ELEMENTS else SYMMETRIES[name]
    return Symmetry(name, float(built.p), elements)


def _warp(built: Any, name: str, place: str) -> Step:
    in_pixels = built.translate_px is not None
    shift = built.translate_px or built.translate_percent or {"x": (0, 0), "y": (0, 0)}
    return Warp(
        name=name,
        p=float(built.p),
        scale_x=built.scale["x"],
        scale_y=built.scale["y"],
        keep_ratio=built.keep_ratio,
        rotate=built.rotate,
        shear_x=built.shear["x"],
        shear_y=built.shear["y"],
        shift_x=shift["x"],
        shift_y=shift["y"],
        in_pixels=in_pixels,
        border=_border(built, place),
    )


def _rotation(built: Any, name: str, place: str) -> Step:
    one, none = (1.0, 1.0), (0.0, 0.0)
    border = _border(built, place)
    p, limit = float(built.p), built.limit
    return Warp(name, p, one, one, False, limit, none, none, none, none, False, border)


def _resized_crop(built: Any, name: str, place: str) -> Step:
    return ResizedCrop(name, float(built.p), built.scale, built.ratio)


def _tone(built: Any, name: str, place: str) -> Step:
    limits = built.brightness_limit, built.contrast_limit
    return Tone(name, float(built.p), *limits, built.brightness_by_max)


def _jitter(built: Any, name: str, place: str) -> Step:
    return Jitter(name, float(built.p), built.brightness, built.contrast, built.saturation)


def _holes(built: Any, name: str, place: str) -> Step:
    sides = built.hole_height_range, built.hole_width_range
    fill = _colour(built.fill, place)
    return Holes(name, float(built.p), built.num_holes_range, *sides, fill)


def _erased_area(built: Any, name: str, place: str) -> Step:
    return ErasedArea(name, float(built.p), built.scale, built.ratio, _colour(built.fill, place))


def _border(built: Any, place: str) -> Border:
    if built.border_mode not in BORDERS:
        modes = ", ".join(map(str, BORDERS))
        _refuse(f"{place}.border_mode", modes, built.border_mode)
    # Beyond other borders than a constant one, fill has no part.
    return Border(built.border_mode, *([_colour(built.fill, place)] * (built.border_mode == 0)))


def _colour(fill: Any, place: str) -> tuple[float, float, float]:
    if isinstance(fill, str):
        _refuse(f"{place}.fill", "one number or three", fill)
    red, green, blue = (fill, fill, fill) if isinstance(fill, int | float) else fill
    return float(red), float(green), float(blue)


_MAKERS: dict[str, Callable[[Any, str, str], Step]] = {
    **dict.fromkeys((*SYMMETRIES, *OF_ELEMENTS), _symmetry),
    "Affine": _warp,
    "CoarseDropout": _holes,
    "ColorJitter": _jitter,
    "Erasing": _erased_area,
    "RandomBrightnessContrast": _tone,
    "RandomResizedCrop": _resized_crop,
    "Rotate": _rotation,
    "ShiftScaleRotate": _warp,
}
assert set(SYMMETRIES["RandomRotate90"]) <= set(ELEMENTS)
