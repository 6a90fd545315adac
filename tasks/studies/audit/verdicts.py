"""Verdicts: what the evidence says of a step at a magnitude, for each class.

Many questions are asked: classes times classes times magnitudes times steps. What protects from
chance is that no answer rests on significance alone. A share of variants has to lie inside another
class, or outside all, that exceeds what untouched images show by its whole interval and a margin;
variants are made of the very images that they are held against, so without an effect both shares
are nearly one number, and the margin is not reached however often it is tried. Only what passes
this is tested for confusion, and the tests of a setting are corrected for their number.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import false_discovery_control

from tasks.studies.audit.evidence import SIGNIFICANCE, Images, Reference, Share, share_of

# Of a class's originals: with fewer told right, nothing can be said of its variants, nor of those
# of others that seem to lie there.
KNOWN = 0.6
MORE_INSIDE = 0.05  # of variants, beyond what untouched images show: they lie inside another class
MORE_OUTSIDE = 0.5  # the same of variants that lie outside all classes
# Of what is told of originals beyond guessing: with less told among such variants, the step took
# their class away. Lying outside alone is no harm: all digits turned by 30 degrees do, and each is
# still told.
LEFT = 0.5
WORST = 8  # variants to look at

Verdict = Literal["keeps", "moves", "unlike anything", "cannot tell"]


class Finding(NamedTuple):
    """What a step at a magnitude does to the images of one class.

    Attributes:
        step, argument, low, high: see Setting.
        label: the class of the sources.
        verdict: keeps, moves (to another class), unlike anything, or cannot tell.
        to: the class that most variants moved to; None where they did not. Of classes that are
            much alike, variants lie inside several.
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


class Judged(NamedTuple):
    """A finding in numbers, of one class at one setting.

    `label`, `to`: numbers of classes. `worst`: where the variants that went furthest wrong stand
    among those judged, worst first; none of those that keep, or of which nothing can be said.
    Else see Finding.
    """

    label: int
    verdict: Verdict
    to: int | None
    share: Share
    untouched: float
    worst: tuple[int, ...]


class _Variants(NamedTuple):
    """The variants of one class: of its images, where they stand, and how far from each class.

    `images`: sorted by source. `rows`: where each stands among the variants judged. `distances`:
    float32 (images, classes). `inside`: bool (images, classes). `untouched`: of originals, the
    shares inside each class.
    """

    label: int
    images: Images
    rows: np.ndarray
    distances: np.ndarray
    inside: np.ndarray
    untouched: np.ndarray


class _Move(NamedTuple):
    """A class that variants of another seem to have moved to.

    `share`: of them, inside it. `nearest`: how many have no class that is nearer. `chance`: see
    Reference.chance_of_confusion().
    """

    label: int
    other: int
    share: Share
    nearest: int
    chance: float


def judge(reference: Reference, variants: Images) -> list[Judged]:
    """What became of the variants of each class.

    The order of the variants makes no difference.

    Args:
        reference: the originals.
        variants: at most one of each source.

    Returns:
        Of each class of the sources, sorted by its number.
    """
    order = np.argsort(variants.sources)
    images = variants.take(order)
    parts = _by_class(reference, images, order)
    proposed = chain.from_iterable(_proposed(reference, part) for part in parts)
    moves = _confirmed(list(proposed), reference.known >= KNOWN)
    among = _Among(images)
    return [_verdict(reference, part, moves.get(part.label), among) for part in parts]


def _by_class(reference: Reference, images: Images, rows: np.ndarray) -> list[_Variants]:
    """The variants of each class, sorted by its number.

    `rows`: where each of the images stands among the variants judged.
    """
    labels = reference.originals.labels[reference.positions_of(images)]
    distances = reference.distances_of(images)
    inside = reference.inside(distances, images.labels)
    untouched = reference.inside_untouched[images.labels]
    parts = []
    for label in np.unique(labels):
        own = labels == label
        usual = untouched[own].mean(axis=0)
        part = images.take(own), rows[own], distances[own], inside[own], usual
        parts.append(_Variants(int(label), *part))
    return parts


def _is_known(reference: Reference, part: _Variants) -> bool:
    """Whether originals of the class, and of what its variants ought to be, are told well."""
    classes = np.append(part.images.labels, part.label)
    return bool(reference.known[classes].min() >= KNOWN)


def _proposed(reference: Reference, part: _Variants) -> Iterator[_Move]:
    """The classes that more of the variants lie in than of untouched images, each tested."""
    if not _is_known(reference, part):
        return
    nearest = np.bincount(part.distances.argmin(axis=1), minlength=reference.classes)
    for other in range(reference.classes):
        share = share_of(part.inside[:, other])
        if share.low - part.untouched[other] > MORE_INSIDE:
            chance = reference.chance_of_confusion(part.images, other)
            yield _Move(part.label, other, share, int(nearest[other]), chance)


def _confirmed(moves: list[_Move], known: np.ndarray) -> dict[int, _Move]:
    """Of each class the move to where most of its variants are nearest; none that may be chance.

    A move to a class that is known comes before one to a class that is not. Of all that is said to
    be confused at a setting, 5% at most are expected to be chance: Y. Benjamini, Y. Hochberg,
    "Controlling the False Discovery Rate", 1995.
    """
    if not moves:
        return {}
    chances = false_discovery_control([move.chance for move in moves])
    likely = [move for move, chance in zip(moves, chances, strict=True) if chance < SIGNIFICANCE]
    order = sorted(likely, key=lambda move: (known[move.other], move.nearest, move.share.found))
    return {move.label: move for move in order}  # the last of a class stays


class _Among:
    """How well the classes are told from each other among the variants; found once, if at all."""

    def __init__(self, variants: Images) -> None:
        self.variants = variants

    @cached_property
    def reference(self) -> Reference:
        return Reference(self.variants)

    def is_lost(self, part: _Variants, originals: Reference) -> bool:
        """Whether little is left of how well a class was told."""
        labels = part.images.labels
        guessing = 1 / len(np.unique(self.variants.labels))
        before, now = (each.known[labels].mean() for each in (originals, self.reference))
        return bool(now - guessing < LEFT * (before - guessing))


def _verdict(reference: Reference, part: _Variants, move: _Move | None, among: _Among) -> Judged:
    if move and reference.known[move.other] < KNOWN:
        usual = float(part.untouched[move.other])
        return Judged(part.label, "cannot tell", None, move.share, usual, ())
    if move:
        worst = _worst(part, part.inside[:, move.other], _nearer_to(part, move.other))
        usual = float(part.untouched[move.other])
        return Judged(part.label, "moves", move.other, move.share, usual, worst)
    most = int(part.inside.mean(axis=0).argmax())
    share, usual = share_of(part.inside[:, most]), float(part.untouched[most])
    if not _is_known(reference, part):
        return Judged(part.label, "cannot tell", None, share, usual, ())
    outside = reference.outside(part.distances)
    away, before = share_of(outside), float(reference.outside_untouched[part.images.labels].mean())
    if away.low - before > MORE_OUTSIDE and among.is_lost(part, reference):
        worst = _worst(part, outside, part.distances.min(axis=1))
        return Judged(part.label, "unlike anything", None, away, before, worst)
    return Judged(part.label, "keeps", None, share, usual, ())


def _nearer_to(part: _Variants, other: int) -> np.ndarray:
    """By how much each variant is nearer to another class than to its own."""
    own = part.distances[np.arange(len(part.rows)), part.images.labels]
    return own - part.distances[:, other]


def _worst(part: _Variants, wrong: np.ndarray, how_far: np.ndarray) -> tuple[int, ...]:
    """Where those of the wrong variants stand that went furthest, the furthest first."""
    order = np.argsort(-how_far, kind="stable")
    return tuple(part.rows[order[wrong[order]]][:WORST].tolist())
