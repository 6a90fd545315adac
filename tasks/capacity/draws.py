"""What a transform draws at random: counted by letting it draw from generators that count."""

import math
import warnings
from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np

# Transforms that draw independently of each other what they draw at all, as their source says (Albumentations 2.0.8),
# and whose random state is nothing but draws. All others (noise, holes, weather) are taken for continuous.
COUNTED = (
    "Affine", "AutoContrast", "Blur", "ChannelDropout", "ChannelShuffle", "ChromaticAberration", "CLAHE",
    "ColorJitter", "CropAndPad", "Defocus", "Downscale", "Emboss", "Equalize", "FancyPCA", "GaussianBlur",
    "GridDistortion", "HEStain", "HueSaturationValue", "Illumination", "ImageCompression", "InvertImg",
    "LongestMaxSize", "MedianBlur", "Morphological", "MotionBlur", "OpticalDistortion", "Pad", "PadIfNeeded",
    "Posterize", "RandomBrightnessContrast", "RandomGamma", "RandomGridShuffle", "RandomScale", "RandomSnow",
    "RandomToneCurve", "Resize", "RGBShift", "RingingOvershoot", "Rotate", "SafeRotate", "Sharpen", "ShiftScaleRotate",
    "SmallestMaxSize", "Solarize", "ToGray", "ToRGB", "ToSepia", "UnsharpMask", "ZoomBlur",
)  # fmt: skip


class ContinuousError(Exception):
    """A transform drew from a range that has no end of values."""


class Tally:
    """Stands in for `random.Random` and `numpy.random.Generator`; `ways` is the product of the choices there were.

    Each draw gives the largest value of its range. A draw that is not counted here raises a ContinuousError.
    """

    def __init__(self) -> None:
        self.ways = 1

    def _among(self, ways: int, value: Any) -> Any:
        self.ways *= ways
        return value

    def uniform(self, low: Any, high: Any, size: Any = None) -> Any:
        if not np.array_equal(low, high):
            raise ContinuousError
        return low if size is None else np.full(size, low)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return self.uniform(loc, loc + scale, size)

    def randint(self, low: int, high: int) -> int:
        return self._among(high - low + 1, high)

    def randrange(self, *bounds: int) -> int:
        return self._among(len(range(*bounds)), range(*bounds)[-1])

    def choice(self, options: list[Any]) -> Any:
        return self._among(
            len(options), options[0] if isinstance(options[0], str | tuple) else max(options)
        )

    def sample(self, options: Any, k: int) -> list[Any]:
        """For ChannelDropout, to which the order is nothing."""
        return self._among(math.comb(len(options), k), list(options)[:k])

    def shuffle(self, items: Any) -> None:
        repeats = Counter(np.asarray(items).tolist()).values()
        self.ways *= math.factorial(len(items)) // math.prod(
            math.factorial(count) for count in repeats
        )

    def integers(self, low: int, high: int) -> int:
        """A seed of OpenCV's noise, which RGBShift, the only one counted that asks for it, does not use."""
        return low

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ContinuousError


def ways_of(transform: Any, size: tuple[int, int]) -> tuple[float, dict[str, Any]]:
    """How many results a transform can have for an RGB image of (height, width), and its largest parameters.

    An upper bound: different draws may give equal pixels. Infinite where it draws from a continuous range.
    """
    return _drawn(transform, size) if type(transform).__name__ in COUNTED else (math.inf, {})


@lru_cache(maxsize=1024)
def _drawn(transform: Any, size: tuple[int, int]) -> tuple[float, dict[str, Any]]:
    tally, own = Tally(), (transform.random_generator, transform.py_random)
    data = {"image": np.broadcast_to(np.uint8(0), (*size, 3))}
    transform.set_random_state(tally, tally)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            params = transform.update_transform_params(params=transform.get_params(), data=data)
            params.update(transform.get_params_dependent_on_data(params=params, data=data))
    except (
        Exception
    ):  # a continuous draw, or a transform that cannot do with a black image: it may be anything
        return math.inf, {}
    finally:
        transform.set_random_state(*own)
    return tally.ways, params
