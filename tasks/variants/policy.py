"""The policy: Albumentations' transforms, by their own names and arguments, behind this one door.

A policy in params.yaml is a list of steps, each `Name`, `Name: {argument: value}`, or one of the composites
`OneOf`, `SomeOf`, `Sequential` with `transforms: [...]` inside. What is not listed is refused, and so is an
argument that the transform does not have: Albumentations itself would only warn. Published policies are steps too.
"""

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
from typing import Any

import numpy as np
from pydantic import ValidationError

from tasks.common.errors import UserError
from tasks.common.params import key_and_problem

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks the network for news on import
_masked = "torch" not in sys.modules
if _masked:
    sys.modules["torch"] = None  # type: ignore[assignment]  # imported for one class that is not used: 1.3 s
import albumentations as A  # noqa: E402
import cv2  # noqa: E402

from tasks.variants.published_policies import PUBLISHED  # noqa: E402
from tasks.variants.transforms import (
    NEED_COLOUR,
    TAKE_16_BITS,
    TRANSFORMS,  # noqa: E402
)

if _masked:
    del sys.modules["torch"]

PLACE = "params.yaml augment.policy"
LIBRARIES = (
    "albumentations",
    "albucore",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "scipy",
    "simsimd",
    "stringzilla",
)
COMPOSITES = ("OneOf", "SomeOf", "Sequential")
BORDER = (
    cv2.BORDER_REFLECT_101
)  # black corners are the same in every class, and a network learns to see them
LONGEST_ARRAY = 64
PLAIN = (str, int, bool, type(None))

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parse_step(step: Any, place: str) -> tuple[str, dict[str, Any]]:
    """A step's name and arguments.

    Raises:
        UserError: for a shape other than `Name` or `Name: {argument: value}`, or a name that is not on the list.
    """
    if isinstance(step, str):
        step = {step: None}
    if not isinstance(step, dict) or len(step) != 1:
        raise UserError(f"{place}: needs `Name` or `Name: {{argument: value}}`, found {step!r}")
    name, arguments = next(iter(step.items()))
    if name not in (*TRANSFORMS, *PUBLISHED, *COMPOSITES):
        raise UserError(f"{place} {name}: unknown transform; docs/policies.md lists the known")
    if arguments is not None and not isinstance(arguments, dict):
        raise UserError(
            f"{place} {name}: needs arguments as `{{argument: value}}`, found {arguments!r}"
        )
    return name, dict(arguments or {})


def kind_of(name: str) -> Any:
    """The class of a step that `parse_step` admits."""
    return PUBLISHED[name] if name in PUBLISHED else getattr(A, name)


def build_step(step: Any, place: str) -> Any:
    """The Albumentations object for a step of params.yaml.

    Where a step can leave pixels without a source and params.yaml gives neither `border_mode` nor `fill`, they reflect.

    Raises:
        UserError: with the place, as in `params.yaml augment.policy[2] HorizontalFlip: unknown argument 'prob'`.
    """
    name, arguments = parse_step(step, place)
    kind = kind_of(name)
    known = [
        parameter
        for parameter in inspect.signature(kind.__init__).parameters
        if parameter != "self"
    ]
    for argument in arguments:
        if argument not in known:
            raise UserError(
                f"{place} {name}: unknown argument {argument!r}; known: {', '.join(known)}"
            )
    if "border_mode" in known and not {"border_mode", "fill"} & arguments.keys():
        arguments["border_mode"] = BORDER
    if name in COMPOSITES:
        _check_composite(name, arguments, place)
        inner = arguments.get("transforms")
        if not isinstance(inner, list) or not inner:
            raise UserError(f"{place} {name}: needs transforms: [...], found {inner!r}")
        arguments["transforms"] = [
            build_step(one, f"{place}.transforms[{i}]") for i, one in enumerate(inner)
        ]
        if name == "OneOf" and sum(one.p for one in arguments["transforms"]) == 0:
            raise UserError(
                f"{place} {name}: needs a transform with p above 0: they are its weights"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name not in COMPOSITES:
                _check_values(kind, arguments)
            return kind(**arguments)
    except ValidationError as error:
        raise UserError(key_and_problem(error, f"{place} {name}", kind.InitSchema)) from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{place} {name}: {' '.join(str(error).split())}") from None


def _check_composite(name: str, arguments: dict[str, Any], place: str) -> None:
    """What Albumentations does not check of its composites."""
    p = arguments.get("p", 0.5)
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
        raise UserError(f"{place} {name}.p: needs a number from 0 to 1, found {p!r}")
    if name == "SomeOf":
        n, most = arguments.get("n", 1), len(arguments.get("transforms") or [])
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= max(most, 1):
            raise UserError(f"{place} {name}.n: needs a whole number from 1 to {most}, found {n!r}")


def _check_values(kind: Any, arguments: dict[str, Any]) -> None:
    """Let Albumentations' own schema judge the values: its constructor would fold the errors into one long text."""
    parameters = inspect.signature(kind.__init__).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    kind.InitSchema.model_validate({**defaults, **arguments, "strict": False})


def built(policy: list[Any]) -> list[Any]:
    """The transforms of a policy, as Albumentations has them, defaults included.

    Raises:
        UserError: the first mistake, with its place.
    """
    try:
        json.dumps(policy, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{PLACE}: needs lists, mappings, texts and finite numbers: {error}"
        ) from None
    return [build_step(step, f"{PLACE}[{i}]") for i, step in enumerate(policy)]


def leaves(transforms: list[Any]) -> Iterator[Any]:
    """The transforms in a list of them, those in OneOf, SomeOf and Sequential in their place."""
    for transform in transforms:
        inner = getattr(transform, "transforms", None)
        if isinstance(inner, list | tuple):
            yield from leaves(list(inner))
        else:
            yield transform


class Policy:
    """A policy, built once in a process and seeded anew for each variant.

    `takes_16_bits`, `takes_grey`: whether every transform in it does.
    """

    def __init__(self, steps: list[Any]) -> None:
        transforms = built(steps)
        self.compose = A.Compose(transforms, save_applied_params=True)
        # One pair of generators serves all steps and is set back in place: Compose.set_random_seed() makes new ones
        # for every step, which takes longer than augmenting a small image.
        self.bits = np.random.PCG64(0)
        self.random = random.Random(0)
        self.compose.set_random_state(np.random.Generator(self.bits), self.random)
        names = {type(leaf).__name__ for leaf in leaves(transforms)}
        self.takes_16_bits = names.issubset(TAKE_16_BITS)
        self.takes_grey = names.isdisjoint(NEED_COLOUR)

    def apply(self, pixels: np.ndarray, seed: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """Augment `pixels` (uint8 or uint16, (height, width) or (height, width, 3)); equal seeds give equal pixels.

        Returns:
            The new pixels and the operations applied, as JSON-clean `{"name": ..., parameters}`.

        Raises:
            ValueError: for a result that is no image of 1 or 3 channels, and what a transform raises on an image
                that it was not made for.
        """
        self._set_seed(seed)
        result = self.compose(image=pixels.copy())  # AutoContrast, for one, writes into its input
        operations = [
            {"name": name, **clean(params)} for name, params in result["applied_transforms"]
        ]
        return _as_image(result["image"]), operations

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
            f"the policy gives {pixels.dtype} {pixels.shape}, needs uint8 or uint16, 1 or 3 channels"
        )
    return np.ascontiguousarray(pixels)


def clean(value: Any) -> Any:
    """`value` as JSON: arrays as lists, long ones as shape, dtype and SHA-256, floats to 9 significant digits.

    Nine digits are enough to see what was done, and do not show in which order a processor added.
    """
    kind = type(
        value
    )  # exact types first: a variant has dozens of values, and isinstance() takes its time
    if kind is float:
        return float(f"{value:.9g}") if math.isfinite(value) else str(value)
    if kind in PLAIN:
        return value
    if isinstance(value, dict):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    if isinstance(value, np.ndarray):
        if value.size > LONGEST_ARRAY:
            digest = hashlib.sha256(value.tobytes()).hexdigest()
            return {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": digest}
        return clean(value.tolist())
    if isinstance(value, np.generic):
        return clean(value.item())
    return str(value)


def canonical_json(value: Any) -> str:
    """`value` as the one JSON text that equal values share."""
    return _canonical.encode(value)


def library_versions() -> dict[str, str]:
    """The versions of the libraries that touch pixels, as installed."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
