"""Gates: bounds on what is measured of a variant, beyond which it is drawn again or rejected."""

from collections.abc import Mapping
from typing import NamedTuple

from tasks.dataset.columns import MEASURES
from tasks.variants.params import GateParams, Then
from tasks.variants.quality.measures import DECIMALS, Measures

GATE = "gate"  # the kind of such a rejection, see REJECTIONS


class Gate(NamedTuple):
    """A measure, the least and the most that it may be, and what is done beyond them."""

    measure: str
    least: float
    most: float
    then: Then

    def excess(self, value: float | None) -> str | None:
        """What is wrong with a value, as `border 0.31 > 0.25`; an unknown value passes."""
        if value is None:
            return None
        if value > self.most:
            return f"{self.measure} {in_short(value)} > {self.most:g}"
        if value < self.least:
            return f"{self.measure} {in_short(value)} < {self.least:g}"
        return None


def in_short(number: float) -> str:
    """A number without zeros at its end."""
    return f"{number:.{DECIMALS}f}".rstrip("0").rstrip(".")


def gates_from(params: Mapping[str, GateParams], *then: Then) -> tuple[Gate, ...]:
    """The gates of params.yaml that do one of `then`: in that order, then in that of MEASURES."""
    chosen = [name for name in MEASURES if name in params and params[name].then in then]
    gates = [Gate(name, *params[name].bounds, params[name].then) for name in chosen]
    return tuple(sorted(gates, key=lambda gate: then.index(gate.then)))


class Excess(NamedTuple):
    """What is wrong with a variant, and what is done about it."""

    what: str
    then: Then


def first_excess(gates: tuple[Gate, ...], measures: Measures) -> Excess | None:
    """Of the first gate that a variant does not pass; None where it passes all."""
    for gate in gates:
        what = gate.excess(getattr(measures, gate.measure))
        if what:
            return Excess(what, gate.then)
    return None
