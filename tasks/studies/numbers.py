"""Accuracies and their differences: in words, for terminals and pages; rounded, for JSON."""

from math import isfinite
from typing import Any

DECIMALS = 6  # of fractions in JSON


def percent(share: float) -> str:
    """An accuracy, as `81.3%`."""
    return f"{share:.1%}"


def points(difference: float) -> str:
    """A difference of accuracies in percentage points, as `+1.2`; nothing has no sign, `0.0`."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if float(text) == 0 else text


def interval(low: float, high: float) -> str:
    """The ends of an interval of a difference in points, as `-0.3 to +2.8`."""
    return f"{points(low)} to {points(high)}"


def ratio(value: float | None) -> str:
    """Affinity or diversity, as `0.93`; empty where it is not known."""
    return "" if value is None or not isfinite(value) else f"{value:.2f}"


def rounded(facts: dict[str, Any]) -> dict[str, Any]:
    """Fractions as JSON has them: of a few digits, null where there is no number.

    Alone or in lists; what lies in a dict, as the arguments of steps do, stays as it is.
    """
    return {name: _short(value) for name, value in facts.items()}


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(each) for each in value]
    if not isinstance(value, float):
        return value
    return round(value, DECIMALS) if isfinite(value) else None
