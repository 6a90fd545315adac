"""Pointwise steps: what each does to a grey level, so that a run of them is one look-up table.

A table starts as a ramp of all values that a pixel can have. Each step of the run changes its
levels, in float64; they are rounded and clipped once, when the table is applied to the image. Step
by step, each would round to whole levels and clip to black and white, and what that takes away
from an image stays away: of 256 levels, 127 are left after ten RandomBrightnessContrast.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

# Powers differ in the last digit from one processor to the next; a level that lies half way
# between two whole ones has to be rounded to the same of them on all.
DIGITS = 9


def is_pointwise(step: Any, channels: int) -> bool:
    """Whether all that a step does to a pixel's channel depends on that channel's value alone.

    If so, what it draws depends on no pixels either, but on their type and number of channels.
    """
    name = type(step).__name__
    return name in CURVES and (name not in CONDITIONS or CONDITIONS[name](step, channels))


def ramp(pixels: np.ndarray) -> np.ndarray:
    """All values that a pixel of uint8 or uint16 can have, float64 (256 or 65,536, 1)."""
    return np.arange(np.iinfo(pixels.dtype).max + 1, dtype=np.float64)[:, None]


def curve(step: Any, params: dict[str, Any], levels: np.ndarray, top: int) -> np.ndarray:
    """What a pointwise step makes of grey levels, neither rounded to whole ones nor clipped.

    Args:
        step: for which is_pointwise() holds.
        params: what it drew.
        levels: float64 (n, 1) where all channels are alike, or (n, 3); they may lie beyond black
            and white.
        top: white: 255 or 65,535.

    Returns:
        float64 (n, 1) or (n, 3).
    """
    return np.round(CURVES[type(step).__name__](step, params, levels, top), DIGITS)


def look_up(pixels: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Replace each value of an image by its level, rounded to the nearest and clipped.

    Args:
        pixels: uint8 or uint16, (height, width) or (height, width, 3).
        levels: float64 (256 or 65,536, 1 or 3).
    """
    table = np.rint(np.clip(levels, 0, len(levels) - 1)).astype(pixels.dtype)
    if pixels.dtype == np.uint8:  # cv2.LUT drops an axis of one channel
        return cv2.LUT(pixels, table[None]).reshape(pixels.shape)
    if table.shape[1] == 1:
        return np.take(table[:, 0], pixels)
    channels = [np.take(own, pixels[:, :, c]) for c, own in enumerate(table.T)]
    return np.stack(channels, axis=2)


# --- what each step does --------------------------------------------------------------------------


def _additive_noise(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    return levels + params["noise_map"]


def _channel_dropout(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    levels = np.broadcast_to(levels, (len(levels), 3)).copy()
    levels[:, params["channels_to_drop"]] = step.fill
    return levels


def _color_jitter(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    return levels * params["brightness"]


def _hue_saturation_value(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    return levels + params["val_shift"]


def _invert(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    return top - levels


def _multiplicative_noise(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    return levels * params["multiplier"].astype(np.float64).ravel()


def _planckian_jitter(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    """A factor for each channel, found from what the step makes of one dark grey pixel."""
    grey = np.full((1, 1, 3), 0.25, np.float32)
    factors = step.apply(grey, **params)[0, 0].astype(np.float64) / 0.25
    return levels * factors


def _posterize(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    """The upper bits of whole levels, which these have to be made first."""
    width = (top + 1) / 2.0 ** np.array(params["num_bits"])
    return np.floor(np.clip(np.rint(levels), 0, top) / width) * width


def _brightness_contrast(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    return levels * params["alpha"] + params["beta"]


def _gamma(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    """No power of what is darker than black."""
    return np.maximum(levels / top, 0) ** params["gamma"] * top


def _tone_curve(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    """A Bezier curve from black to white, and none beyond them."""
    t = np.clip(levels / top, 0, 1)
    rest = 1 - t
    low, high = params["low_y"], params["high_y"]
    return (3 * rest * rest * t * low + 3 * rest * t * t * high + t * t * t) * top


def _solarize(step: Any, params: Any, levels: np.ndarray, top: int) -> np.ndarray:
    return np.where(levels >= params["threshold"] * top, top - levels, levels)


CURVES: dict[str, Callable[[Any, Any, np.ndarray, int], np.ndarray]] = {
    "AdditiveNoise": _additive_noise,
    "ChannelDropout": _channel_dropout,
    "ColorJitter": _color_jitter,
    "HueSaturationValue": _hue_saturation_value,
    "InvertImg": _invert,
    "MultiplicativeNoise": _multiplicative_noise,
    "PlanckianJitter": _planckian_jitter,
    "Posterize": _posterize,
    "RandomBrightnessContrast": _brightness_contrast,
    "RandomGamma": _gamma,
    "RandomToneCurve": _tone_curve,
    "RGBShift": _additive_noise,
    "Solarize": _solarize,
}


def _brightness_alone(step: Any, channels: int) -> bool:
    """Contrast looks at the image's mean; saturation and hue mix the channels of a colour."""
    colour_stays = step.saturation == (1, 1) and step.hue == (0, 0)
    return step.contrast == (1, 1) and (channels == 1 or colour_stays)


# Where a step is pointwise only with some arguments or on some images. It fails on the others, or
# looks at more of the image.
CONDITIONS: dict[str, Callable[[Any, int], bool]] = {
    "AdditiveNoise": lambda step, channels: step.spatial_mode == "constant" and step.noise_params,
    "ChannelDropout": lambda step, channels: channels == 3,
    "ColorJitter": _brightness_alone,
    "HueSaturationValue": lambda step, channels: channels == 1,
    "MultiplicativeNoise": lambda step, channels: not step.elementwise,
    "PlanckianJitter": lambda step, channels: channels == 3,
    "Posterize": lambda step, channels: channels == 3 or not isinstance(step.num_bits, list),
    "RandomBrightnessContrast": lambda step, channels: step.brightness_by_max,
}
