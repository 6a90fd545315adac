"""An image as the network takes it: a square of RGB pixels, squeezed, padded or cropped to it."""

from typing import Any, NamedTuple

import numpy as np

from tasks.model.params import Fit
from tasks.pixels.convert import resize, to_8_bits, to_rgb
from tasks.pixels.preprocess import Preprocessing

PADDING = 0  # black, as Keras and torchvision pad
INPUT_VERSION = 1  # raise it where as_input() gives other pixels: arrays are kept between runs


class InputForm(NamedTuple):
    """How image files become the network's input, in training as afterwards.

    `size`: of a side, in pixels. `fit`: how an image becomes a square. `preprocessing`: of
    originals; stored variants were made of preprocessed ones.
    """

    size: int
    fit: Fit
    preprocessing: Preprocessing

    def to_card(self) -> dict[str, Any]:
        """The entries of the model's card."""
        preprocessing = self.preprocessing.to_json()
        return {"image_size": self.size, "fit": self.fit, "preprocessing": preprocessing}

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> "InputForm":
        """That of a trained model.

        Raises:
            KeyError, ValueError: where it is no model's card.
        """
        return cls(card["image_size"], card["fit"], Preprocessing(**card["preprocessing"]))


def as_input(pixels: np.ndarray, size: int, fit: Fit = "squeeze") -> np.ndarray:
    """An image as the network takes it: uint8 (3, size, size), RGB.

    Args:
        pixels: see tasks/pixels.
        size: of a side, in pixels.
        fit: how an image that is no square becomes one; see TrainParams.
    """
    # a copy, because torch warns of arrays that cannot be written to, as decoders give them
    return _FITS[fit](to_rgb(to_8_bits(pixels)), size).transpose(2, 0, 1).copy()


def _squeeze(pixels: np.ndarray, size: int) -> np.ndarray:
    return resize(pixels, size, size)


def _pad(pixels: np.ndarray, size: int) -> np.ndarray:
    """The whole image in its own shape, in the middle of a black square."""
    longer = max(pixels.shape[:2])
    height, width = (max(1, round(side * size / longer)) for side in pixels.shape[:2])
    square = np.full((size, size, 3), PADDING, np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = resize(pixels, height, width)
    return square


def _crop(pixels: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle of the image."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return resize(pixels[top : top + side, left : left + side], size, size)


_FITS = {"squeeze": _squeeze, "pad": _pad, "crop": _crop}
