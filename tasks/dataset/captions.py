"""Captions of variants: what was done to one, and what became of it, in a few words for pictures.

The ledger's `operations` hold everything that a transform was applied with; people look for what it
drew.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.dataset.columns import MEASURES
from tasks.dataset.variant_measures import UNTOUCHED

Value = float | str
# Of the image, of the step's own arguments, or of what is drawn for boxes and masks.
NOT_DRAWN = (
    "name", "shape", "output_shape", "result_shape", "interpolation", "fill", "fill_mask", "seed",
    "random_seed", "image_type", "x_min", "x_max", "y_min", "y_max", "n_segments", "operations",
)  # fmt: skip
WHOLE = "\N{NO-BREAK SPACE}"
MOST_NUMBERS = 4  # of a list that is shown


def operations_in_words(operations: list[dict[str, Any]]) -> list[str]:
    """Each operation with what it drew, as in `Affine rotate 8.1, scale (0.913, 0.903)`."""
    return [f"{one['name']} {_values_in_words(one)}".strip() for one in operations] or ["unchanged"]


def measures_in_words(row: Mapping[str, Any]) -> str:
    """The measures of a row of the ledger, as `border 0.12, sharpness 0.81`.

    Those that are as in the untouched source, or are not known, are left out.
    """
    known = {name: row.get(name) for name in MEASURES}
    shown = {name: f"{value:.2f}" for name, value in known.items() if _is_known(value)}
    return ", ".join(
        whole(name, text) for name, text in shown.items() if float(text) != UNTOUCHED[name]
    )


def relabelled_in_words(row: Mapping[str, Any]) -> str:
    """`left -> right` of a row of the ledger that shows another class than its source, else ""."""
    before, after = row.get("source_label"), row.get("label")
    return "" if before == after else f"{before} -> {after}"


def _is_known(value: Any) -> bool:
    return value is not None and not math.isnan(value)


def _values_in_words(operation: dict[str, Any]) -> str:
    inner = [
        f"{one['name']} {_values_in_words(one)}".strip() for one in operation.get("operations", [])
    ]
    values = drawn_values(operation)
    pairs = {name.removesuffix(".x") for name in values if name.endswith(".x")}
    texts = []
    for name, value in values.items():
        stem = name.removesuffix(".x")
        if stem in pairs and name == f"{stem}.x":
            pair = f"({number(value)},{WHOLE}{number(values[f'{stem}.y'])})"
            texts.append(whole(stem, pair))
        elif not (name.endswith(".y") and name.removesuffix(".y") in pairs):
            texts.append(whole(name, number(value)) if value != 0 else "")
    return ", ".join(filter(None, [*inner, *texts]))


def whole(name: str, text: str) -> str:
    """A name and its value, between which no line ends."""
    return f"{name}{WHOLE}{text}"


def number(value: Value) -> str:
    """A value that was drawn, in three significant digits."""
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def drawn_values(operation: dict[str, Any]) -> dict[str, Value]:
    """What a transform drew, from the JSON object of the ledger: numbers and words, by name.

    What it keeps as a pair has names that end in .x and .y. A matrix that moves pixels is given as
    the angle that it turns by, in degrees, and as the shift of the image's centre, in pixels; holes
    by their number, a kernel by its side, a short list by its numbers.
    """
    values: dict[str, Value] = {}
    for name, value in operation.items():
        if name not in NOT_DRAWN:
            values.update(_drawn(name, value))
    if "rotate" not in values:
        values.update(_turn(operation))
    values.update(_shift(operation))
    return values


def _drawn(name: str, value: Any) -> Iterator[tuple[str, Value]]:
    if name in ("kernel", "holes") and not isinstance(value, int | float):
        yield name, float(_length(value))
    elif isinstance(value, bool):
        yield name, str(value).lower()
    elif isinstance(value, int | float | str):
        yield name, value
    elif isinstance(value, dict) and value.keys() == {"x", "y"}:
        yield f"{name}.x", value["x"]
        yield f"{name}.y", value["y"]
    elif isinstance(value, list) and 0 < len(value) <= MOST_NUMBERS and _are_numbers(value):
        yield name, " ".join(map(number, value)) if len(value) > 1 else value[0]


def _length(value: Any) -> int:
    """How many items a list has; a long one is known by its shape."""
    return value["shape"][0] if isinstance(value, dict) else len(value or [])


def _are_numbers(values: list[Any]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _moving_matrix(operation: dict[str, Any]) -> list[list[float]] | None:
    """The matrix of a step that moves pixels and keeps parallel lines parallel."""
    matrix = operation.get("matrix")
    parallel = isinstance(matrix, list) and len(matrix) == 3 and matrix[2] == [0, 0, 1]
    return matrix if parallel else None


def _turn(operation: dict[str, Any]) -> dict[str, Value]:
    matrix = _moving_matrix(operation)
    return {"angle": math.degrees(math.atan2(matrix[0][1], matrix[0][0]))} if matrix else {}


def _shift(operation: dict[str, Any]) -> dict[str, Value]:
    matrix, shape = _moving_matrix(operation), operation.get("shape", [])[:2]
    if matrix is None or operation.get("output_shape", shape) != shape:
        return {}
    y, x = ((side - 1) / 2 for side in shape)
    shift = {
        "shift.x": matrix[0][0] * x + matrix[0][1] * y + matrix[0][2] - x,
        "shift.y": matrix[1][0] * x + matrix[1][1] * y + matrix[1][2] - y,
    }
    shift = {name: round(pixels, 1) + 0.0 for name, pixels in shift.items()}  # -0.0 becomes 0.0
    return shift if any(shift.values()) else {}
