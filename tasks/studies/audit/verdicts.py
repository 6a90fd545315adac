"""Verdicts: what the evidence says of a step at a magnitude, for each class."""

from typing import Literal, NamedTuple

Verdict = Literal["keeps", "moves", "unlike anything", "cannot tell"]


class Finding(NamedTuple):
    """What a step at a magnitude does to the images of one class.

    Attributes:
        step, argument, low, high: see Setting.
        label: the class of the sources.
        verdict: keeps, moves (to another class), unlike anything, or cannot tell.
        to: the class that most variants moved to; None where they did not.
        share: of the variants that moved, or are unlike anything; of those that keep, the largest
            share inside another class.
        share_low, share_high: its 95% interval.
        untouched: the same share of the originals.
        variants: how many were looked at.
    """

    step: str
    argument: str | None
    low: float | None
    high: float | None
    label: str
    verdict: Verdict
    to: str | None
    share: float
    share_low: float
    share_high: float
    untouched: float
    variants: int
