"""Answer of a tuning: the best trial, none, or what is there; and the reason in one sentence."""

from collections.abc import Sequence

from tasks.studies.numbers import interval, points
from tasks.studies.statistics import LEVEL, Difference
from tasks.studies.tune.finalists import Finalist

WITHOUT = "training without augmentation"  # `none` at the start of a sentence says `no one`


def decide(finalists: Sequence[Finalist], trials: int) -> tuple[str, str]:
    """The kind of the answer, and the reason in one sentence.

    A policy is the answer only where it is better than both `none` and what is there: what is there
    is kept, unless `none` is better.
    """
    by_kind = {one.kind: one for one in finalists}
    none, present = by_kind["none"], by_kind.get("present")
    winner = next((one for one in finalists if one.kind not in ("none", "present")), None)
    kept = "present" if present else "none"
    if winner and _better(winner.to_none) and (not present or _better(winner.to_present)):
        return winner.kind, f"{winner.arm} is better than {_both(winner)}, on fresh seeds"
    if present and _better(none.to_present):
        return "none", f"{WITHOUT} is better than {_than_present(none)}, on fresh seeds"
    keep = "keep what is there:"
    if winner:
        what = f"{winner.arm}, the best of {trials:,} trials,"
        return kept, f"{keep} {what} {_not_both(winner)}, on fresh seeds"
    best = f"no other policy of {trials:,} trials did better"
    if present and _better(present.to_none):
        than_none = f"none {_in_points(present.to_none)}"
        return kept, f"{keep} {best}, and it is better than {than_none}, on fresh seeds"
    if present:
        than = f"{_than_present(none)}, on fresh seeds"
        return kept, f"{keep} {best}, and {WITHOUT} is not surely better than {than}"
    return kept, f"{keep} no policy of {trials:,} trials is better than none"


def _better(difference: Difference | None) -> bool:
    return difference is not None and difference.mean > 0 and difference.p < LEVEL


def _both(winner: Finalist) -> str:
    return " and ".join(_others(winner))


def _not_both(winner: Finalist) -> str:
    """As `is better than none (...), but not surely than the present policy (...)`."""
    others = _others(winner)
    beaten = [other for other, difference in others.items() if _better(difference)]
    unbeaten = " or ".join(other for other in others if other not in beaten)
    if beaten:
        return f"is better than {beaten[0]}, but not surely than {unbeaten}"
    return f"is not surely better than {unbeaten}"


def _others(winner: Finalist) -> dict[str, Difference | None]:
    """The other finalists in words, with the difference of the winner to each."""
    others = {f"none {_in_points(winner.to_none)}": winner.to_none}
    return others | ({_than_present(winner): winner.to_present} if winner.to_present else {})


def _than_present(one: Finalist) -> str:
    return f"the present policy {_in_points(one.to_present)}"


def _in_points(difference: Difference | None) -> str:
    """As `(+1.2 points, 95% interval +0.3 to +2.1)`."""
    if difference is None:
        return ""
    ends = interval(difference.low, difference.high)
    return f"({points(difference.mean)} points, 95% interval {ends})"
