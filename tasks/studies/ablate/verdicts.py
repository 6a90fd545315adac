"""Verdicts of an ablation: whether an arm pays, harms classes, is too much, or is undecided.

What an arm does to all images, to single classes and to the training loss is found elsewhere; here
it is put into words. That a mean can hide classes that pay for it is shown by R. Balestriero, L.
Bottou, Y. LeCun, "The Effects of Regularization and Data Augmentation are Class Dependent", 2022,
and P. Kirichenko et al., "Understanding the Detrimental Class-level Effects of Data Augmentation",
2023.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.studies.statistics import LEVEL, Difference

PAYS = "pays"
DOES_NOT_PAY = "does not pay"
TOO_MUCH = "too much: underfitting, train longer or weaken it"
# The least gain that matters: a point, which is what another seed alone often brings; where models
# make few mistakes, a fifth of these.
WORTHWHILE = 0.01
WORTHWHILE_OF_MISTAKES = 0.2
MOST_NAMED = 3  # classes in a verdict
PARTS = 4  # of a training, for still_falls()
STILL_FALLS = 0.1  # of the whole fall


class Evidence(NamedTuple):
    """What is known of an arm.

    `difference`: to `none`, with the p-value of Holm. `worthwhile`: see worthwhile_gain().
    `underfits`: see underfits(). `harmed`: classes that lose, the worst first. `more_seeds`: how
    many would tell; None where no number of them would.
    """

    difference: Difference
    worthwhile: float
    underfits: bool
    harmed: Sequence[str]
    more_seeds: int | None


def verdict(found: Evidence) -> str:
    """What an arm does, in a few words.

    A loss over all images comes first: which classes lose is no news then. Of what does not lose
    over all, a class that does is told before anything else.
    """
    decided = found.difference.p < LEVEL
    if decided and found.difference.mean < 0:
        return TOO_MUCH if found.underfits else DOES_NOT_PAY
    if found.harmed:
        harm = f"harms {_classes(found.harmed)}"
        return f"{PAYS}, but {harm}" if decided else harm
    if decided:
        return PAYS
    if found.difference.high < found.worthwhile:
        return f"undecided: {100 * max(found.difference.high, 0):.1f} points to gain at most"
    return _undecided(found.more_seeds)


def _classes(names: Sequence[str]) -> str:
    """As `class dress`, or `classes dress, shirt, hat and 2 more`."""
    if len(names) == 1:
        return f"class {names[0]}"
    shown, more = ", ".join(names[:MOST_NAMED]), len(names) - MOST_NAMED
    return f"classes {shown} and {more} more" if more > 0 else f"classes {shown}"


def _undecided(more_seeds: int | None) -> str:
    if more_seeds is None:
        return "undecided: more validation images would tell"
    seeds = "1 more seed" if more_seeds == 1 else f"{more_seeds} more seeds"
    return f"undecided: {seeds} would tell"


def worthwhile_gain(accuracy: float, images: int) -> float:
    """The least gain that matters where models without augmentation have that accuracy.

    It is one of the validation images at least: nothing smaller can be told by them.
    """
    return max(min(WORTHWHILE, WORTHWHILE_OF_MISTAKES * (1 - accuracy)), 1 / images)


def underfits(original_loss: float, unseen_loss: float) -> bool:
    """Whether models of an arm know the very images that they train on too little.

    Underfitting is a training error that is not low enough (I. Goodfellow, Y. Bengio, A. Courville,
    "Deep Learning", 2016, section 5.2). Low enough is here what models without augmentation reach
    on images that they never saw: above that no better generalisation can bring back what is lost.

    The training images count as they are. Of what a policy made of them nobody can say how low a
    loss may be: it may hold images that show nothing, at no harm to what is learnt of the others.

    Args:
        original_loss: of the arm's models on the training originals.
        unseen_loss: of the arm `none` on validation images, at its lowest.
    """
    return original_loss > unseen_loss


def still_falls(losses: np.ndarray) -> bool:
    """Whether a training loss falls at its end, so that a longer training would lower it.

    It does where the last quarter of the epochs brings a tenth of the whole fall or more. Quarters,
    not the last epochs, are compared: where the learning rate goes to 0, the loss lies flat there
    in any training, long enough or not. Of fewer than four epochs nobody can say that it ended.

    `losses`: by epoch, mean over seeds, float (epochs,).
    """
    if len(losses) < PARTS:
        return True
    first, *_, before, last = (float(part.mean()) for part in np.array_split(losses, PARTS))
    return before - last > STILL_FALLS * max(first - last, 0)
