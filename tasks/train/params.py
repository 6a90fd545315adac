"""The train block of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.common.params import NONE_AS_WORD, Block
from tasks.model.params import SMALL_CNN_SIZES, Fit


class TrainParams(Block):
    """The network and how it is trained.

    `fit`: how an image that is no square becomes one. `squeeze` changes its shape; `pad` puts black
    beside it; `crop` cuts off its ends. `threads` has a part in the result: it decides in which
    order sums are taken. `mixup`, `cutmix`: the alpha of Beta(alpha, alpha). `weights`: none,
    default, or a file of pretrained ones. `freeze`: what of them stays as it is. `devices`: on how
    many of them it is trained, one process for each. docs/training.md says what the others do.
    """

    seed: int = Field(42, ge=0, lt=2**63)
    augmentation: Literal["offline", "online", "both", "device"] = "offline"
    mixup: Literal["none"] | float = "none"
    cutmix: Literal["none"] | float = "none"
    model: str = "small_cnn"
    weights: str = "none"
    freeze: Literal["none", "backbone"] = "none"
    image_size: Literal["auto"] | int = "auto"
    fit: Fit = "squeeze"
    epochs: int = Field(16, ge=1)
    batch_size: int = Field(128, ge=2)
    learning_rate: float = Field(0.003, gt=0, le=100)
    weight_decay: float = Field(0.05, ge=0, le=100)
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    warmup_epochs: float = Field(0, ge=0)
    ema: float = Field(0, ge=0, lt=1)
    clip_norm: Annotated[Annotated[float, Field(gt=0)] | None, NONE_AS_WORD] = None
    dropout: Annotated[Annotated[float, Field(ge=0, lt=1)] | None, NONE_AS_WORD] = None
    balance: Literal["none", "weights", "sampler"] = "none"
    patience: Annotated[Annotated[int, Field(ge=1)] | None, NONE_AS_WORD] = None
    threads: int = Field(2, ge=1, le=1024)
    compile: bool = False
    devices: int = Field(1, ge=1, le=1024)

    @model_validator(mode="after")
    def _an_image_for_each_device(self) -> "TrainParams":
        if self.devices > self.batch_size:
            raise ValueError(
                f"devices needs at most the images of a batch, {self.batch_size}, "
                f"found {self.devices}"
            )
        return self

    @model_validator(mode="after")
    def _mixed_on_the_device(self) -> "TrainParams":
        for name in ("mixup", "cutmix"):
            alpha = getattr(self, name)
            if alpha == "none":
                continue
            if not 0 < alpha <= 100:
                raise ValueError(f"{name} needs a number above 0, to 100, or 'none', found {alpha}")
            if self.augmentation != "device":
                raise ValueError(f"{name} needs augmentation: device, found {self.augmentation}")
        return self

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

    @model_validator(mode="after")
    def _warmup_fits(self) -> "TrainParams":
        if self.warmup_epochs and self.schedule == "one_cycle":
            raise ValueError(
                "warmup_epochs: schedule one_cycle warms up by itself; needs schedule: cosine or "
                "constant"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs needs less than the {self.epochs} epochs, "
                f"found {self.warmup_epochs:g}"
            )
        return self

    @model_validator(mode="after")
    def _trained_before_it_is_frozen(self) -> "TrainParams":
        if self.freeze == "backbone" and self.weights == "none":
            raise ValueError(
                "freeze: backbone needs pretrained weights: `weights: default` or a file, "
                "found weights: none"
            )
        return self

    @model_validator(mode="after")
    def _dropped_where_it_learns(self) -> "TrainParams":
        if self.dropout and self.freeze == "backbone":
            raise ValueError(
                "dropout has no effect with freeze: backbone, which drops nothing; needs "
                f"dropout: none or freeze: none, found {self.dropout:g}"
            )
        return self
