"""Charts of the pages of studies: scales, lines and marks with their names, placed for SVG."""

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10
from typing import Literal, NamedTuple

WIDTH, HEIGHT = 600, 260  # of the area between the axes
MOST_LINES = 8  # there are as many colours
# Of a name in a chart, in pixels: about the width of a letter, the height, and what is below it.
LETTER, LINE, DESCENT = 6.2, 13, 3
TICKS = 4  # parts of an axis, about

Shape = Literal["circle", "square", "ring", "cross"]


class Tick(NamedTuple):
    """A place on an axis, and what stands there."""

    at: float
    text: str


class Scale(NamedTuple):
    """From values to places along an axis of `length` pixels.

    `low` and `high` are whole numbers of `step`, at each of which is a tick. `upwards`: the
    largest value has the place 0, as SVG counts from the top.
    """

    low: float
    high: float
    step: float
    length: float
    upwards: bool = False

    @classmethod
    def over(
        cls,
        values: Iterable[float],
        length: float,
        upwards: bool = False,
        least_step: float = 0.0,
    ) -> "Scale":
        """One that holds all of these values, with round ends; from 0 to 1 without any."""
        values = list(values) or [0.0, 1.0]
        least, most = min(values), max(values)
        wanted = (most - least) / TICKS or abs(most) / TICKS or 1.0
        step = _round_step(max(wanted, least_step))
        low, high = floor(_near(least / step)), ceil(_near(most / step))
        return cls(low * step, max(high, low + 1) * step, step, length, upwards)

    def at(self, value: float) -> float:
        """The place of a value, which has to lie between the ends."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.length * (1 - share if self.upwards else share), 1)

    def ticks(self, unit: str = "", sign: bool = False) -> list[Tick]:
        """A tick at each whole step. `sign`: written before values above 0 too."""
        decimals = max(0, -floor(log10(self.step) + 1e-9))
        count = round((self.high - self.low) / self.step)
        values = [round(self.low + i * self.step, decimals) + 0.0 for i in range(count + 1)]
        plus = ["+" if sign and value > 0 else "" for value in values]
        return [
            Tick(self.at(value), f"{before}{value:.{decimals}f}{unit}")
            for value, before in zip(values, plus, strict=True)
        ]


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10, ... at or above a step."""
    size = 10.0 ** floor(log10(step))
    return next(size * factor for factor in (1, 2, 5, 10) if step <= size * factor * (1 + 1e-9))


def _near(value: float) -> float:
    """The value, or the whole number that it is but for rounding."""
    return round(value) if abs(value - round(value)) < 1e-9 else value


class Line(NamedTuple):
    """A line through points; `colour`: a number from 0."""

    name: str
    colour: int
    points: str


class Mark(NamedTuple):
    """A mark at a place; `style`: its class in the style sheet. `name`: where it has room."""

    x: float
    y: float
    radius: float
    shape: Shape
    style: str
    title: str
    name: str = ""
    name_x: float = 0.0
    name_y: float = 0.0


class Chart(NamedTuple):
    """What is drawn between two axes."""

    title: str
    across: list[Tick]
    up: list[Tick]
    across_label: str
    up_label: str
    lines: Sequence[Line] = ()
    marks: Sequence[Mark] = ()
    left_out: int = 0


def line(name: str, colour: int, places: Iterable[tuple[float, float]]) -> Line:
    """A line through places in pixels."""
    return Line(name, colour, " ".join(f"{x},{y}" for x, y in places))


class Box(NamedTuple):
    """A rectangle that a mark or a name covers."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def with_names(marks: Sequence[Mark], names: Sequence[str]) -> list[Mark]:
    """Marks with their names beside them; a name that finds no room is left out.

    Each name in turn takes the first place that is free: right, left, above or below its mark.
    """
    taken = [Box(m.x - m.radius, m.y - m.radius, m.x + m.radius, m.y + m.radius) for m in marks]
    named: list[Mark] = []
    for mark, name in zip(marks, names, strict=True):
        free = (box for box in _beside(mark, LETTER * len(name)) if _is_free(box, taken))
        box = next(free, None)
        if box is not None:
            taken.append(box)
            baseline = round(box.bottom - DESCENT, 1)
            mark = mark._replace(name=name, name_x=round(box.left, 1), name_y=baseline)
        named.append(mark)
    return named


def _beside(mark: Mark, width: float) -> list[Box]:
    """Where the name of a mark may stand, the best first."""
    away = mark.radius + 3
    middle, above, below = mark.y - LINE / 2, mark.y - away - LINE, mark.y + away
    right, left, centre = mark.x + away, mark.x - away - width, mark.x - width / 2
    corners = [
        (right, middle),
        (left, middle),
        (centre, above),
        (centre, below),
        (left + away, above),
        (right - away, above),
        (left + away, below),
        (right - away, below),
    ]
    return [Box(left, top, left + width, top + LINE) for left, top in corners]


def _is_free(box: Box, taken: Iterable[Box]) -> bool:
    inside = box.left >= 0 and box.right <= WIDTH and box.top >= -LINE and box.bottom <= HEIGHT
    return inside and not any(map(box.meets, taken))
