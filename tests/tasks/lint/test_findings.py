"""Findings: a line each, and what becomes of them under `augment.lint`."""

import pytest

from tasks.common.errors import UserError
from tasks.lint.findings import Finding, settle

CROP = Finding("small_crop", "params.yaml augment.policy[0] RandomResizedCrop", "small", "set a")
TURN = Finding("far_rotation", "params.yaml augment.policy[1] Rotate", "turns", "set b")
TURNED = TURN._replace(place="params.yaml augment.policy[2] Rotate")


def test_a_finding_is_one_line_that_names_its_rule() -> None:
    assert CROP.text == (
        "params.yaml augment.policy[0] RandomResizedCrop: small; set a (lint: small_crop)"
    )


def test_rules_warn_by_themselves_and_are_silent_where_they_are_off() -> None:
    assert settle([CROP, TURN, CROP], {}) == [CROP, TURN]
    assert settle([CROP, TURN], {"small_crop": "warn", "far_rotation": "off"}) == [CROP]


def test_rules_that_fail_end_the_plan_with_all_their_findings() -> None:
    assert settle([CROP], {"far_rotation": "fail"}) == [CROP]
    with pytest.raises(UserError) as error:
        settle([TURN, CROP, TURNED], {"far_rotation": "fail"})
    assert str(error.value) == f"{TURN.text}; {TURNED.text}"
