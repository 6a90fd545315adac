"""Preprocess images: which samples are black and white, and the steps that every image gets.

Originals of every split get them, and a variant is the policy applied to its preprocessed source.
"""

import functools
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from pydantic import Field, field_validator, model_validator

from tasks.common.params import Block
from tasks.pixels.convert import resize, to_8_bits
from tasks.pixels.decode import decode

Range = Literal["depth", "image"] | list[int]
MOST_PIXELS = 20_000  # of a side
WHITE_16 = 65_535
FROM_8_TO_16 = 257  # 255 becomes 65,535

Side = Field(ge=1, le=MOST_PIXELS)
OptionalSide = Field(None, ge=1, le=MOST_PIXELS)


class Size(NamedTuple):
    """In pixels. Integers, or int64 arrays of equal length for many images."""

    height: Any
    width: Any


# --- steps ----------------------------------------------------------------------------------------


class Resize(Block):
    """Scale to a `shorter` or a `longer` side, or to a `width` and a `height` that may distort."""

    shorter: int | None = OptionalSide
    longer: int | None = OptionalSide
    width: int | None = OptionalSide
    height: int | None = OptionalSide

    @model_validator(mode="after")
    def _one_way(self) -> "Resize":
        given = [name for name in ("shorter", "longer", "width", "height") if getattr(self, name)]
        if given not in (["shorter"], ["longer"], ["width", "height"]):
            found = " and ".join(given) or "none"
            raise ValueError(f"needs shorter, or longer, or width and height, found {found}")
        return self

    def size_of(self, size: Size) -> Size:
        if self.width and self.height:
            return Size(size.height * 0 + self.height, size.width * 0 + self.width)
        shorter_side = np.minimum(size.height, size.width)
        side = shorter_side if self.shorter else np.maximum(size.height, size.width)
        wanted = self.shorter or self.longer
        # in integers, rounded half up: the same on every machine
        sides = ((2 * length * wanted + side) // (2 * side) for length in size)
        return Size(*(np.maximum(length, 1) for length in sides))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        height, width = self.size_of(Size(*pixels.shape[:2]))
        return resize(pixels, int(height), int(width))


class Crop(Block):
    """Cut out the centre. A side that is shorter than asked for stays as it is."""

    width: int = Side
    height: int = Side

    def size_of(self, size: Size) -> Size:
        return Size(np.minimum(size.height, self.height), np.minimum(size.width, self.width))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        height, width = self.size_of(Size(*pixels.shape[:2]))
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        return pixels[top : top + height, left : left + width]


class Pad(Block):
    """Put the image in the middle of a larger one of one grey level. A longer side stays.

    `fill` is that of 8 bits, 0..255; images of 16 bits get it times 257.
    """

    width: int = Side
    height: int = Side
    fill: int = Field(0, ge=0, le=255)

    def size_of(self, size: Size) -> Size:
        return Size(np.maximum(size.height, self.height), np.maximum(size.width, self.width))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        height, width = self.size_of(Size(*pixels.shape[:2]))
        level = self.fill * (FROM_8_TO_16 if pixels.dtype == np.uint16 else 1)
        padded = np.full((height, width, *pixels.shape[2:]), level, pixels.dtype)
        top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
        padded[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        return padded


class Grey(Block):
    """Colours become grey levels (ITU-R 601)."""

    def size_of(self, size: Size) -> Size:
        return size

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels


STEPS = ("resize", "crop", "pad", "grey")


class Step(Block):
    """One step, as `resize: {shorter: 256}` or `grey`: exactly one of the fields is set."""

    resize: Resize | None = None
    crop: Crop | None = None
    pad: Pad | None = None
    grey: Grey | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_known_step(cls, value: Any) -> Any:
        step = {value: None} if isinstance(value, str) else value
        if not isinstance(step, dict) or len(step) != 1 or not set(step) <= set(STEPS):
            need = "needs one step, `resize`, `crop` or `pad` with its sides, or `grey`"
            raise ValueError(f"{need}, found {value!r}")
        return {name: {} if arguments is None else arguments for name, arguments in step.items()}

    @property
    def operation(self) -> Resize | Crop | Pad | Grey:
        return next(getattr(self, name) for name in self.model_fields_set)


# --- all of them ----------------------------------------------------------------------------------


class Preprocessing(Block):
    """What is done to every image after it is decoded, and before anything else sees its pixels.

    `range`: which samples of an image of more than 8 bits are black and white: 0 and the largest
    of its `depth`; the smallest and the largest of each `image`; or two numbers. `preprocess`:
    the steps, in order.
    """

    range: Range = "depth"
    preprocess: list[Step] = Field(default_factory=list)

    @field_validator("range", mode="before")
    @classmethod
    def _black_below_white(cls, value: Any) -> Any:
        if value in ("depth", "image"):
            return value
        whole = isinstance(value, list) and all(type(number) is int for number in value)
        if not (whole and len(value) == 2 and 0 <= value[0] < value[1] <= WHITE_16):
            need = "needs depth, image, or two numbers [black, white] from 0 to 65535"
            raise ValueError(f"{need}, found {value!r}")
        return value

    def to_json(self) -> dict[str, Any]:
        """As in params.yaml, every default included but sides that are not set."""
        return self.model_dump(exclude_none=True)

    def size_of(self, height: Any, width: Any) -> Size:
        """The size that an image has afterwards, or arrays of sizes."""
        size = Size(height, width)
        for step in self.preprocess:
            size = step.operation.size_of(size)
        return size

    def read(self, data: bytes, keep_depth: bool = False) -> np.ndarray:
        """Decode an image file's bytes and preprocess them.

        Returns:
            (height, width) or (height, width, 3), uint8; with `keep_depth` uint16 where the file
            has 16 bits, see decode().

        Raises:
            UndecodableError: see decode().
        """
        deep = keep_depth or self.range != "depth"
        pixels = self.apply(decode(data, deep).pixels)
        return pixels if keep_depth else to_8_bits(pixels)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Preprocess decoded pixels of full depth; they have the same dtype afterwards."""
        if pixels.dtype == np.uint16 and self.range != "depth":
            pixels = self._levels(pixels)[pixels]
        for step in self.preprocess:
            pixels = step.operation.apply(pixels)
        return np.ascontiguousarray(pixels)

    def _levels(self, pixels: np.ndarray) -> np.ndarray:
        if isinstance(self.range, list):
            return stretched_levels(*self.range)
        low, high = int(pixels.min()), int(pixels.max())
        return stretched_levels(low, max(high, low + 1))


AS_DECODED = Preprocessing()  # nothing is done


@functools.lru_cache(maxsize=8)
def stretched_levels(low: int, high: int) -> np.ndarray:
    """What each sample of 16 bits becomes, uint16 (65536,): `low` 0 and `high` 65,535."""
    samples = np.arange(WHITE_16 + 1, dtype=np.int64).clip(low, high) - low
    return ((2 * samples * WHITE_16 + (high - low)) // (2 * (high - low))).astype(np.uint16)
