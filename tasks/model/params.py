"""What the train block of params.yaml says of a network's input."""

from typing import Literal

SMALL_CNN_SIZES = (8, 64)  # pixels a side, at least and at most
Fit = Literal["squeeze", "pad", "crop"]
