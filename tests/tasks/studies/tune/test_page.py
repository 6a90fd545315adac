"""The page of a tuning carries everything, escapes names and is the same each time."""

import re
from pathlib import Path

import pytest

from tasks.dataset.paths import TUNING_REPORT
from tasks.studies.tune import wording
from tasks.studies.tune.page import MOST_TRIALS, render, write_page
from tests.tasks.studies.elements import ATTACK, Elements, needs_nothing, rows_of
from tests.tasks.studies.tune.found import BLOCK, finalists, trial, tuning


def test_the_page_says_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_page(tuning(block=BLOCK))
    page = TUNING_REPORT.read_text(encoding="utf-8")
    text = Elements(page).text
    assert f"{tuning().answer}: {tuning().reason}." in text
    assert (
        "8 trials: 4 complete, 3 pruned, 1 hopeless. Then 3 arms were trained again on 2 fresh "
        "seeds." in text
    )
    assert wording.as_yaml(BLOCK) in text
    assert "The test images were not looked at." in text
    assert rows_of(page, 0)[1:] == [
        ["none", "the reference", "81.0%", "", "", ""],
        ["present policy", "better", "84.0%", "", "+3.0", "+1.0 to +5.0"],
        ["strength 0.5, online", "better", "85.0%", "", "+4.0", "+2.0 to +6.0"],
    ]
    assert rows_of(page, 1)[1:] == [
        ["present policy", "the reference", "84.0%", "", "", ""],
        ["strength 0.5, online", "not told from it", "85.0%", "", "+1.0", "-1.0 to +3.0"],
    ]
    rows = rows_of(page, 2)
    assert rows[3] == ["3", "trivialaugment", "variants 4", "hopeless", "0.30", "", ""]
    assert rows[5] == [
        "5",
        "own policy, by strength",
        "strength 0.5, variants online",
        "complete",
        "0.90",
        "86.0%",
        "5 epochs x 1 seed 81.0%, 15 epochs x 3 seeds 86.0%",
    ]


def test_it_needs_nothing_else_and_is_the_same_each_time() -> None:
    page = render(tuning(block=BLOCK))
    assert needs_nothing(page)
    assert page == render(tuning(block=BLOCK))


def test_each_drawing_says_what_it_shows() -> None:
    drawings = re.findall(r"<svg (.*?)>", render(tuning()))
    assert len(drawings) == 2 + 3 + 2 * 3 + 3 + 2  # rulers, arms, keys of three, charts
    assert all('aria-label="' in one or 'aria-hidden="true"' in one for one in drawings)


def test_where_nothing_is_to_be_written_there_is_no_block() -> None:
    assert "params.yaml" not in Elements(render(tuning())).text
    assert "What to write into params.yaml" in Elements(render(tuning(block=BLOCK))).text


def test_without_a_present_policy_or_a_winner_there_is_one_comparison() -> None:
    none, present, winner = finalists()
    alone = tuning(finalists=[none._replace(to_present=None), winner._replace(to_present=None)])
    assert "Against the present policy" not in render(alone)
    assert "Against the present policy" not in render(tuning(finalists=[none, present]))
    assert "Against the present policy" in render(tuning())


def test_names_are_shown_and_not_run() -> None:
    names = tuning(answer=ATTACK, reason=ATTACK, block={"augment": {"policy": [{"X": ATTACK}]}})
    none, present, winner = finalists()
    found = names._replace(finalists=[none, present, winner._replace(arm=ATTACK)])
    shown = Elements(render(found))
    assert "img" not in shown.names
    assert shown.text.count(ATTACK) >= 6


def test_of_many_trials_the_first_are_shown() -> None:
    many = [trial(i, "randaugment", 0.8, choice={"n": 2, "m": 9}) for i in range(500)]
    page = render(tuning(trials=many))
    left_out = f"{500 - MOST_TRIALS} more: variegate tune --json lists all."
    assert left_out in Elements(page).text
    assert len(page) < 300_000


def test_without_a_trained_trial_there_is_a_page_too() -> None:
    page = render(tuning(trials=[trial(0, "trivialaugment", None)]))
    assert "1 trial: 1 hopeless." in Elements(page).text
    assert "the best complete trial so far" not in page
