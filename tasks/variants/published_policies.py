"""Published policies as steps: TrivialAugment, RandAugment and AutoAugment, in Pillow's operations.

Each draws some operations with their magnitudes and applies them in order. Tables and pixels are those of torchvision's
reference implementation on PIL images, with its defaults: nearest interpolation, and black where no pixel comes from.
"""

import math
from collections.abc import Callable, Iterable
from itertools import product
from typing import Annotated, Any, TypeAlias

import albumentations as A
import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from pydantic import AfterValidator

SIGNED = (
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
    "Brightness",
    "Color",
    "Contrast",
    "Sharpness",
)
GRADED = (*SIGNED, "Posterize", "Solarize")
OPERATIONS = ("Identity", *GRADED, "AutoContrast", "Equalize")
SIGNS = (False, True)  # whether a magnitude is negative
BINS = 31  # magnitudes of TrivialAugment and RandAugment, from none to the strongest
# Of each sub-policy's two operations: name, probability and magnitude, which is one of ten.
SUB_POLICIES = {
    "imagenet": """
        Posterize 0.4 8 + Rotate 0.6 9; Solarize 0.6 5 + AutoContrast 0.6; Equalize 0.8 + Equalize 0.6;
        Posterize 0.6 7 + Posterize 0.6 6; Equalize 0.4 + Solarize 0.2 4; Equalize 0.4 + Rotate 0.8 8;
        Solarize 0.6 3 + Equalize 0.6; Posterize 0.8 5 + Equalize 1.0; Rotate 0.2 3 + Solarize 0.6 8;
        Equalize 0.6 + Posterize 0.4 6; Rotate 0.8 8 + Color 0.4 0; Rotate 0.4 9 + Equalize 0.6;
        Equalize 0.0 + Equalize 0.8; Invert 0.6 + Equalize 1.0; Color 0.6 4 + Contrast 1.0 8;
        Rotate 0.8 8 + Color 1.0 2; Color 0.8 8 + Solarize 0.8 7; Sharpness 0.4 7 + Invert 0.6;
        ShearX 0.6 5 + Equalize 1.0; Color 0.4 0 + Equalize 0.6; Equalize 0.4 + Solarize 0.2 4;
        Solarize 0.6 5 + AutoContrast 0.6; Invert 0.6 + Equalize 1.0; Color 0.6 4 + Contrast 1.0 8;
        Equalize 0.8 + Equalize 0.6
    """,
    "cifar10": """
        Invert 0.1 + Contrast 0.2 6; Rotate 0.7 2 + TranslateX 0.3 9; Sharpness 0.8 1 + Sharpness 0.9 3;
        ShearY 0.5 8 + TranslateY 0.7 9; AutoContrast 0.5 + Equalize 0.9; ShearY 0.2 7 + Posterize 0.3 7;
        Color 0.4 3 + Brightness 0.6 7; Sharpness 0.3 9 + Brightness 0.7 9; Equalize 0.6 + Equalize 0.5;
        Contrast 0.6 7 + Sharpness 0.6 5; Color 0.7 7 + TranslateX 0.5 8; Equalize 0.3 + AutoContrast 0.4;
        TranslateY 0.4 3 + Sharpness 0.2 6; Brightness 0.9 6 + Color 0.2 8; Solarize 0.5 2 + Invert 0.0;
        Equalize 0.2 + AutoContrast 0.6; Equalize 0.2 + Equalize 0.6; Color 0.9 9 + Equalize 0.6;
        AutoContrast 0.8 + Solarize 0.2 8; Brightness 0.1 3 + Color 0.7 0; Solarize 0.4 5 + AutoContrast 0.9;
        TranslateY 0.9 9 + TranslateY 0.7 9; AutoContrast 0.9 + Solarize 0.8 3; Equalize 0.8 + Invert 0.1;
        TranslateY 0.7 9 + AutoContrast 0.9
    """,
    "svhn": """
        ShearX 0.9 4 + Invert 0.2; ShearY 0.9 8 + Invert 0.7; Equalize 0.6 + Solarize 0.6 6; Invert 0.9 + Equalize 0.6;
        Equalize 0.6 + Rotate 0.9 3; ShearX 0.9 4 + AutoContrast 0.8; ShearY 0.9 8 + Invert 0.4;
        ShearY 0.9 5 + Solarize 0.2 6; Invert 0.9 + AutoContrast 0.8; Equalize 0.6 + Rotate 0.9 3;
        ShearX 0.9 4 + Solarize 0.3 3; ShearY 0.8 8 + Invert 0.7; Equalize 0.9 + TranslateY 0.6 6;
        Invert 0.9 + Equalize 0.6; Contrast 0.3 3 + Rotate 0.8 4; Invert 0.8 + TranslateY 0.0 2;
        ShearY 0.7 6 + Solarize 0.4 8; Invert 0.6 + Rotate 0.8 4; ShearY 0.3 7 + TranslateX 0.9 3;
        ShearX 0.1 6 + Invert 0.6; Solarize 0.7 2 + TranslateY 0.6 7; ShearY 0.8 4 + Invert 0.8;
        ShearX 0.7 9 + TranslateY 0.8 3; ShearY 0.8 5 + AutoContrast 0.7; ShearX 0.7 2 + Invert 0.1
    """,
}
SUB_POLICY_BINS = 10
WITHOUT_EFFECT = {
    "Posterize": 8,
    "Solarize": 256,
}  # magnitudes that change nothing; of all others 0
MOST_WALKED = 10_000  # combinations of draws; more are not told apart
Draw: TypeAlias = dict[
    tuple[str, Any] | None, float
]  # operations (name, magnitude), None where nothing changes


def _strongest(
    shear: float, translate: tuple[float, float], rotate: float, enhance: float, bits_lost: int
) -> dict[str, float]:
    values = (shear, shear, *translate, rotate, *[enhance] * 4, bits_lost, 255.0)
    return dict(zip(GRADED, values, strict=True))


# The strongest magnitude of each graded operation in the Wide space; shears as tangents, translations in pixels.
WIDE = _strongest(0.99, (32.0, 32.0), 135.0, 0.99, 6)


def standard(height: int, width: int) -> dict[str, float]:
    """The same in AutoAugment's and RandAugment's space, where translations go with the size of the image."""
    return _strongest(0.3, (150 / 331 * width, 150 / 331 * height), 30.0, 0.9, 4)


def operation(
    name: str, strongest: dict[str, float], level: int, bins: int, negative: bool
) -> dict[str, Any]:
    """An operation with magnitude `level` of `bins`, from none to the strongest, as the ledger shows it.

    The magnitude of Posterize is the bits left, that of Solarize the threshold; both have no sign.
    """
    if name not in GRADED:
        return {"name": name}
    strength = strongest[name] * level / (bins - 1)
    if name == "Posterize":
        return {"name": name, "magnitude": 8 - round(strength)}
    if name == "Solarize":
        return {"name": name, "magnitude": 255.0 - strength}
    signed = -strength if negative else strength
    return {"name": name, "magnitude": int(signed) if name.startswith("Translate") else signed}


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    """The pixel at (x, y) comes from (ax + by + c, dx + ey + f)."""
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=0
    )


# What each does to an image (L or RGB), with its magnitude where it has one.
PERFORM: dict[str, Callable[[Image.Image, Any], Image.Image]] = {
    "Identity": lambda image, _: image,
    "ShearX": lambda image, m: _affine(image, 1, m, 0, 0, 1, 0),
    "ShearY": lambda image, m: _affine(image, 1, 0, 0, m, 1, 0),
    "TranslateX": lambda image, m: _affine(image, 1, 0, -m, 0, 1, 0),
    "TranslateY": lambda image, m: _affine(image, 1, 0, 0, 0, 1, -m),
    "Rotate": lambda image, m: image.rotate(m, Image.Resampling.NEAREST, fillcolor=0),
    "Brightness": lambda image, m: ImageEnhance.Brightness(image).enhance(1 + m),
    "Color": lambda image, m: ImageEnhance.Color(image).enhance(1 + m),
    "Contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(1 + m),
    "Sharpness": lambda image, m: ImageEnhance.Sharpness(image).enhance(1 + m),
    "Posterize": ImageOps.posterize,
    "Solarize": ImageOps.solarize,
    "AutoContrast": lambda image, _: ImageOps.autocontrast(image),
    "Equalize": lambda image, _: ImageOps.equalize(image),
    "Invert": lambda image, _: ImageOps.invert(image),
}


def whole(least: int, most: int) -> AfterValidator:
    """A check that a value is a whole number from `least` to `most`."""

    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"needs a whole number from {least} to {most}, found {value!r}")
        return value

    return AfterValidator(check)


def _one_of_the_policies(value: Any) -> Any:
    if value not in list(SUB_POLICIES):
        raise ValueError(f"needs imagenet, cifar10 or svhn, found {value!r}")
    return value


def sub_policies(policy: str) -> list[list[tuple[str, float, int]]]:
    """The pairs of (name, probability, magnitude) that AutoAugment found on a data set; 0 where there is none."""
    pairs = [[step.split() for step in pair.split("+")] for pair in SUB_POLICIES[policy].split(";")]
    return [
        [(name, float(p), int(level[0]) if level else 0) for name, p, *level in pair]
        for pair in pairs
    ]


def _draw(weighed: Iterable[tuple[dict[str, Any], float]]) -> Draw:
    """Operations with their probabilities as a draw: equal ones as one, and those that change nothing as None."""
    draw: Draw = {}
    for one, p in weighed:
        name, magnitude = one["name"], one.get("magnitude")
        key = (
            None
            if name == "Identity" or magnitude == WITHOUT_EFFECT.get(name, 0)
            else (name, magnitude)
        )
        draw[key] = draw.get(key, 0.0) + p
    return draw


def outcomes(step: Any, height: int, width: int) -> dict[tuple[tuple[str, Any], ...], float]:
    """The operations, in order, that a published policy may apply to an image of (height, width): probabilities.

    () stands for none that changes it. Of more than MOST_WALKED it is the only one told, and the rest is missing to 1.
    """
    sequences = step.draws(height, width)
    walked: dict[tuple[tuple[str, Any], ...], float] = {}
    if sum(math.prod(map(len, sequence)) for sequence in sequences) > MOST_WALKED:
        sequences = [[{None: draw.get(None, 0.0)} for draw in sequence] for sequence in sequences]
    for sequence in sequences:
        for drawn in product(*(draw.items() for draw in sequence)):
            applied = tuple(one for one, _ in drawn if one is not None)
            walked[applied] = walked.get(applied, 0.0) + math.prod(p for _, p in drawn) / len(
                sequences
            )
    return {applied: p for applied, p in walked.items() if p > 0}


class _Published(A.ImageOnlyTransform):
    """Draws operations for an image and applies them; its name is what params.yaml and the ledger call it."""

    def draw(self, height: int, width: int) -> list[dict[str, Any]]:
        raise NotImplementedError

    def draws(self, height: int, width: int) -> list[list[Draw]]:
        """The same with probabilities: sequences of independent draws, of which one, all equally likely, is taken."""
        raise NotImplementedError

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        return {"operations": self.draw(*params["shape"][:2])}

    def apply(self, img: np.ndarray, operations: list[dict[str, Any]], **params: Any) -> np.ndarray:
        image = Image.fromarray(img)
        for one in operations:
            image = PERFORM[one["name"]](image, one.get("magnitude"))
        return np.array(image)


class trivialaugment(_Published):  # noqa: N801
    """One operation, one of its magnitudes, all equally likely (Mueller & Hutter, TrivialAugment, 2021; Wide space)."""

    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p=p)

    def draw(self, height: int, width: int) -> list[dict[str, Any]]:
        name, level = self.py_random.choice(OPERATIONS), self.py_random.randrange(BINS)
        return [operation(name, WIDE, level, BINS, self.py_random.random() < 0.5)]

    def draws(self, height: int, width: int) -> list[list[Draw]]:
        every = [
            operation(name, WIDE, *one)
            for name in OPERATIONS
            for one in product(range(BINS), [BINS], SIGNS)
        ]
        return [[_draw((one, 1 / len(every)) for one in every)]]


class randaugment(_Published):  # noqa: N801
    """`n` operations, all equally likely, of magnitude `m` of 30 (Cubuk et al., RandAugment, 2020)."""

    class InitSchema(A.ImageOnlyTransform.InitSchema):
        n: Annotated[Any, whole(1, len(OPERATIONS))]
        m: Annotated[Any, whole(0, BINS - 1)]

    def __init__(self, n: int = 2, m: int = 9, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.n, self.m = n, m

    def draw(self, height: int, width: int) -> list[dict[str, Any]]:
        chosen = [
            (self.py_random.choice(OPERATIONS), self.py_random.random() < 0.5)
            for _ in range(self.n)
        ]
        strongest = standard(height, width)
        return [operation(name, strongest, self.m, BINS, negative) for name, negative in chosen]

    def draws(self, height: int, width: int) -> list[list[Draw]]:
        strongest = standard(height, width)
        every = [
            operation(name, strongest, self.m, BINS, negative)
            for name, negative in product(OPERATIONS, SIGNS)
        ]
        return [[_draw((one, 1 / len(every)) for one in every)] * self.n]


class autoaugment(_Published):  # noqa: N801
    """One of 25 pairs of operations, each with its probability (Cubuk et al., AutoAugment, 2019)."""

    class InitSchema(A.ImageOnlyTransform.InitSchema):
        policy: Annotated[Any, AfterValidator(_one_of_the_policies)]

    def __init__(self, policy: str = "imagenet", p: float = 1.0) -> None:
        super().__init__(p=p)
        self.policy = policy
        self.pairs = sub_policies(policy)

    def draw(self, height: int, width: int) -> list[dict[str, Any]]:
        strongest, applied = standard(height, width), []
        for name, p, level in self.py_random.choice(self.pairs):
            drawn, negative = self.py_random.random(), self.py_random.random() < 0.5
            if drawn < p:
                applied.append(operation(name, strongest, level, SUB_POLICY_BINS, negative))
        return applied

    def draws(self, height: int, width: int) -> list[list[Draw]]:
        strongest = standard(height, width)

        def alternatives(name: str, p: float, level: int) -> Draw:
            both = [
                operation(name, strongest, level, SUB_POLICY_BINS, negative) for negative in SIGNS
            ]
            return _draw([({"name": "Identity"}, 1 - p), *((one, p / 2) for one in both)])

        return [[alternatives(*step) for step in pair] for pair in self.pairs]


PUBLISHED = {kind.__name__: kind for kind in (trivialaugment, randaugment, autoaugment)}
