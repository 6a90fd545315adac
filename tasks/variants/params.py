"""The augment block of params.yaml."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tasks.common.params import Block
from tasks.pixels.encode import Format

MOST_VARIANTS = 1_000_000  # of one image
MOST_IMAGES = 10**12


class Encoding(Block):
    """How variants are encoded.

    `auto` keeps the source's kind: JPEG sources stay JPEG, all others are stored without loss, PNG.

    `quality` serves JPEG and WebP, `lossless` WebP alone.
    """

    format: Literal["auto"] | Format = "auto"
    quality: int = Field(default=95, ge=1, le=100)
    lossless: bool = False

    @model_validator(mode="after")
    def _lossless_is_webp(self) -> "Encoding":
        if self.lossless and self.format != "webp":
            raise ValueError(
                f"lossless needs format webp, found {self.format}; png is always lossless"
            )
        return self

    def format_for(self, source_format: str) -> Format:
        """The format of the variants of a source of `source_format` (Pillow's name)."""
        if self.format != "auto":
            return self.format
        return "jpeg" if source_format in ("JPEG", "MPO", "HEIF") else "png"


def _one_step_alone(policy: Any) -> Any:
    """A policy is a list of steps; a step by itself is a list of one."""
    return [policy] if isinstance(policy, str | dict) else policy


PolicySteps = Annotated[list[Any], BeforeValidator(_one_step_alone)]


class ClassPlan(Block):
    """What one class gets instead: a number, by one of two ways to give it, and a policy.

    `at_least`: see AugmentParams; a class has one of its own.
    """

    variants_per_image: int | None = Field(None, ge=0, le=MOST_VARIANTS)
    target_per_class: int | None = Field(None, ge=1, le=MOST_IMAGES)
    at_least: bool = False
    policy: PolicySteps | None = None

    @property
    def has_number(self) -> bool:
        """Whether it says how many variants the class gets."""
        return self.variants_per_image is not None or self.target_per_class is not None

    @model_validator(mode="after")
    def _one_decides(self) -> "ClassPlan":
        if self.variants_per_image is not None and self.target_per_class is not None:
            raise ValueError("needs one of variants_per_image, target_per_class")
        if not self.has_number and self.policy is None:
            raise ValueError("needs variants_per_image, target_per_class or policy")
        if self.at_least and self.target_per_class is None:
            found = "policy" if self.variants_per_image is None else "variants_per_image"
            raise ValueError(f"at_least needs target_per_class beside it, found {found}")
        return self


class AugmentParams(Block):
    """How many variants (tasks/augment/plan.py), and what makes them (tasks/variants/policy.py).

    `at_least`: classes with more originals than `target_per_class` stay as they are.
    """

    seed: int = Field(42, ge=0)
    variants_per_image: int | None = Field(None, ge=0, le=MOST_VARIANTS)
    total: int | None = Field(None, ge=1, le=MOST_IMAGES)
    target_per_class: int | Literal["max"] | None = None
    at_least: bool = False
    per_class: dict[str, ClassPlan] = Field(default_factory=dict)
    max_per_image: int | None = Field(None, ge=0)
    policy: PolicySteps
    fuse: bool = True
    encoding: Encoding = Field(default_factory=Encoding)
    distinct: bool = True
    max_attempts: int = Field(10, ge=1)

    @field_validator("target_per_class", mode="before")
    @classmethod
    def _a_number_or_max(cls, target: Any) -> Any:
        if target not in (None, "max") and (
            isinstance(target, bool) or not isinstance(target, int)
        ):
            raise ValueError(f"needs a number or 'max', found {target!r}")
        return target

    @model_validator(mode="after")
    def _one_decides(self) -> "AugmentParams":
        names = ("variants_per_image", "total", "target_per_class")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"needs one of {', '.join(names)}, found {' and '.join(given) or 'none'}"
            )
        if isinstance(self.target_per_class, int) and not 1 <= self.target_per_class <= MOST_IMAGES:
            raise ValueError(
                f"target_per_class needs a number from 1 to {MOST_IMAGES} or 'max', "
                f"found {self.target_per_class}"
            )
        if self.at_least and not isinstance(self.target_per_class, int):
            found = "target_per_class: max" if self.target_per_class else given[0]
            raise ValueError(f"at_least needs a number as target_per_class, found {found}")
        for place, wanted in self._variants_asked_for():
            if self.max_per_image is not None and wanted > self.max_per_image:
                raise ValueError(f"{place} is {wanted}, over max_per_image {self.max_per_image}")
        return self

    def _variants_asked_for(self) -> list[tuple[str, int]]:
        asked = [("variants_per_image", self.variants_per_image)]
        asked += [
            (f"per_class.{name}.variants_per_image", own.variants_per_image)
            for name, own in self.per_class.items()
        ]
        return [(place, wanted) for place, wanted in asked if wanted is not None]
