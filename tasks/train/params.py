"""The train block of params.yaml."""

from typing import Literal

from pydantic import Field, model_validator

from tasks.common.params import Block
from tasks.model.params import SMALL_CNN_SIZES, Fit


class TrainParams(Block):
    """The network and how it is trained.

    `fit`: how an image that is no square becomes one. `squeeze` changes its shape; `pad` puts black
    beside it; `crop` cuts off its ends. `threads` has a part in the result: it decides in which
    order sums are taken.
    """

    seed: int = Field(42, ge=0, lt=2**63)
    augmentation: Literal["offline", "online", "both"] = "offline"
    model: str = "small_cnn"
    image_size: Literal["auto"] | int = "auto"
    fit: Fit = "squeeze"
    epochs: int = Field(16, ge=1)
    batch_size: int = Field(128, ge=2)
    learning_rate: float = Field(0.003, gt=0, le=100)
    weight_decay: float = Field(0.05, ge=0, le=100)
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    threads: int = Field(2, ge=1, le=1024)

    @model_validator(mode="after")
    def _size_fits(self) -> "TrainParams":
        smallest, largest = SMALL_CNN_SIZES
        if isinstance(self.image_size, int):
            if self.image_size < 1:
                raise ValueError(
                    f"image_size needs a number from 1 or 'auto', found {self.image_size}"
                )
            if self.model == "small_cnn" and not smallest <= self.image_size <= largest:
                raise ValueError(
                    f"image_size: small_cnn takes {smallest} to {largest} pixels, "
                    f"found {self.image_size}"
                )
        return self
