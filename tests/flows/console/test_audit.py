"""What `variegate audit` prints."""

from collections.abc import Callable

import pytest

from flows.console import tables
from flows.console.audit import MOST_FINDINGS, audit_tables
from tasks.studies.audit import wording
from tasks.studies.audit.audit import Audit
from tasks.studies.audit.rules import as_yaml
from tests.tasks.studies.audit import found as audits

Printed = Callable[..., list[str]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """The lines that are printed of an audit."""

    def show(found: Audit, rules_before: int = 0) -> list[str]:
        tables.show(audit_tables(found, rules_before))
        return capsys.readouterr().out.splitlines()

    return show


def test_an_audit_says_what_breaks_and_ends_with_the_rules(printed: Printed) -> None:
    audit = audits.audit_of(audits.findings(), labels=audits.RULES)
    rules = "the rules that follow; paste `labels` into the block augment of params.yaml:"
    lines = printed(audit)
    assert " ".join(lines[:3]) == wording.summary(audit) and max(map(len, lines)) <= 100
    assert lines[3:] == [
        "",
        "step            magnitude         class  becomes          share  95% interval  untouched",
        "RandomRotate90  r180              6      9                  80%    75% to 85%         1%",
        "RandomRotate90  r180              9      6                  70%    65% to 75%         1%",
        "Rotate          limit 72 to 108   5      unlike anything    20%    15% to 25%         1%",
        "Rotate          limit 108 to 144  6      9                  54%    49% to 59%         1%",
        "Rotate          limit 108 to 144  9      6                  43%    38% to 48%         1%",
        "Rotate          limit 144 to 180  6      9                  72%    67% to 77%         1%",
        "Rotate          limit 144 to 180  9      6                  58%    53% to 63%         1%",
        "",
        "looked at  1,258 images of 4 classes",
        "verdicts   17 keep, 6 move, 1 is unlike anything, 7 cannot be told",
        "",
        rules,
        "",
        *as_yaml(audits.RULES).splitlines(),
        "",
    ]


def test_rules_that_follow_go_below_those_that_are_there(printed: Printed) -> None:
    lines = printed(audits.audit_of([], labels=[{"classes": ["6"], "forbid": ["D4"]}]), 2)
    assert lines[-5:] == [
        "the rules that follow; paste these lines below the 2 rules of augment.labels in"
        " params.yaml:",
        "",
        "    - classes: ['6']",
        "      forbid: [D4]",
        "",
    ]


def test_an_audit_that_finds_nothing_is_three_lines(printed: Printed) -> None:
    assert printed(audits.audit_of(audits.keeps("Blur"))) == [
        "The only step breaks no label.",
        "",
        "looked at  1,258 images of 4 classes",
        "verdicts   4 keep",
    ]


def test_of_many_broken_labels_the_first_are_printed(printed: Printed) -> None:
    flip = ("VerticalFlip", None, None, None)
    rows = [audits.finding(flip, f"[b]k{i}", "moves", "x", 0.5) for i in range(50)]
    lines = printed(audits.audit_of(rows))
    assert lines[4].split() == ["VerticalFlip", "[b]k0", "x", "50%", "45%", "to", "55%", "1%"]
    assert lines[4 + MOST_FINDINGS] == "10 more: --json lists all"
