"""Build a policy from params.yaml and apply it to images, by Albumentations.

A policy is a list of steps, each `Name`, `Name: {argument: value}`, or one of the composites
`OneOf`, `SomeOf`, `Sequential` with `transforms: [...]` inside. Names and arguments are those of
Albumentations. A name that is not in TRANSFORMS or PUBLISHED is refused, and so is an argument that
the transform does not have: Albumentations itself would only warn.
"""

import difflib
import hashlib
import importlib.metadata
import inspect
import json
import math
import os
import random
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import AfterValidator, BaseModel, ValidationError

from tasks.common.errors import UserError
from tasks.common.params import key_and_problem

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # on import it would ask the network for updates
# Albumentations imports torch, where there is one, for a class that is not used here: 1.3 s.
_masked = "torch" not in sys.modules
if _masked:
    sys.modules["torch"] = None  # type: ignore[assignment]
import albumentations as A  # noqa: E402
import cv2  # noqa: E402

from tasks.pixels.preprocess import FROM_8_TO_16  # noqa: E402
from tasks.variants.fused.canvas import Canvas  # noqa: E402
from tasks.variants.fused.chain import apply_step  # noqa: E402
from tasks.variants.fused.geometry import Geometry  # noqa: E402
from tasks.variants.published_policies import PUBLISHED  # noqa: E402
from tasks.variants.transforms import (  # noqa: E402
    ELEMENTS,
    FILL_THE_FIRST_CHANNEL,
    FILL_WITH_ONE_OF,
    NAMED_NOW,
    NEED_COLOUR,
    TAKE_16_BITS,
    TRANSFORMS,
    UNSUITABLE,
)

if _masked:
    del sys.modules["torch"]
# Once for each image they would say what a plan says once, with what helps.
for _library in ("albucore", "albumentations"):
    warnings.filterwarnings("ignore", category=UserWarning, module=_library)

LOCATION = "params.yaml augment.policy"
LIBRARIES = (
    "albumentations",
    "albucore",
    "numpy",
    "opencv-python-headless",
    "pi-heif",
    "pillow",
    "scipy",
    "simsimd",
    "stringzilla",
)
COMPOSITES = ("OneOf", "SomeOf", "Sequential")
# Not black: a network would learn from black corners which images were rotated.
BORDER = cv2.BORDER_REFLECT_101
LONGEST_ARRAY = 64  # values that the ledger shows; of a longer array it shows the hash
JSON_TYPES = (str, int, bool, type(None))

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parse_step(step: Any, location: str) -> tuple[str, dict[str, Any]]:
    """A step's name and arguments.

    Raises:
        UserError: for a shape other than `Name` or `Name: {argument: value}`, or an unknown name.
    """
    if isinstance(step, str):
        step = {step: None}
    if not isinstance(step, dict) or len(step) != 1:
        raise UserError(f"{location}: needs `Name` or `Name: {{argument: value}}`, found {step!r}")
    name, arguments = next(iter(step.items()))
    require_name(str(name), f"{location} {name}")
    if arguments is not None and not isinstance(arguments, dict):
        raise UserError(
            f"{location} {name}: needs arguments as `{{argument: value}}`, found {arguments!r}"
        )
    return name, dict(arguments or {})


def steps_within(
    steps: list[Any], location: str = LOCATION
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the arguments of each step of params.yaml, and of those in composites."""
    for step in steps:
        name, arguments = parse_step(step, location)
        yield name, arguments
        if name in COMPOSITES:
            yield from steps_within(arguments["transforms"], location)


def require_name(name: str, place: str) -> None:
    """Raises UserError, with its place, for a name that no step of a policy can have."""
    if name not in (*TRANSFORMS, *PUBLISHED, *COMPOSITES):
        raise UserError(f"{place}: {_why_not(name)}")


def _why_not(name: str) -> str:
    """Why a policy cannot have a step of that name, and what it can have instead."""
    unsuitable = {name.lower(): reason for name, reason in UNSUITABLE.items()}
    if name.lower() in unsuitable:
        return unsuitable[name.lower()]
    known = {known.lower(): known for known in (*TRANSFORMS, *PUBLISHED, *COMPOSITES)}
    similar = difflib.get_close_matches(name.lower(), known, n=1)
    meant = NAMED_NOW.get(name) or (known[similar[0]] if similar else None)
    hint = f"is {meant} meant? " if meant else ""
    return f"unknown transform; {hint}docs/policies.md lists the known"


class Posterize(A.Posterize):
    """Albumentations' own, but for images of one channel and bits for each of three.

    Of these it fills three columns, and leaves the others as memory happens to be.
    """

    def apply(self, img: np.ndarray, num_bits: Any, **params: Any) -> np.ndarray:
        if img.ndim == 2 and isinstance(num_bits, list):
            raise ValueError("bits for each channel need an image of three channels, found one")
        return super().apply(img, num_bits, **params)


def _known_elements(elements: Any) -> Any:
    """Refuses what are no symmetries of the square; the order is always that of ELEMENTS."""
    if not isinstance(elements, list | tuple) or not elements:
        raise ValueError(f"needs a list of {', '.join(ELEMENTS)}, found {elements!r}")
    for element in elements:
        if element not in list(ELEMENTS):
            raise ValueError(f"unknown element {element!r}; known: {', '.join(ELEMENTS)}")
        if list(elements).count(element) > 1:
            raise ValueError(f"{element} is there twice")
    return [element for element in ELEMENTS if element in elements]


class D4(A.D4):
    """Albumentations' own, but with `elements`: those of the group that are drawn, all by default.

    Label rules leave out those that they forbid.
    """

    class InitSchema(A.D4.InitSchema):
        elements: Annotated[Any, AfterValidator(_known_elements)]

    def __init__(self, elements: list[str] | tuple[str, ...] = tuple(ELEMENTS), p: float = 1):
        super().__init__(p=p)
        self.elements = list(elements)

    def get_params(self) -> dict[str, Any]:
        return {"group_element": self.random_generator.choice(self.elements)}


class SquareSymmetry(D4):
    """Albumentations' other name of D4."""


OWN = {**PUBLISHED, "D4": D4, "Posterize": Posterize, "SquareSymmetry": SquareSymmetry}


def transform_class(name: str) -> Any:
    """The class of a step that `parse_step` admits."""
    return OWN[name] if name in OWN else getattr(A, name)


def build_step(step: Any, location: str) -> Any:
    """The Albumentations object for a step of params.yaml.

    Where pixels come from beyond the border of the image, and params.yaml gives neither
    `border_mode` nor `fill`, the image is reflected there.

    Raises:
        UserError: with the location, as in `params.yaml augment.policy[2] HorizontalFlip: unknown
            argument 'prob'`.
    """
    name, arguments = parse_step(step, location)
    kind = transform_class(name)
    known = list(inspect.signature(kind.__init__).parameters)
    known.remove("self")
    for argument in arguments:
        if argument not in known:
            raise UserError(
                f"{location} {name}: unknown argument {argument!r}; known: {', '.join(known)}"
            )
    if "border_mode" in known and not {"border_mode", "fill"} & arguments.keys():
        arguments["border_mode"] = BORDER
    if "fill" in arguments:
        arguments["fill"] = _checked_fill(name, arguments["fill"], location)
    if name in COMPOSITES:
        _check_composite(name, arguments, location)
        arguments["transforms"] = _build_inner(name, arguments.get("transforms"), location)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name not in COMPOSITES:
                checked_values(kind, arguments)
            return kind(**arguments)
    except ValidationError as error:
        raise UserError(key_and_problem(error, f"{location} {name}", kind.InitSchema)) from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{location} {name}: {' '.join(str(error).split())}") from None


def _build_inner(name: str, steps: Any, location: str) -> list[Any]:
    """The transforms of a composite."""
    if not isinstance(steps, list) or not steps:
        raise UserError(f"{location} {name}: needs transforms: [...], found {steps!r}")
    transforms = [build_step(step, f"{location}.transforms[{i}]") for i, step in enumerate(steps)]
    if name == "OneOf" and sum(transform.p for transform in transforms) == 0:
        raise UserError(
            f"{location} {name}: needs a transform with p above 0: they are its weights"
        )
    return transforms


def _checked_fill(name: str, fill: Any, location: str) -> Any:
    """A constant for pixels, which Albumentations takes as it is and fails on each image.

    One number is for all channels, in a list or not.
    """
    levels = fill if isinstance(fill, list) else [fill]
    numbers = [level for level in levels if isinstance(level, int | float)]
    if any(not 0 <= level <= 255 for level in numbers):
        raise UserError(f"{location} {name}.fill: needs numbers from 0 to 255, found {fill!r}")
    if isinstance(fill, list) and name not in FILL_WITH_ONE_OF:
        if len(fill) not in (1, 3):
            raise UserError(f"{location} {name}.fill: needs 1 or 3 numbers, found {fill!r}")
        fill = fill[0] if len(fill) == 1 else fill
    return [fill] * 3 if numbers == [fill] and name in FILL_THE_FIRST_CHANNEL else fill


def _check_composite(name: str, arguments: dict[str, Any], location: str) -> None:
    """Check what Albumentations does not check of its composites."""
    p = arguments.get("p", 0.5)
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
        raise UserError(f"{location} {name}.p: needs a number from 0 to 1, found {p!r}")
    if name == "SomeOf":
        n, most = arguments.get("n", 1), len(arguments.get("transforms") or [])
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= max(most, 1):
            raise UserError(
                f"{location} {name}.n: needs a whole number from 1 to {most}, found {n!r}"
            )


def checked_values(kind: Any, arguments: dict[str, Any]) -> BaseModel:
    """A step's values, defaults included, as Albumentations' own schema makes them of arguments.

    Its constructor checks them as well, but puts all errors into one long text.

    Raises:
        ValidationError: with each error.
    """
    parameters = inspect.signature(kind.__init__).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    values: BaseModel = kind.InitSchema.model_validate({**defaults, **arguments, "strict": False})
    return values


def build_transforms(policy: list[Any], location: str = LOCATION) -> list[Any]:
    """The transforms of a policy as Albumentations' objects, defaults included.

    `location`: where the policy stands in params.yaml.

    Raises:
        UserError: the first mistake, with its location.
    """
    try:
        json.dumps(policy, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{location}: needs lists, mappings, texts and finite numbers: {error}"
        ) from None
    return [build_step(step, f"{location}[{i}]") for i, step in enumerate(policy)]


def leaf_transforms(transforms: list[Any]) -> Iterator[Any]:
    """The transforms of a list in order, and of each composite in it those that it contains."""
    return (leaf for _, leaf in located_leaves(transforms))


def located_leaves(transforms: list[Any], location: str = LOCATION) -> Iterator[tuple[str, Any]]:
    """leaf_transforms(), each after its place, as in `params.yaml augment.policy[0] Blur`."""
    for i, transform in enumerate(transforms):
        place, name = f"{location}[{i}]", type(transform).__name__
        if name in COMPOSITES:  # ColorJitter has `transforms` as well
            yield from located_leaves(transform.transforms, f"{place}.transforms")
        else:
            yield f"{place} {name}", transform


def takes_grey(transforms: list[Any]) -> bool:
    """Whether every transform works on images of one channel."""
    return not any(map(needs_colour, leaf_transforms(transforms)))


def needs_colour(transform: Any) -> bool:
    """Whether a transform cannot work on one channel."""
    name = type(transform).__name__
    coloured_holes = isinstance(getattr(transform, "fill", None), tuple) and not hasattr(
        transform, "border_mode"
    )
    bits_by_channel = name == "Posterize" and isinstance(transform.num_bits, list)
    return name in NEED_COLOUR or coloured_holes or bits_by_channel


def scale_fill(transform: Any) -> None:
    """Scale the constant with which a transform fills from 8 bits to 16."""
    fill = getattr(transform, "fill", None)
    if isinstance(fill, int | float):
        transform.fill = fill * FROM_8_TO_16
    elif fill is not None and not isinstance(fill, str):  # a text: random or inpainted pixels
        transform.fill = tuple(level * FROM_8_TO_16 for level in fill)


def inpaints(transform: Any) -> bool:
    """Whether a transform fills by OpenCV's inpainting, which takes 8 bits only."""
    return str(getattr(transform, "fill", "")).startswith("inpaint")


class Applied(NamedTuple):
    """What a policy made of an image.

    `pixels`: of the same kinds as the image. `operations`: those applied, each a JSON object of
    `name` and its parameters. `geometry`: where the pixels come from.
    """

    pixels: np.ndarray
    operations: list[dict[str, Any]]
    geometry: Geometry


class Policy:
    """A policy, built once in a process and seeded anew for each variant.

    `takes_16_bits`, `takes_grey`: whether every transform in it works on such images. A `fill`
    is given for 8 bits; for images of 16 bits it is scaled, so that 255 is white there too.
    `fuse`: whether a run of like steps is done at once (tasks/variants/fused).
    """

    def __init__(self, steps: list[Any], location: str = LOCATION, fuse: bool = True) -> None:
        # All steps share one pair of generators, whose state is set for each variant:
        # Compose.set_random_seed() would make new ones for every step, which takes longer than
        # augmenting a small image.
        self.bits = np.random.PCG64(0)
        self.random = random.Random(0)
        transforms = build_transforms(steps, location)
        deep_transforms = build_transforms(steps, location)
        for leaf in leaf_transforms(deep_transforms):
            scale_fill(leaf)
        for step in (*transforms, *deep_transforms):
            step.set_random_state(np.random.Generator(self.bits), self.random)
        self.transforms = transforms
        self.transforms_16_bits = deep_transforms
        leaves = list(leaf_transforms(transforms))
        names = {type(leaf).__name__ for leaf in leaves}
        self.takes_16_bits = names.issubset(TAKE_16_BITS) and not any(map(inpaints, leaves))
        self.takes_grey = takes_grey(transforms)
        self.fuse = fuse

    def apply(self, pixels: np.ndarray, seed: int) -> Applied:
        """Augment an image; equal seeds give equal pixels.

        Args:
            pixels: uint8 or uint16, (height, width) or (height, width, 3).
            seed: 0 to 2**64 - 1.

        Raises:
            ValueError: for a result that is no image of 1 or 3 channels.
            Exception: whatever a transform raises on an image that it was not made for.
        """
        self._set_seed(seed)
        self.random.random()  # as Albumentations' Compose does, for its own p
        canvas = Canvas(pixels, self.fuse)
        for step in self.transforms_16_bits if pixels.dtype == np.uint16 else self.transforms:
            apply_step(step, canvas)
        operations = [{"name": name, **to_json_value(params)} for name, params in canvas.applied]
        return Applied(_as_image(canvas.finish()), operations, canvas.geometry)

    def _set_seed(self, seed: int) -> None:
        state = hashlib.sha256(seed.to_bytes(8, "big")).digest()
        self.bits.state = {
            "bit_generator": "PCG64",
            "state": {
                "state": int.from_bytes(state[:16], "big"),
                "inc": int.from_bytes(state[16:], "big") | 1,
            },
            "has_uint32": 0,
            "uinteger": 0,
        }
        self.random.seed(seed)


def _as_image(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype not in (np.uint8, np.uint16) or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    ):
        raise ValueError(
            f"the policy gives {pixels.dtype} {pixels.shape}, "
            "needs uint8 or uint16, 1 or 3 channels"
        )
    return np.ascontiguousarray(pixels)


def to_json_value(value: Any) -> Any:
    """`value` as JSON: arrays as lists, long ones as shape, dtype and SHA-256, floats to 9 digits.

    Nine significant digits are enough to see what was done. The last ones would differ between
    processors that take sums in another order.
    """
    # exact types first: a variant has dozens of values, and isinstance() is slower
    kind = type(value)
    if kind is float:
        return float(f"{value:.9g}") if math.isfinite(value) else str(value)
    if kind in JSON_TYPES:
        return value
    if isinstance(value, dict):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    if isinstance(value, np.ndarray):
        if value.size > LONGEST_ARRAY:
            digest = hashlib.sha256(value.tobytes()).hexdigest()
            return {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": digest}
        return to_json_value(value.tolist())
    if isinstance(value, np.generic):
        return to_json_value(value.item())
    return str(value)


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and without spaces: equal values give equal texts."""
    return _canonical.encode(value)


@cache
def library_versions() -> dict[str, str]:
    """The versions of the libraries that touch pixels, as installed; asked for once."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
