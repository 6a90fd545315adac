"""Audits of drawn arrows: what is found, that nothing else has a part in it, what is made again."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.dataset.selections import class_names
from tasks.pixels.preprocess import AS_DECODED
from tasks.studies.audit import making
from tasks.studies.audit.audit import Audit, audit
from tasks.studies.audit.making import Made, Maker, Task
from tasks.studies.audit.sample import chosen_rows
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tests.tasks.studies.audit.drawn import arrows

FLIP: list[Any] = ["HorizontalFlip", {"Blur": {"blur_limit": [3, 3]}}]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARIEGATE_WORKERS", "1")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The policies by which variants were made, one for each."""
    policies: list[str] = []
    make = Maker.make

    def counted(self: Maker, task: Task) -> list[Made]:
        policies.extend(task.policies)
        return make(self, task)

    monkeypatch.setattr(Maker, "make", counted)
    monkeypatch.setattr(making, "_say_how_long", lambda maker, tasks: None)
    return policies


def audited(rows: pd.DataFrame, policy: list[Any] = FLIP, **more: Any) -> Audit:
    params = AugmentParams(policy=policy, variants_per_image=1, **more)
    return audit(rows, params, Recipes.from_params(params, AS_DECODED, class_names(rows)))


def moves(found: Audit) -> set[tuple[str, str, str | None]]:
    broken = [finding for finding in found.findings if finding.verdict != "keeps"]
    return {(finding.step, finding.label, finding.to) for finding in broken}


def test_a_flip_exchanges_left_and_right_arrows_and_the_rule_that_follows_mends_it() -> None:
    rows = arrows("left right up")
    steps = [*FLIP, {"Rotate": {"limit": 8}}]
    found = audited(rows, steps)
    exchanged = {("left", "right"), ("right", "left")}
    assert {it for it in moves(found) if it[0] != "policy"} == {
        ("HorizontalFlip", *pair) for pair in exchanged
    }
    assert found.labels == [
        {
            "classes": ["left", "right"],
            "relabel": {"HorizontalFlip": {"left": "right", "right": "left"}},
        }
    ]
    assert {(one.setting.step, one.source.label) for one in found.examples} >= {
        ("HorizontalFlip", "left"),
        ("HorizontalFlip", "right"),
    }
    assert (found.images, list(found.classes)) == (120, ["left", "right", "up"])
    pasted = audited(rows, steps, labels=found.labels)
    assert moves(pasted) == set() and pasted.labels == []
    without = [{"classes": ["left", "right"], "forbid": ["HorizontalFlip"]}]
    forbidden = audited(rows, steps, labels=without)
    assert moves(forbidden) == set()
    flipped = [one.label for one in forbidden.findings if one.step == "HorizontalFlip"]
    assert flipped == ["up"]  # it is tried where it may be done


def test_a_bound_that_follows_mends_a_rotation() -> None:
    rows = arrows("left right")
    steps = [{"Rotate": {"limit": 180}}]
    found = audited(rows, steps)
    (rule,) = found.labels
    assert rule["classes"] == ["left", "right"]
    low, high = rule["bound"]["Rotate"]["limit"]
    assert -low == high in (72, 108, 144)
    assert moves(audited(rows, steps, labels=found.labels)) == set()


def test_findings_come_of_the_images_alone(made: list[str]) -> None:
    before = audited(arrows()).to_json()
    count = len(made)
    assert count == 80 * 4  # themselves, two steps, the policy
    renamed = arrows(prefix="2").iloc[::-1]
    assert audited(renamed).to_json() == before
    assert len(made) == count  # nothing was made again


def test_findings_are_the_same_for_any_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = arrows(of_each=12)
    before = audited(rows).to_json()
    monkeypatch.setenv("VARIEGATE_CACHE", "other")
    monkeypatch.setenv("VARIEGATE_WORKERS", "2")
    assert audited(rows).to_json() == before


def test_a_killed_audit_goes_on(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = arrows(of_each=12)
    child = os.fork()
    if child == 0:  # dies, as by SIGKILL from outside, when it comes to the 20th image
        counted = Maker.make

        def make(self: Maker, task: Task) -> list[Made]:
            if len(made) >= 19 * 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return counted(self, task)

        Maker.make = make  # type: ignore[method-assign]
        audited(rows)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    found = audited(rows).to_json()
    assert len(made) == (24 - 16) * 4  # four whole batches were kept
    monkeypatch.setenv("VARIEGATE_CACHE", "other")
    assert audited(rows).to_json() == found


def test_a_new_step_makes_its_own_variants_and_those_of_the_new_policy(made: list[str]) -> None:
    rows = arrows(of_each=12)
    audited(rows)
    made.clear()
    audited(rows, [*FLIP, "InvertImg"])
    assert set(made) == {
        '[{"InvertImg":{"p":1}}]',
        '["HorizontalFlip",{"Blur":{"blur_limit":[3,3]}},"InvertImg"]',
    }


def test_only_training_images_are_looked_at() -> None:
    rows = arrows(of_each=20)
    rows.loc[rows.index[:8], "split"] = "test"
    for name in rows["file_name"].head(8):
        (Path("data/raw") / name).unlink()
    assert audited(rows).images == 32


def test_of_many_images_those_with_the_lowest_hashes_are_chosen() -> None:
    rows = pd.DataFrame({"label": ["b", "a"] * 300, "sha256": [f"{i:03d}" for i in range(600)]})
    chosen = chosen_rows(rows.sample(frac=1, random_state=1), 200)
    assert chosen["label"].tolist() == ["a"] * 200 + ["b"] * 200
    assert chosen["sha256"].max() == "399"
    labels = np.repeat([f"{i:03d}" for i in range(600)], 10)
    many = pd.DataFrame({"label": labels, "sha256": [f"{i:04d}" for i in range(6000)]})
    assert len(chosen_rows(many, 200)) == 600 * 8


def test_nothing_is_told_of_classes_with_few_images(capsys: pytest.CaptureFixture[str]) -> None:
    rows = arrows("left right up", 12)
    few = rows[(rows["label"] != "up") | ~rows["label"].duplicated()]
    found = audited(few)
    assert {(one.verdict, one.variants) for one in found.findings if one.label == "up"} == {
        ("cannot tell", 0)
    }
    said = "nothing can be told of classes with fewer than 8 training images: 'up'\n"
    assert said in capsys.readouterr().out
    alone = audited(rows[rows["label"] == "left"])
    assert {one.verdict for one in alone.findings} == {"cannot tell"} and len(alone.findings) == 3
    said = "nothing can be told without two classes of 8 training images or more\n"
    assert said in capsys.readouterr().out


def test_a_step_that_refuses_all_images_is_told_and_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    large = {"RandomCrop": {"height": 20, "width": 20}}
    found = audited(arrows(of_each=12), [large, "HorizontalFlip"])
    assert {one.step for one in found.findings} == {"HorizontalFlip"}
    said = capsys.readouterr().out
    problem = "failed on 24 of 24 images; left out: CropSizeError: "
    assert said.count(f"RandomCrop: {problem}") == said.count(f"policy: {problem}") == 1


def test_without_images_or_steps_there_is_nothing_to_audit() -> None:
    rows = arrows(of_each=4)
    with pytest.raises(UserError) as raised:
        audited(rows.assign(split="test"))
    expected = "data/validated/manifest.parquet: needs training images to audit, found none"
    assert str(raised.value) == expected
    with pytest.raises(UserError) as raised:
        audited(rows, [])
    assert str(raised.value) == "params.yaml augment.policy: needs a step to audit, found none"


def test_findings_as_json_have_all_that_is_known() -> None:
    found = audited(arrows(of_each=12)).to_json()
    assert list(found) == ["findings", "labels"]
    for finding in found["findings"]:
        assert set(finding) == {
            *("step", "argument", "low", "high", "class", "verdict", "to"),
            *("share", "share_low", "share_high", "untouched", "variants"),
        }
