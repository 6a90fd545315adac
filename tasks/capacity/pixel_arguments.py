"""Arguments of transforms in pixels: how many they ask for, and the least side that they need.

Examples: `Blur: {blur_limit: [3, 31]}` asks for a kernel of 31 pixels, more than an image of 8 x 8
has. `GridDistortion: {num_steps: 9}` fails on images of less than 9 pixels.
"""

from collections.abc import Callable
from typing import Any

from tasks.capacity.states import Size

# The arguments that say how far a transform reaches. Crops and holes are counted in other modules.
REACHES = {
    "AdvancedBlur": "blur_limit",
    "Affine": "translate_px",
    "Blur": "blur_limit",
    "CropAndPad": "px",
    "Defocus": "radius",
    "GaussianBlur": "blur_limit",
    "GlassBlur": "max_delta",
    "MedianBlur": "blur_limit",
    "Morphological": "scale",
    "MotionBlur": "blur_limit",
    "Pad": "padding",
    "RandomSizedCrop": "min_max_height",
    "RingingOvershoot": "blur_limit",
    "UnsharpMask": "blur_limit",
}
# Of these a quarter of the shorter side, or half of it, is as much as an image bears.
BLURS = ("AdvancedBlur", "Blur", "Defocus", "GaussianBlur", "GlassBlur", "MedianBlur", "MotionBlur")
SHIFTS = ("Affine", "CropAndPad")
# The height and the width that a transform fails without, as was measured.
NEEDS: dict[str, Callable[[Any], Size]] = {
    "GlassBlur": lambda blur: (2 * blur.max_delta - 1, 2 * blur.max_delta - 1),
    "GridDistortion": lambda grid: (grid.num_steps, grid.num_steps),
    "GridDropout": lambda holes: (
        (1, 1) if holes.holes_number_xy else (largest(holes.unit_size_range),) * 2
    ),
    "RandomRain": lambda rain: ((rain.drop_length or 0) + 1, 1),
    "XYMasking": lambda masks: (largest(masks.mask_y_length), largest(masks.mask_x_length)),
}


def reach(transform: Any) -> int:
    """The most pixels that a transform shifts, pads, cuts off or blurs; 0 if it says none."""
    return largest(getattr(transform, REACHES.get(type(transform).__name__, ""), None))


def sides_needed(transform: Any) -> int:
    """How many times as long as its reach an image's shorter side has to be, to be recognised."""
    name = type(transform).__name__
    return 4 if name in BLURS else 2 if name in SHIFTS else 1


def needed_size(transform: Any) -> Size:
    """The height and width of the smallest image that a transform does not fail on, if known."""
    needs = NEEDS.get(type(transform).__name__)
    return needs(transform) if needs else (1, 1)


def largest(argument: Any) -> int:
    """The largest number in an argument, whatever its sign; 0 where there is none."""
    if isinstance(argument, dict):
        argument = list(argument.values())
    if isinstance(argument, list | tuple):
        return max(map(largest, argument), default=0)
    return abs(int(argument)) if isinstance(argument, int | float) else 0
