"""What an ablation found, in sentences: for terminal and page."""

from tasks.studies.ablate.ablate import Ablation, ArmFinding
from tasks.studies.ablate.arms import ALL
from tasks.studies.numbers import interval, percent, points
from tasks.studies.statistics import LEVEL


def is_told(arm: ArmFinding) -> bool:
    """Whether the difference of an arm to `none` is told from chance."""
    return arm.p is not None and arm.p < LEVEL


def summary(found: Ablation) -> str:
    """The answer: what the whole policy does, and which other arm differs most for the better.

    As `The whole policy gives 78.0% instead of 83.0%, -5.0 points (-6.1 to -3.9): does not pay. No
    other arm is known to gain either.`
    """
    none, *arms = found.arms
    policy = next((one for one in arms if one.arm == ALL), None)
    others = [one for one in arms if one is not policy]
    gains = [one for one in others if _gains(one)]
    other = "other " if policy else ""
    sentences = [_of_policy(policy, none)] if policy else []
    if gains:
        best = max(gains, key=lambda one: one.difference)
        which = f"One {other}arm gains" if len(gains) == 1 else f"{len(gains)} {other}arms gain"
        most = f"{best.arm}:" if len(gains) == 1 else f"{best.arm} most:"
        sentences.append(f"{which}, {most} {_difference(best)}.")
    elif others:
        either = " either" if policy and not _gains(policy) else ""
        sentences.append(f"No {other}arm is known to gain{either}.")
    return " ".join(sentences)


def _gains(arm: ArmFinding) -> bool:
    return is_told(arm) and arm.difference > 0


def _of_policy(policy: ArmFinding, none: ArmFinding) -> str:
    shares = f"{percent(policy.accuracy)} instead of {percent(none.accuracy)}"
    return f"The whole policy gives {shares}, {_difference(policy)}: {policy.verdict}."


def _difference(arm: ArmFinding) -> str:
    """As `+1.1 points (+0.4 to +1.8)`."""
    return f"{points(arm.difference)} points ({interval(arm.low, arm.high)})"
