"""The validate block of params.yaml."""

from typing import Literal

from pydantic import Field, model_validator

from tasks.common.params import Block

# the checks, and their default thresholds; docs/parameters.md says what each means
CheckName = Literal[
    "few_images", "imbalance", "class_names", "quarantined", "tiny", "huge", "blank", "blurred",
    "dark", "bright", "odd_size", "odd_channels", "large_cluster", "small_range",
]  # fmt: skip
THRESHOLDS: dict[CheckName, float] = {
    "few_images": 10,  # usable images of a class
    "imbalance": 20,  # largest class over smallest
    "class_names": 0,
    "quarantined": 0.05,  # of all images
    "tiny": 8,  # pixels, the shorter side
    "huge": 10_000,  # pixels, the longer side
    "blank": 2,  # contrast, grey levels
    "blurred": 10,  # sharpness
    "dark": 3.5,  # deviations of the brightness from the median
    "bright": 3.5,
    "odd_size": 20,  # times the median number of pixels, or one so-many-th of it
    "odd_channels": 0.05,  # of all images have so many channels and bits
    "large_cluster": 0.01,  # of all images look the same
    "small_range": 0.25,  # of what 16 bits can hold: 14 bits and fewer are found
}


class Check(Block):
    """`then`: what to do where the check finds something; `threshold`: see THRESHOLDS."""

    then: Literal["warn", "fail", "off"] = "warn"
    threshold: float | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _expand_word(cls, value: object) -> object:
        """`blurred: fail` is short for `blurred: {then: fail}`."""
        return {"then": value} if isinstance(value, str) else value


class ValidateParams(Block):
    """How images are checked, and split where folders or tables do not say it all.

    `near_duplicates`: `auto` compares images whose shorter side has at least 64 pixels. `on_leak`:
    what to do where a given split parts images that belong together.
    """

    seed: int = 42
    train: float = Field(0.70, gt=0, lt=1)
    validation: float = Field(0.15, gt=0, lt=1)
    test: float = Field(0.15, gt=0, lt=1)
    stratify: Literal["stable", "exact"] = "stable"
    near_duplicates: Literal["auto", "all", "off"] = "auto"
    on_leak: Literal["report", "drop_from_train", "fail"] = "drop_from_train"
    checks: dict[CheckName, Check] = Field({})

    @model_validator(mode="after")
    def _add_up_to_one(self) -> "ValidateParams":
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, validation and test need to add up to 1, found {total:g}")
        return self

    def check(self, name: CheckName) -> tuple[str, float]:
        """What to do and the threshold of one check."""
        check = self.checks.get(name, Check())
        return check.then, THRESHOLDS[name] if check.threshold is None else check.threshold
