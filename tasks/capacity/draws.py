"""Count the random choices of a transform, by letting it draw from generators that count.

Example: Posterize draws its number of bits by randint(4, 6); the counting generator notes that this
is one of 3 values. So the bound follows Albumentations' own code, not a table of ours.
"""

import math
import warnings
from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np

# Transforms whose draws are independent of each other and decide everything, as their source says
# (Albumentations 2.0.8). All others (noise, holes, weather) are taken for continuous.
COUNTED = (
    "Affine", "AutoContrast", "Blur", "ChannelDropout", "ChannelShuffle", "ChromaticAberration",
    "CLAHE", "ColorJitter", "CropAndPad", "Defocus", "Downscale", "Emboss", "Equalize", "FancyPCA",
    "GaussianBlur", "GridDistortion", "HEStain", "HueSaturationValue", "Illumination",
    "ImageCompression", "InvertImg", "LongestMaxSize", "MedianBlur", "Morphological", "MotionBlur",
    "OpticalDistortion", "Pad", "PadIfNeeded", "Posterize", "RandomBrightnessContrast",
    "RandomGamma", "RandomGridShuffle", "RandomScale", "RandomSnow", "RandomToneCurve", "Resize",
    "RGBShift", "RingingOvershoot", "Rotate", "SafeRotate", "Sharpen", "ShiftScaleRotate",
    "SmallestMaxSize", "Solarize", "ToGray", "ToRGB", "ToSepia", "UnsharpMask", "ZoomBlur",
)  # fmt: skip


class ContinuousError(Exception):
    """A transform drew from a continuous range, or in a way that is not counted here."""


class CountingGenerator:
    """Takes the part of `random.Random` and of `numpy.random.Generator`.

    `ways` is the product of the numbers of choices of all draws. Each draw gives the largest value
    of its range.

    Raises:
        ContinuousError: from a draw that is not counted.
    """

    def __init__(self) -> None:
        self.ways = 1

    def _count(self, ways: int, value: Any) -> Any:
        """Note a draw of one of `ways` values, and give `value`."""
        self.ways *= ways
        return value

    def uniform(self, low: Any, high: Any, size: Any = None) -> Any:
        if not np.array_equal(low, high):
            raise ContinuousError
        return low if size is None else np.full(size, low)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return self.uniform(loc, loc + scale, size)

    def randint(self, low: int, high: int) -> int:
        return self._count(high - low + 1, high)

    def randrange(self, *bounds: int) -> int:
        return self._count(len(range(*bounds)), range(*bounds)[-1])

    def choice(self, options: list[Any]) -> Any:
        value = options[0] if isinstance(options[0], str | tuple) else max(options)
        return self._count(len(options), value)

    def sample(self, options: Any, k: int) -> list[Any]:
        """For ChannelDropout: the order of what is drawn does not matter to it."""
        return self._count(math.comb(len(options), k), list(options)[:k])

    def shuffle(self, items: Any) -> None:
        repeats = Counter(np.asarray(items).tolist()).values()
        self.ways *= math.factorial(len(items)) // math.prod(
            math.factorial(count) for count in repeats
        )

    def integers(self, low: int, high: int) -> int:
        """A seed for OpenCV's noise: of those counted only RGBShift draws it, and never uses it."""
        return low

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ContinuousError


def count_draws(transform: Any, size: tuple[int, int]) -> tuple[float, dict[str, Any]]:
    """How many results a transform can have for an RGB image of (height, width).

    Returns:
        An upper bound, since different draws may give equal pixels; infinite where it draws from a
        continuous range. And the parameters that follow from the largest values, {} if infinite.
    """
    return _count_draws(transform, size) if type(transform).__name__ in COUNTED else (math.inf, {})


@lru_cache(maxsize=1024)
def _count_draws(transform: Any, size: tuple[int, int]) -> tuple[float, dict[str, Any]]:
    counting = CountingGenerator()
    generators = transform.random_generator, transform.py_random
    data = {"image": np.broadcast_to(np.uint8(0), (*size, 3))}
    transform.set_random_state(counting, counting)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            params = transform.update_transform_params(params=transform.get_params(), data=data)
            params.update(transform.get_params_dependent_on_data(params=params, data=data))
    except Exception:  # a continuous draw, or any error of a transform that needs a real image
        return math.inf, {}
    finally:
        transform.set_random_state(*generators)
    return counting.ways, params
