"""The augment block of params.yaml."""

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from tasks.common.params import Block
from tasks.pixels.encode import Format

MOST_VARIANTS = 1_000_000  # of one image
MOST_IMAGES = 10**12
# The rules of tasks/lint; docs/lint.md says what each finds.
LintRule = Literal[
    "blurred", "clipped", "colour_on_grey", "compressed_twice", "constant_border",
    "constants_on_16_bits", "depth_lost", "does_nothing", "far_rotation", "flipped_symbols",
    "jpeg_over_jpeg", "large_holes", "larger_than_image", "lossy_encoding", "low_similarity",
    "meant_for_all", "mostly_untouched", "nearest_interpolation", "nothing_left",
    "partly_relabelled", "pixels_of_larger_images", "relabelled_targets", "repeated_resampling",
    "small_crop", "tone_before_border", "too_many_variants",
]  # fmt: skip
Strictness = Literal["warn", "fail", "off"]


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

    def loses(self, format: Format) -> bool:
        """Whether variants of a format are stored with loss."""
        return format != "png" and not self.lossless

    def format_for(self, source_format: str) -> Format:
        """The format of the variants of a source of `source_format` (Pillow's name)."""
        if self.format != "auto":
            return self.format
        return "jpeg" if source_format in ("JPEG", "MPO", "HEIF") else "png"


Then = Literal["redraw", "reject", "warn"]
# What a gate can be on, and the least and the most that it can be.
GATED = {
    "border": (0, 1),
    "kept": (0, 1),
    "clipped_low": (0, 1),
    "clipped_high": (0, 1),
    "sharpness": (0, math.inf),
    "contrast": (0, math.inf),
    "similarity": (-1, 1),
}


class GateParams(Block):
    """The least and the most that a measure of a variant may be, and what is done beyond them.

    `then`: draw the variant again, up to max_attempts; reject it at once; or count it, and warn.
    """

    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)
    then: Then = "redraw"

    @model_validator(mode="before")
    @classmethod
    def _says_which_bound(cls, gate: Any) -> Any:
        if not isinstance(gate, dict | GateParams):
            raise ValueError(f"needs min, max or both, as {{max: 0.25}}, found {gate!r}")
        return gate

    @model_validator(mode="after")
    def _has_a_bound(self) -> "GateParams":
        if self.min is None and self.max is None:
            raise ValueError("needs min, max or both, found neither")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"needs a min up to max, found {self.min:g} and {self.max:g}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most; infinite where there is no such bound."""
        least = -math.inf if self.min is None else self.min
        return least, math.inf if self.max is None else self.max


def _only_measures(gates: Any) -> Any:
    """Refuses names that are no measures that a gate can be on."""
    for name in gates if isinstance(gates, dict) else ():
        if name == "encoding_psnr":
            raise ValueError(
                "encoding_psnr is measured of one variant in 16 alone, after it was kept: "
                "no gate can be on it"
            )
        if name not in GATED:
            raise ValueError(f"unknown measure {name!r}; known: {', '.join(GATED)}")
    return gates


def _within_reach(gates: dict[str, GateParams]) -> dict[str, GateParams]:
    """Refuses bounds that no image can meet, or that all images do."""
    for name, gate in gates.items():
        least, most = GATED[name]
        for bound in ("min", "max"):
            value = getattr(gate, bound)
            if value is not None and not least <= value <= most:
                to = f"from {least} to {most}" if most < math.inf else f"of {least} or more"
                raise ValueError(f"{name}.{bound} needs a number {to}, found {value:g}")
    return gates


Gates = Annotated[
    dict[str, GateParams], BeforeValidator(_only_measures), AfterValidator(_within_reach)
]


def _one_step_alone(policy: Any) -> Any:
    """A policy is a list of steps; a step by itself is a list of one."""
    return [policy] if isinstance(policy, str | dict) else policy


PolicySteps = Annotated[list[Any], BeforeValidator(_one_step_alone)]


def _one_name_alone(names: Any) -> Any:
    """A name by itself is a list of one."""
    if isinstance(names, int | float):
        raise ValueError(f"needs names as texts, in quotes, found {names!r}")
    return [names] if isinstance(names, str) else names


def _some(entries: Any) -> Any:
    """Refuses a list or a mapping that says nothing."""
    if not entries:
        raise ValueError(f"needs at least one entry, found {entries!r}")
    return entries


Names = Annotated[list[str], BeforeValidator(_one_name_alone), AfterValidator(_some)]
Bounds = Annotated[dict[str, Any], AfterValidator(_some)]  # the largest range of each argument
ClassMap = Annotated[dict[str, str], AfterValidator(_some)]  # which class becomes which


class LabelRule(Block):
    """What a policy may do to images of some classes, and what it makes of their labels.

    `classes`: names, or patterns as of files (`shoe*`). `forbid`: names of steps. `bound`: of steps
    the largest ranges of their arguments. `relabel`: of steps, which class becomes which.
    See tasks/variants/label_rules.py and relabelling.py.
    """

    classes: Names
    forbid: Names = Field(default_factory=list)
    bound: dict[str, Bounds] = Field(default_factory=dict)
    relabel: dict[str, ClassMap] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> "LabelRule":
        if not (self.forbid or self.bound or self.relabel):
            raise ValueError("needs forbid, bound or relabel beside classes, found none")
        return self


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

    `at_least`: classes with more originals than `target_per_class` stay as they are. `lint`: what
    to do where a rule finds something; it decides no pixel.
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
    gates: Gates = Field(default_factory=dict)
    labels: list[LabelRule] = Field(default_factory=list)
    lint: dict[LintRule, Strictness] = Field(default_factory=dict)

    @field_validator("lint", mode="before")
    @classmethod
    def _known_rules(cls, lint: Any) -> Any:
        known = get_args(LintRule)
        for rule in lint if isinstance(lint, dict) else ():
            if rule not in known:
                raise ValueError(f"unknown rule {rule!r}; known: {', '.join(known)}")
        return lint

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
