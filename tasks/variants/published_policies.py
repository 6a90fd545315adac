"""TrivialAugment, RandAugment and AutoAugment as steps of a policy, in Pillow's operations.

Each draws one or more operations with their magnitudes and applies them in order. Tables and pixels
are those of torchvision's reference implementation on PIL images, with its defaults: nearest
interpolation, and black where an operation moves no pixel to.
"""

import math
from collections.abc import Callable, Iterable
from itertools import product
from typing import Annotated, Any, NamedTuple, TypeAlias

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
        Posterize 0.4 8 + Rotate 0.6 9; Solarize 0.6 5 + AutoContrast 0.6;
        Equalize 0.8 + Equalize 0.6; Posterize 0.6 7 + Posterize 0.6 6;
        Equalize 0.4 + Solarize 0.2 4; Equalize 0.4 + Rotate 0.8 8; Solarize 0.6 3 + Equalize 0.6;
        Posterize 0.8 5 + Equalize 1.0; Rotate 0.2 3 + Solarize 0.6 8;
        Equalize 0.6 + Posterize 0.4 6; Rotate 0.8 8 + Color 0.4 0; Rotate 0.4 9 + Equalize 0.6;
        Equalize 0.0 + Equalize 0.8; Invert 0.6 + Equalize 1.0; Color 0.6 4 + Contrast 1.0 8;
        Rotate 0.8 8 + Color 1.0 2; Color 0.8 8 + Solarize 0.8 7; Sharpness 0.4 7 + Invert 0.6;
        ShearX 0.6 5 + Equalize 1.0; Color 0.4 0 + Equalize 0.6; Equalize 0.4 + Solarize 0.2 4;
        Solarize 0.6 5 + AutoContrast 0.6; Invert 0.6 + Equalize 1.0; Color 0.6 4 + Contrast 1.0 8;
        Equalize 0.8 + Equalize 0.6
    """,
    "cifar10": """
        Invert 0.1 + Contrast 0.2 6; Rotate 0.7 2 + TranslateX 0.3 9;
        Sharpness 0.8 1 + Sharpness 0.9 3; ShearY 0.5 8 + TranslateY 0.7 9;
        AutoContrast 0.5 + Equalize 0.9; ShearY 0.2 7 + Posterize 0.3 7;
        Color 0.4 3 + Brightness 0.6 7; Sharpness 0.3 9 + Brightness 0.7 9;
        Equalize 0.6 + Equalize 0.5; Contrast 0.6 7 + Sharpness 0.6 5;
        Color 0.7 7 + TranslateX 0.5 8; Equalize 0.3 + AutoContrast 0.4;
        TranslateY 0.4 3 + Sharpness 0.2 6; Brightness 0.9 6 + Color 0.2 8;
        Solarize 0.5 2 + Invert 0.0; Equalize 0.2 + AutoContrast 0.6; Equalize 0.2 + Equalize 0.6;
        Color 0.9 9 + Equalize 0.6; AutoContrast 0.8 + Solarize 0.2 8;
        Brightness 0.1 3 + Color 0.7 0; Solarize 0.4 5 + AutoContrast 0.9;
        TranslateY 0.9 9 + TranslateY 0.7 9; AutoContrast 0.9 + Solarize 0.8 3;
        Equalize 0.8 + Invert 0.1; TranslateY 0.7 9 + AutoContrast 0.9
    """,
    "svhn": """
        ShearX 0.9 4 + Invert 0.2; ShearY 0.9 8 + Invert 0.7; Equalize 0.6 + Solarize 0.6 6;
        Invert 0.9 + Equalize 0.6; Equalize 0.6 + Rotate 0.9 3; ShearX 0.9 4 + AutoContrast 0.8;
        ShearY 0.9 8 + Invert 0.4; ShearY 0.9 5 + Solarize 0.2 6; Invert 0.9 + AutoContrast 0.8;
        Equalize 0.6 + Rotate 0.9 3; ShearX 0.9 4 + Solarize 0.3 3; ShearY 0.8 8 + Invert 0.7;
        Equalize 0.9 + TranslateY 0.6 6; Invert 0.9 + Equalize 0.6; Contrast 0.3 3 + Rotate 0.8 4;
        Invert 0.8 + TranslateY 0.0 2; ShearY 0.7 6 + Solarize 0.4 8; Invert 0.6 + Rotate 0.8 4;
        ShearY 0.3 7 + TranslateX 0.9 3; ShearX 0.1 6 + Invert 0.6;
        Solarize 0.7 2 + TranslateY 0.6 7; ShearY 0.8 4 + Invert 0.8;
        ShearX 0.7 9 + TranslateY 0.8 3; ShearY 0.8 5 + AutoContrast 0.7; ShearX 0.7 2 + Invert 0.1
    """,
}
SUB_POLICY_BINS = 10
WITHOUT_EFFECT = {"Posterize": 8, "Solarize": 256}  # magnitudes that change nothing; else 0
MOST_COMBINATIONS = 10_000  # of draws; more are not enumerated
Effect: TypeAlias = tuple[str, Any]  # an operation's name and magnitude
Alternatives: TypeAlias = dict[Effect | None, float]  # probabilities; None where nothing changes


class SubPolicyStep(NamedTuple):
    """An operation of a sub-policy; `level`: of SUB_POLICY_BINS, 0 where it has no magnitude."""

    name: str
    probability: float
    level: int


def _strongest(
    shear: float, translate: tuple[float, float], rotate: float, enhance: float, bits_lost: int
) -> dict[str, float]:
    values = (shear, shear, *translate, rotate, *[enhance] * 4, bits_lost, 255.0)
    return dict(zip(GRADED, values, strict=True))


# The strongest magnitude of each graded operation in TrivialAugment's Wide space: shears as
# tangents, translations in pixels, rotations in degrees.
WIDE = _strongest(0.99, (32.0, 32.0), 135.0, 0.99, 6)
SCALED_SHIFT = 10 / 32  # of a side, at most: see scaled_magnitudes()


def scaled_magnitudes(height: int, width: int) -> dict[str, float]:
    """WIDE, but with translations that suit an image of (height, width).

    32 pixels move out all of an image of 28. The authors' own code, aug_lib.py of
    https://github.com/automl/trivialaugment, scales translations with the images: by up to 10
    pixels in `fixed_standard`, their space for images of 32, and by up to 70 in `fiximagenet`, for
    images of 224. Both are one share of the side, the one here.
    """
    shifts = (SCALED_SHIFT * width, SCALED_SHIFT * height)
    return WIDE | dict(zip(("TranslateX", "TranslateY"), shifts, strict=True))


def standard_magnitudes(height: int, width: int) -> dict[str, float]:
    """The strongest magnitudes of AutoAugment and RandAugment for an image of (height, width).

    Translations are a share of the image's size.
    """
    return _strongest(0.3, (150 / 331 * width, 150 / 331 * height), 30.0, 0.9, 4)


def operation_at(
    name: str, strongest: dict[str, float], level: int, bins: int, negative: bool
) -> dict[str, Any]:
    """An operation as the ledger shows it: `name` and, where it has one, `magnitude`.

    Args:
        name: of PERFORM.
        strongest: WIDE, scaled_magnitudes() or standard_magnitudes().
        level: of the magnitude, from 0 (none) to bins - 1 (the strongest).
        bins: how many levels there are.
        negative: whether the magnitude gets a minus, of operations in SIGNED. That of Posterize is
            the number of bits left, that of Solarize the threshold; both have no sign.
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
    """By `matrix` (a, b, c, d, e, f) the pixel at (x, y) is that of (ax + by + c, dx + ey + f)."""
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=0
    )


# What each operation does to an image (L or RGB), with its magnitude where it has one.
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


def matrix_of(operation: dict[str, Any], height: int, width: int) -> np.ndarray | None:
    """The matrix of one operation, as tasks/variants/fused/geometry.py has them; None: it has none.

    Pillow counts from the corner of the image, half a pixel from the centre of the first, and
    takes the matrix that leads back.
    """
    name, m = operation["name"], operation.get("magnitude", 0)
    cos, sin = math.cos(math.radians(m)), math.sin(math.radians(m))
    x, y = width / 2, height / 2
    from_the_corner = {
        "ShearX": [[1, -m, 0], [0, 1, 0]],
        "ShearY": [[1, 0, 0], [-m, 1, 0]],
        "TranslateX": [[1, 0, m], [0, 1, 0]],
        "TranslateY": [[1, 0, 0], [0, 1, m]],
        "Rotate": [[cos, sin, x - x * cos - y * sin], [-sin, cos, y + x * sin - y * cos]],
    }.get(name)
    if from_the_corner is None:
        return None
    (a, b, c), (d, e, f) = from_the_corner
    return np.array(
        [[a, b, c + (a + b - 1) / 2], [d, e, f + (d + e - 1) / 2], [0, 0, 1]], np.float64
    )


def whole_number(least: int, most: int) -> AfterValidator:
    """A check that a value is a whole number from `least` to `most`."""

    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"needs a whole number from {least} to {most}, found {value!r}")
        return value

    return AfterValidator(check)


def _true_or_false(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError(f"needs true or false, found {value!r}")
    return value


def _one_of_the_policies(value: Any) -> Any:
    if value not in list(SUB_POLICIES):
        raise ValueError(f"needs imagenet, cifar10 or svhn, found {value!r}")
    return value


def sub_policies(policy: str) -> list[list[SubPolicyStep]]:
    """The pairs of operations that AutoAugment found on a data set, a key of SUB_POLICIES."""
    return [_sub_policy(pair) for pair in SUB_POLICIES[policy].split(";")]


def _sub_policy(text: str) -> list[SubPolicyStep]:
    steps = []
    for step in text.split("+"):
        name, probability, *level = step.split()
        steps.append(SubPolicyStep(name, float(probability), int(level[0]) if level else 0))
    return steps


def _alternatives(weighed: Iterable[tuple[dict[str, Any], float]]) -> Alternatives:
    """Operations of which one is drawn, with probabilities; those of equal effect as one."""
    alternatives: Alternatives = {}
    for one, p in weighed:
        name, magnitude = one["name"], one.get("magnitude")
        unchanged = name == "Identity" or magnitude == WITHOUT_EFFECT.get(name, 0)
        effect = None if unchanged else (name, magnitude)
        alternatives[effect] = alternatives.get(effect, 0.0) + p
    return alternatives


def operation_sequences(step: Any, height: int, width: int) -> dict[tuple[Effect, ...], float]:
    """What a published policy may apply to an image of (height, width), with its probability.

    Args:
        step: an object of one of PUBLISHED.
        height: in pixels.
        width: in pixels.

    Returns:
        The operations in order; () where none has an effect. Above MOST_COMBINATIONS only () is
        there, and the probabilities add up to less than 1.
    """
    sequences = step.sequences(height, width)
    if sum(math.prod(map(len, sequence)) for sequence in sequences) > MOST_COMBINATIONS:
        sequences = [_unchanged_alone(sequence) for sequence in sequences]
    found: dict[tuple[Effect, ...], float] = {}
    for sequence in sequences:
        for drawn in product(*(alternatives.items() for alternatives in sequence)):
            applied = tuple(effect for effect, _ in drawn if effect is not None)
            p = math.prod(p for _, p in drawn) / len(sequences)
            found[applied] = found.get(applied, 0.0) + p
    return {applied: p for applied, p in found.items() if p > 0}


def _unchanged_alone(sequence: list[Alternatives]) -> list[Alternatives]:
    return [{None: alternatives.get(None, 0.0)} for alternatives in sequence]


class _Published(A.ImageOnlyTransform):
    """Draws operations for an image and applies them.

    The names of its subclasses are those of params.yaml and the ledger.
    """

    def draw(self, height: int, width: int) -> list[dict[str, Any]]:
        """Operations for an image of (height, width), drawn with `py_random`; see operation()."""
        raise NotImplementedError

    def sequences(self, height: int, width: int) -> list[list[Alternatives]]:
        """All that draw() can give.

        Returns:
            Sequences, one of which is chosen, all equally likely. From each of its alternatives one
            operation is drawn, independently of the others.
        """
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

    def matrices(self, params: dict[str, Any]) -> list[np.ndarray]:
        """Those of the operations that were drawn, in order, but for those that move no pixel."""
        found = (matrix_of(one, *params["shape"][:2]) for one in params["operations"])
        return [matrix for matrix in found if matrix is not None]


class trivialaugment(_Published):  # noqa: N801
    """One operation with one of its magnitudes, all equally likely.

    Source: S. Mueller, F. Hutter, "TrivialAugment", ICCV 2021; magnitudes of its Wide space.
    `scaled`: translations are a share of the image's size, by scaled_magnitudes().
    """

    class InitSchema(A.ImageOnlyTransform.InitSchema):
        scaled: Annotated[Any, AfterValidator(_true_or_false)]

    def __init__(self, scaled: bool = False, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.scaled = scaled

    def draw(self, height: int, width: int) -> list[dict[str, Any]]:
        name, level = self.py_random.choice(OPERATIONS), self.py_random.randrange(BINS)
        negative = self.py_random.random() < 0.5
        return [operation_at(name, self._strongest(height, width), level, BINS, negative)]

    def _strongest(self, height: int, width: int) -> dict[str, float]:
        return scaled_magnitudes(height, width) if self.scaled else WIDE

    def sequences(self, height: int, width: int) -> list[list[Alternatives]]:
        strongest = self._strongest(height, width)
        every = [
            operation_at(name, strongest, level, BINS, negative)
            for name, level, negative in product(OPERATIONS, range(BINS), SIGNS)
        ]
        return [[_alternatives((one, 1 / len(every)) for one in every)]]


class randaugment(_Published):  # noqa: N801
    """`n` operations, all equally likely, of magnitude `m` of 30.

    Source: E. D. Cubuk et al., "RandAugment", NeurIPS 2020.
    """

    class InitSchema(A.ImageOnlyTransform.InitSchema):
        n: Annotated[Any, whole_number(1, len(OPERATIONS))]
        m: Annotated[Any, whole_number(0, BINS - 1)]

    def __init__(self, n: int = 2, m: int = 9, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.n, self.m = n, m

    def draw(self, height: int, width: int) -> list[dict[str, Any]]:
        chosen = [
            (self.py_random.choice(OPERATIONS), self.py_random.random() < 0.5)
            for _ in range(self.n)
        ]
        strongest = standard_magnitudes(height, width)
        return [operation_at(name, strongest, self.m, BINS, negative) for name, negative in chosen]

    def sequences(self, height: int, width: int) -> list[list[Alternatives]]:
        strongest = standard_magnitudes(height, width)
        every = [
            operation_at(name, strongest, self.m, BINS, negative)
            for name, negative in product(OPERATIONS, SIGNS)
        ]
        return [[_alternatives((one, 1 / len(every)) for one in every)] * self.n]


class autoaugment(_Published):  # noqa: N801
    """One of 25 pairs of operations, each operation applied with its own probability.

    Source: E. D. Cubuk et al., "AutoAugment", CVPR 2019.
    """

    class InitSchema(A.ImageOnlyTransform.InitSchema):
        policy: Annotated[Any, AfterValidator(_one_of_the_policies)]

    def __init__(self, policy: str = "imagenet", p: float = 1.0) -> None:
        super().__init__(p=p)
        self.policy = policy
        self.pairs = sub_policies(policy)

    def draw(self, height: int, width: int) -> list[dict[str, Any]]:
        strongest, applied = standard_magnitudes(height, width), []
        for name, p, level in self.py_random.choice(self.pairs):
            drawn, negative = self.py_random.random(), self.py_random.random() < 0.5
            if drawn < p:
                applied.append(operation_at(name, strongest, level, SUB_POLICY_BINS, negative))
        return applied

    def sequences(self, height: int, width: int) -> list[list[Alternatives]]:
        strongest = standard_magnitudes(height, width)

        def alternatives(step: SubPolicyStep) -> Alternatives:
            weighed = [({"name": "Identity"}, 1 - step.probability)]
            for negative in SIGNS:
                one = operation_at(step.name, strongest, step.level, SUB_POLICY_BINS, negative)
                weighed.append((one, step.probability / 2))
            return _alternatives(weighed)

        return [list(map(alternatives, pair)) for pair in self.pairs]


PUBLISHED = {kind.__name__: kind for kind in (trivialaugment, randaugment, autoaugment)}
