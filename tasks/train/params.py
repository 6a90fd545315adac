"""The train block of params.yaml."""

from typing import Literal

from pydantic import Field

from tasks.params import Block


class TrainParams(Block):
    """The network and how it is trained. `threads` is part of the result: sums change with their order."""

    seed: int = Field(42, ge=0)
    model: str = "small_cnn"
    image_size: Literal["auto"] | int = "auto"
    epochs: int = Field(16, ge=1)
    batch_size: int = Field(128, ge=2)
    learning_rate: float = Field(0.003, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    threads: int = Field(2, ge=1)
