"""The answer: every way that finalists may differ, and the sentence that says why."""

import pytest

from tasks.studies.statistics import Difference
from tasks.studies.tune.answer import decide
from tasks.studies.tune.finalists import Finalist

BETTER = Difference(0.02, 0.01, 0.03, 0.001)
SAME = Difference(0.01, -0.01, 0.03, 0.2)
WORSE = Difference(-0.05, -0.07, -0.03, 0.001)
NAMES = {"none": "none", "present": "present policy", "strength": "strength 0.5, online"}


def finalist(kind: str, to_none: Difference | None, to_present: Difference | None) -> Finalist:
    mean, low, high, p = to_none or (0.0, 0.0, 0.0, None)
    return Finalist(NAMES[kind], kind, {}, [], 0.8, mean, low, high, p, to_present, [])


def finalists(
    winner: tuple[Difference, Difference | None] | None, present: Difference | None
) -> list[Finalist]:
    """`winner`: the best trial to none and to present. `present`: to none; None: it is none."""
    none_to_present = None
    if present:
        none_to_present = Difference(-present.mean, -present.high, -present.low, present.p)
    found = [finalist("none", None, none_to_present)]
    if present:
        found.append(finalist("present", present, None))
    if winner:
        found.append(finalist("strength", *winner))
    return found


@pytest.mark.parametrize(
    ("winner", "present", "kind", "reason"),
    [
        (
            (BETTER, BETTER),
            SAME,
            "strength",
            "strength 0.5, online is better than none (+2.0 points, 95% interval +1.0 to +3.0) "
            "and the present policy (+2.0 points, 95% interval +1.0 to +3.0), on fresh seeds",
        ),
        (
            (BETTER, SAME),
            BETTER,
            "present",
            "keep what is there: strength 0.5, online, the best of 16 trials, is better than none "
            "(+2.0 points, 95% interval +1.0 to +3.0), but not surely than the present policy "
            "(+1.0 points, 95% interval -1.0 to +3.0), on fresh seeds",
        ),
        (
            (SAME, BETTER),
            SAME,
            "present",
            "keep what is there: strength 0.5, online, the best of 16 trials, is better than the "
            "present policy (+2.0 points, 95% interval +1.0 to +3.0), but not surely than none "
            "(+1.0 points, 95% interval -1.0 to +3.0), on fresh seeds",
        ),
        (
            (SAME, SAME),
            SAME,
            "present",
            "keep what is there: strength 0.5, online, the best of 16 trials, is not surely better "
            "than none (+1.0 points, 95% interval -1.0 to +3.0) or the present policy (+1.0 "
            "points, 95% interval -1.0 to +3.0), on fresh seeds",
        ),
        (
            None,
            BETTER,
            "present",
            "keep what is there: no other policy of 16 trials did better, and it is better than "
            "none (+2.0 points, 95% interval +1.0 to +3.0), on fresh seeds",
        ),
        (
            (SAME, BETTER),
            WORSE,
            "none",
            "training without augmentation is better than the present policy (+5.0 points, 95% "
            "interval +3.0 to +7.0), on fresh seeds",
        ),
        (
            (WORSE, SAME),
            WORSE,
            "none",
            "training without augmentation is better than the present policy (+5.0 points, 95% "
            "interval +3.0 to +7.0), on fresh seeds",
        ),
        (
            (BETTER, BETTER),
            WORSE,
            "strength",
            "strength 0.5, online is better than none (+2.0 points, 95% interval +1.0 to +3.0) "
            "and the present policy (+2.0 points, 95% interval +1.0 to +3.0), on fresh seeds",
        ),
        (
            None,
            WORSE,
            "none",
            "training without augmentation is better than the present policy (+5.0 points, 95% "
            "interval +3.0 to +7.0), on fresh seeds",
        ),
        (
            None,
            SAME,
            "present",
            "keep what is there: no other policy of 16 trials did better, and training without "
            "augmentation is not surely better than the present policy (-1.0 points, 95% interval "
            "-3.0 to +1.0), on fresh seeds",
        ),
        (
            (BETTER, None),
            None,
            "strength",
            "strength 0.5, online is better than none (+2.0 points, 95% interval +1.0 to +3.0), on "
            "fresh seeds",
        ),
        (
            (WORSE, None),
            None,
            "none",
            "keep what is there: strength 0.5, online, the best of 16 trials, is not surely better "
            "than none (-5.0 points, 95% interval -7.0 to -3.0), on fresh seeds",
        ),
        (None, None, "none", "keep what is there: no policy of 16 trials is better than none"),
    ],
)
def test_answer(
    winner: tuple[Difference, Difference | None] | None,
    present: Difference | None,
    kind: str,
    reason: str,
) -> None:
    assert decide(finalists(winner, present), 16) == (kind, reason)


@pytest.mark.parametrize(("p", "kind"), [(0.049, "strength"), (0.05, "present")])
def test_a_p_value_decides_below_five_per_cent(p: float, kind: str) -> None:
    sure = BETTER._replace(p=p)
    assert decide(finalists((BETTER, sure), SAME), 16)[0] == kind
    assert decide(finalists((sure, BETTER), SAME), 16)[0] == kind
