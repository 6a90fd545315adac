"""What an audit found, in exact sentences."""

from typing import Any

from tasks.studies.audit import wording
from tasks.studies.audit.settings import WHOLE_POLICY
from tests.tasks.studies.audit.found import HALF_TURN, audit_of, finding, findings, keeps

FLIP = ("VerticalFlip", None, None, None)


def summary(*rows: Any) -> str:
    return wording.summary(audit_of(list(rows)))


def test_the_summary_names_the_steps_the_classes_and_where() -> None:
    assert wording.summary(audit_of(findings())) == (
        "2 of 3 steps break labels: RandomRotate90 turns 6 into 9 and 9 into 6 (r180); Rotate "
        "turns 6 into 9 and 9 into 6 (limit 108 to 180), and makes 5 unlike anything "
        "(limit 72 to 108). Nothing can be said of 1 of 4 classes: 0."
    )


def test_of_one_step_it_speaks_in_the_singular() -> None:
    lost = finding(FLIP, "4", "unlike anything", None, 0.3)
    assert summary(lost) == "The only step breaks labels: VerticalFlip makes 4 unlike anything."
    two = finding(FLIP, "2", "moves", "5", 0.2)
    assert summary(lost, two, *keeps("GaussianBlur")) == (
        "1 of 2 steps breaks labels: VerticalFlip turns 2 into 5, and makes 4 unlike anything."
    )


def test_of_many_classes_the_largest_shares_are_named() -> None:
    moves = [finding(FLIP, f"k{i}", "moves", "x", i / 10) for i in range(8)]
    named = "k7 into x, k6 into x, k5 into x, k4 into x"
    assert summary(*moves) == f"The only step breaks labels: VerticalFlip turns {named} and 4 more."


def test_of_many_steps_those_with_the_largest_shares_are_named() -> None:
    steps = [finding((f"S{i}", None, None, None), "a", "moves", "b", i / 10) for i in range(6)]
    named = "; ".join(f"S{i} turns a into b" for i in (5, 4, 3, 2))
    assert summary(*steps) == f"6 of 6 steps break labels: {named}; and 2 more."


def test_it_says_where_nothing_is_broken_and_what_the_whole_policy_breaks() -> None:
    assert summary(*keeps("Blur"), *keeps("Rotate")) == "None of 2 steps breaks labels."
    policy = (WHOLE_POLICY, None, None, None)
    assert summary(*keeps("Blur"), finding(policy, "6", "moves", "9", 0.2)) == (
        "The only step breaks no label alone, but the whole policy turns 6 into 9. Weaken or leave "
        "out one of its steps for these classes, and audit again."
    )
    flip = finding(FLIP, "2", "moves", "5", 0.2)
    assert summary(flip, finding(policy, "9", "unlike anything", None, 0.9)) == (
        "The only step breaks labels: VerticalFlip turns 2 into 5. "
        "The whole policy makes 9 unlike anything."
    )
    assert summary() == "There was nothing to try: the policy has no step."


def test_what_cannot_be_told_is_no_approval() -> None:
    rows = [finding(FLIP, label, "cannot tell", None, 0.0) for label in "ab"]
    assert summary(*rows) == (
        "Whether the only step breaks labels cannot be told: "
        "the features tell no class from the others well enough."
    )
    assert summary(*rows, *keeps("VerticalFlip", labels="c")) == (
        "The only step breaks no label. Nothing can be said of 2 of 3 classes: a and b."
    )


def test_magnitudes_and_findings_in_words() -> None:
    one = finding(("Rotate", "limit", 0.0, 36.0), "6", "moves", "9", 0.5)
    assert wording.magnitude(one) == "limit 0 to 36"
    assert wording.magnitude(HALF_TURN) == "r180"
    assert wording.magnitude(finding(FLIP, "6", "keeps", None, 0.0)) == ""
    assert wording.in_full(one) == ("6: moves to 9, 50% of 200 variants (45% to 55%), untouched 1%")
    assert wording.counts(findings()) == ("17 keep, 6 move, 1 is unlike anything, 7 cannot be told")
