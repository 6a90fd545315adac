"""The page of an audit carries everything, escapes names and is the same each time."""

import json
from pathlib import Path

import pytest

from tasks.common.tables import read_json
from tasks.dataset.paths import AUDIT_FINDINGS, AUDIT_REPORT
from tasks.studies.audit import wording
from tasks.studies.audit.audit import Audit
from tasks.studies.audit.page import MOST_PICTURES, MOST_ROWS, chosen, figure, render, write_page
from tasks.studies.audit.rules import as_yaml
from tests.tasks.studies.audit.found import (
    HALF_TURN,
    PARAMS,
    RECIPES,
    RULES,
    audit_of,
    examples,
    finding,
    findings,
    keeps,
)
from tests.tasks.studies.elements import ATTACK, Elements, needs_nothing

FLIP = ("VerticalFlip", None, None, None)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def digits() -> Audit:
    rows = findings()
    return audit_of(rows, labels=RULES, examples=examples(rows))


def test_the_page_says_what_was_found_and_gives_the_rules() -> None:
    audit = digits()
    write_page(audit, RECIPES, PARAMS)
    page = AUDIT_REPORT.read_text(encoding="utf-8")
    text = Elements(page).text
    assert wording.summary(audit) in text
    assert read_json(AUDIT_FINDINGS, "audit") == json.loads(json.dumps(audit.to_json()))
    assert as_yaml(RULES).rstrip("\n") in text
    assert RECIPES.general.hash in text
    cases = "Of 31 cases, each a step at a magnitude for one class, 17 keep, 6 move"
    assert f"{cases}, 1 is unlike anything, 7 cannot be told." in text
    row = "<td>limit 108 to 144</td><td>6</td>"
    assert row in page and page.index("<h2>Rotate</h2>") < page.index(row)
    assert page.index("break no label") < page.index("<summary>GaussianBlur</summary>")


def test_it_loads_nothing_and_runs_nothing() -> None:
    page = render(digits(), RECIPES, PARAMS)
    assert needs_nothing(page)  # without a run there is no report to link to


def test_it_is_the_same_each_time() -> None:
    assert render(digits(), RECIPES, PARAMS) == render(digits(), RECIPES, PARAMS)


def test_names_of_classes_and_steps_are_shown_and_not_run() -> None:
    row = finding(FLIP, ATTACK, "moves", f"{ATTACK}2", 0.5)
    audit = audit_of(
        [row, *keeps("Blur", labels="0")],
        labels=[{"classes": [ATTACK], "forbid": ["VerticalFlip"]}],
        classes={ATTACK: 0.2, "0": 1.0},
    )
    shown = Elements(render(audit, RECIPES, PARAMS))
    assert "img" not in shown.names
    assert shown.text.count(ATTACK) >= 6  # the sentence, rules, plot, legend, table, how well known


def test_pictures_are_the_variants_of_the_policy_that_was_tried() -> None:
    rows = findings()
    of_six = examples(rows, 1)[0]
    shown = figure(of_six, RECIPES)
    assert (shown.label, shown.becomes, shown.tried) == ("6", "9", "r180")
    assert shown.operations == ["Rotate angle\N{NO-BREAK SPACE}180"]
    twice = HALF_TURN.policies[0] * 2  # half a turn, and back
    back = of_six._replace(setting=HALF_TURN._replace(policies=([], twice)), policy=1)
    assert figure(back, RECIPES).variant == shown.source != shown.variant
    page = render(audit_of(rows, examples=examples(rows)), RECIPES, PARAMS)
    assert page.count("<figure>") == 4 and page.count("<img ") == 8
    assert shown.variant in page and shown.source in page


def test_of_many_pictures_the_worst_of_each_finding_come_first() -> None:
    rows = [finding(HALF_TURN, label, "moves", "0", 0.1 * i) for i, label in enumerate("69", 1)]
    found = examples(rows, MOST_PICTURES)
    order = [(one.finding.label, one.seed) for one in chosen(found)]
    assert order[:4] == [("9", 0), ("6", 0), ("9", 1), ("6", 1)]
    assert len(order) == MOST_PICTURES
    page = Elements(render(audit_of(rows, examples=found), RECIPES, PARAMS))
    assert f"{MOST_PICTURES} of {2 * MOST_PICTURES}." in page.text


def test_an_audit_without_findings_is_a_page_too() -> None:
    silent = Elements(render(audit_of(keeps("Blur")), RECIPES, PARAMS)).text
    assert "The only step breaks no label." in silent and "The rules that follow" not in silent
    nothing = Elements(render(audit_of([], classes={}, images=0), RECIPES, PARAMS)).text
    assert "There was nothing to try: the policy has no step." in nothing
    untold = [finding(FLIP, label, "cannot tell", None, 0.0) for label in "06"]
    page = Elements(render(audit_of(untold, classes={"0": 0.2, "6": 0.5}), RECIPES, PARAMS)).text
    assert "Whether the only step breaks labels cannot be told" in page
    assert "Nothing can be said of 2 of 2 classes, which the features tell" in page


def test_classes_of_too_few_images_are_named() -> None:
    rows = [*keeps("Blur"), finding(FLIP, "rare", "cannot tell", None, 0.0)]
    text = Elements(render(audit_of(rows), RECIPES, PARAMS)).text
    assert "Too few training images to say anything: rare." in text
    assert "Too few" not in render(audit_of(keeps("Blur")), RECIPES, PARAMS)


def test_only_what_was_judged_is_drawn() -> None:
    turn = finding(("Affine", "rotate", 0.0, 9.0), "6", "moves", "9", 0.5)
    scale = finding(("Affine", "scale", 1.0, 1.2), "6", "keeps", None, 0.0)
    untold = finding(FLIP, "6", "cannot tell", None, 0.0)
    elements = Elements(render(audit_of([turn, scale, untold]), RECIPES, PARAMS))
    assert elements.names.count("svg") == 2  # rotate, and folded scale


def test_a_thousand_classes_fold() -> None:
    labels = [f"class {i:04}" for i in range(1000)]
    rows = [finding(FLIP, label, "keeps", None, 0.01) for label in labels[10:]]
    rows += [finding(FLIP, label, "moves", "x", 0.5) for label in labels[:10]]
    page = render(audit_of(rows, classes=dict.fromkeys(labels, 0.9)), RECIPES, PARAMS)
    text = Elements(page).text
    assert f"{990 - MOST_ROWS} more: variegate audit --json lists all." in text
    assert "1,000 classes, the worst known first" in text and "<details open>" not in page
    assert "and 2 more classes, in the table" in text
    assert len(page) < 300_000
